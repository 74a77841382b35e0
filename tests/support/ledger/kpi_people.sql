-- question_answer_time, knowledge_contribution, headcount, agent_retention, as docs/kpis.md defines them.

create table question as
with turns as (
    select key, n, kind, count(*) filter (where kind = 'agent.question_answered') over (
        partition by key order by n rows between unbounded preceding and 1 preceding) as turn
    from fact where kind in ('agent.question_asked', 'agent.question_answered')
)
select key, min(n) filter (where kind = 'agent.question_asked') as asked_n,
    min(n) filter (where kind = 'agent.question_answered') as answered_n
from turns group by key, turn having asked_n is not null and answered_n is not null;

insert into tally by name
select 'question_answer_time' as kpi, question.key, answered_n as n, till.at_us,
    till.at_us - since.at_us as clock_us, till.worked_us - since.worked_us as business_us
from question
join worked since on since.key = question.key and since.n = asked_n
join worked till on till.key = question.key and till.n = answered_n;

insert into tally by name
with deed as (
    select key, n, kind = 'knowledge.contributed' as hit from fact where kind = 'knowledge.contributed'
    union all select key, n, false from reply
    union all select key, n, false from solve
)
select 'knowledge_contribution' as kpi, deed.key, deed.n, fact.at_us, hit,
    fact.source || ':' || coalesce(case when actor = 'agent' then actor_id end, state.agent) as who
from deed join fact using (key, n) join state using (key, n) join ticket using (key)
where coalesce(actor, 'agent') = 'agent' and who is not null and not deleted;

create table employment as
select key, n, at_us, kind = 'agent.joined' as there,
    lead(at_us) over (partition by key order by n) as until_us
from fact where kind in ('agent.joined', 'agent.left');

insert into tally by name
select 'headcount' as kpi, key, n from employment where there and until_us is null;
