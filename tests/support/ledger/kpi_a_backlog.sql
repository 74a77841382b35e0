-- backlog, unassigned_backlog, oldest_ticket_age: not solved or closed now; gone with a merge or a deletion. Ages are of
-- whole hours; that of a ticket whose creation nobody told is from the first fact about it.

create table standing as
select ticket.key, last_n as n, ticket.status, state.agent, coalesce(created_us, first.at_us) as since_us
from ticket join state on state.key = ticket.key and state.n = last_n
join state as first on first.key = ticket.key and first.n = 1
where not gone and ticket.status not in ('solved', 'closed');

insert into tally by name select 'backlog' as kpi, key, n from standing;
insert into tally by name select 'backlog' as kpi, 'by_status.' || status as part, key, n from standing;
insert into tally by name select 'backlog' as kpi, 'by_age' as part, key, n, since_us from standing;
insert into tally by name select 'unassigned_backlog' as kpi, key, n from standing where agent is null;
insert into tally by name select 'oldest_ticket_age' as kpi, key, n, since_us from standing;
