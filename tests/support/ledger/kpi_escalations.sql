-- escalation_rate, tickets_escalated, decision_velocity: an explicit flag, a priority raised to the top, a change to one
-- of the configured teams.
-- In: escalation(priorities, teams)

create macro height(priority) as list_position(['low', 'normal', 'high', 'urgent'], priority);

create table escalated as
with changes as (
    select key, n, at_us, kind, priority, team,
        lag(priority) over own as old_priority, lag(team) over own as old_team
    from state window own as (partition by key order by n)
)
select distinct on (key) key, n, changes.at_us
from changes cross join escalation join ticket using (key)
where not deleted and (
    kind = 'escalation.raised'
    or list_contains(priorities, priority) and height(old_priority) < height(priority)
    or list_contains(teams, team) and not list_contains(teams, old_team))
order by key, n;

insert into tally by name select 'tickets_escalated' as kpi, key, n, at_us from escalated;

insert into tally by name
select 'escalation_rate' as kpi, key, created.n, created.at_us, escalated.key is not null as hit
from tally created left join escalated using (key)
where kpi = 'tickets_created';

-- From the first raise since the last end to the next end, which is its clearing or the solve.
create table decision as
with told as (
    select key, n, 'begin' as what from fact where kind = 'escalation.raised'
    union all select key, n, 'end' from fact where kind = 'escalation.cleared'
    union all select key, n, 'end' from solve
), turns as (
    select *, count(*) filter (where what = 'end') over (
        partition by key order by n rows between unbounded preceding and 1 preceding) as turn
    from told
)
select key, min(n) filter (where what = 'begin') as begin_n, min(n) filter (where what = 'end') as end_n
from turns group by key, turn having begin_n is not null and end_n is not null;

insert into tally by name
select 'decision_velocity' as kpi, decision.key, end_n as n, till.at_us,
    till.at_us - since.at_us as clock_us, till.worked_us - since.worked_us as business_us
from decision join ticket using (key)
join worked since on since.key = decision.key and since.n = begin_n
join worked till on till.key = decision.key and till.n = end_n
where not deleted;
