-- tickets_created, tickets_solved, net_flow, reopen_rate, resolution_time. docs/adr/0006 says which solve counts.

insert into tally by name
select 'tickets_created' as kpi, key, created_n as n, created_us as at_us
from ticket where created_us is not null and not deleted;

create table solve as
select key, n, at_us
from state
where status in ('solved', 'closed')
  and case when was is null then kind in ('ticket.created', 'status.changed') else was not in ('solved', 'closed') end;

create table reopening as
select key, n, at_us from state where was in ('solved', 'closed') and status not in ('solved', 'closed');

create table solved as
select key, min(n) as first_n, max(n) as last_n, min(at_us) as first_us, max(at_us) as last_us,
    exists (from reopening where reopening.key = solve.key) as reopened
from solve join ticket using (key)
where not deleted
group by key;

insert into tally by name
select 'tickets_solved' as kpi, key, last_n as n, last_us as at_us from solved;

insert into tally by name
select 'reopen_rate' as kpi, key, last_n as n, last_us as at_us, reopened as hit from solved;

insert into tally by name
select 'resolution_time' as kpi, 'first' as part, key, first_n as n, first_us as at_us,
    greatest(0, first_us - created_us) as clock_us, greatest(0, worked_us - created_worked_us) as business_us
from solved join ticket using (key) join worked on worked.key = solved.key and worked.n = first_n
where created_us is not null;

insert into tally by name
select 'resolution_time' as kpi, 'full' as part, key, solved.last_n as n, last_us as at_us,
    greatest(0, last_us - created_us) as clock_us, greatest(0, worked_us - created_worked_us) as business_us
from solved join ticket using (key) join worked on worked.key = solved.key and worked.n = solved.last_n
where created_us is not null and ticket.status in ('solved', 'closed');

insert into tally by name
select 'net_flow' as kpi, key, n, at_us, if(kpi = 'tickets_created', 1, -1) as amount
from tally where kpi in ('tickets_created', 'tickets_solved');
