-- first_response_time. semantics.md §a "First reply time": creation to the first public comment of a human agent; bots, private
-- notes and the message that an agent created the ticket with do not count, nor does one that was taken back.

create table reply as
select fact.key, fact.n, fact.at_us
from fact join ticket using (key)
where kind = 'message.added' and visibility = 'public' and author = 'agent' and not opening
  and not exists (from fact back where back.key = fact.key and back.kind = 'message.retracted' and back.message = fact.message);

insert into tally by name
select distinct on (key) 'first_response_time' as kpi, key, reply.n, reply.at_us,
    greatest(0, reply.at_us - created_us) as clock_us, greatest(0, worked_us - created_worked_us) as business_us
from reply join ticket using (key) join worked using (key, n)
where not deleted and reply.n > born_n and not (by_agent and reply.at_us = created_us)
order by key, reply.n;
