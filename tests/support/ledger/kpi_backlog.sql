-- backlog. semantics.md §a "Backlog": not solved or closed now; gone with a merge or a deletion.

insert into tally by name
select 'backlog' as kpi, key, last_n as n from ticket
where not gone and status not in ('solved', 'closed');
