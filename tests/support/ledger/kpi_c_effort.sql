-- What a solved ticket had taken: one_touch_rate, zero_touch_rate, bot_resolution_rate, replies_per_resolution,
-- agent_handoffs, team_handoffs, first_contact_resolution, and time_in_status with requester_wait_time, agent_work_time.

create table known as  -- solved, seen from the creation on, and not merged into another
select solved.* from solved join ticket using (key) where born_n is not null and not gone;

create table taken as
select known.key, last_n as n, last_us as at_us,
    (select count(*) from reply where reply.key = known.key and reply.n <= last_n) as replies,
    exists (from seen where seen.key = known.key and seen.n <= last_n and author = 'bot') as bot
from known;

insert into tally by name select 'one_touch_rate' as kpi, key, n, at_us, replies = 1 as hit from taken;
insert into tally by name select 'zero_touch_rate' as kpi, key, n, at_us, replies = 0 as hit from taken;
insert into tally by name select 'bot_resolution_rate' as kpi, key, n, at_us, replies = 0 and bot as hit from taken;
insert into tally by name select 'replies_per_resolution' as kpi, key, n, at_us, replies as amount from taken;

create table handoff as  -- from one holder to another, whoever held it or nobody in between
with held as (
    select key, n, agent as holder, 'agent_handoffs' as kpi from state where agent is not null
    union all select key, n, team, 'team_handoffs' from state where team is not null
)
select *, lag(holder) over (partition by kpi, key order by n) <> holder as passed from held;

insert into tally by name
select counted.kpi, known.key, last_n as n, last_us as at_us, count(handoff.key) as amount
from (values ('agent_handoffs'), ('team_handoffs')) as counted (kpi) cross join known
left join handoff on handoff.kpi = counted.kpi and handoff.key = known.key and handoff.n <= last_n and passed
group by all;

create table contact as
select known.key, first_n as n, first_us as at_us,
    (select count(*) from reply where reply.key = known.key and reply.n <= first_n) = 1
    and not exists (from reopening where reopening.key = known.key and reopening.n > first_n
                    and reopening.at_us <= first_us + 7 * 86_400_000_000) as hit
from known;

insert into tally by name
select 'first_contact_resolution' as kpi, 'provisional' as part, key, n, at_us, hit from contact;
insert into tally by name
select 'first_contact_resolution' as kpi, 'final' as part, key, n, at_us + 7 * 86_400_000_000 as at_us, hit from contact;

create table absence as  -- a ticket that is deleted is in no status, and nobody can keep a promise about it
select key, n as since_n,
    (select min(n) from fact back
     where back.key = fact.key and back.n > fact.n and back.kind = 'ticket.restored') as back_n
from fact where kind in ('ticket.deleted', 'ticket.merged');

create table spent as  -- by status, until the most recent solve of a ticket that is still solved
select solved.key, solved.last_n as n, last_us as at_us, state.status, sum(state.until_us - state.at_us) as clock_us,
    sum(next.worked_us - worked.worked_us) as business_us
from solved join ticket using (key)
join state on state.key = solved.key and state.n < solved.last_n
join worked on worked.key = state.key and worked.n = state.n
join worked next on next.key = state.key and next.n = state.n + 1
where born_n is not null and ticket.status in ('solved', 'closed')
    and not exists (from absence where absence.key = state.key and state.n >= since_n
                    and state.n < coalesce(back_n, state.n + 1))
group by all;

insert into tally by name
select 'time_in_status' as kpi, status as part, key, n, at_us, clock_us, business_us
from spent where status not in ('solved', 'closed') and clock_us >= 1000;

insert into tally by name
select kpi, solved.key, solved.last_n as n, last_us as at_us,
    coalesce(sum(clock_us), 0) as clock_us, coalesce(sum(business_us), 0) as business_us
from solved join ticket using (key)
cross join (
    values ('requester_wait_time', ['new', 'open', 'on_hold']), ('agent_work_time', ['new', 'open'])) as w (kpi, waits)
left join spent on spent.key = solved.key and list_contains(waits, spent.status)
where born_n is not null and ticket.status in ('solved', 'closed')
group by all;
