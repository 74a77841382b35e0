-- first_response_time, next_response_time, agent_replies, after_hours_share: bots, private notes and the message that a
-- ticket was opened with do not count, nor does one that was taken back; of a ticket whose creation was not seen nobody
-- knows which reply was the first.

create table retracted as
select distinct key, message from fact where kind = 'message.retracted' and message is not null;

create table seen as  -- public messages that count, with who wrote them
select key, n, at_us, author, actor, actor_id
from fact
where kind = 'message.added' and visibility = 'public' and not opening
  and not exists (from retracted where retracted.key = fact.key and retracted.message = fact.message);

create table reply as
select seen.*
from seen join ticket using (key)
where author = 'agent' and n > born_n and not (by_agent and seen.at_us = created_us);

create table first_reply as select key, min(n) as n from reply group by key;

insert into tally by name
select 'first_response_time' as kpi, key, n, worked.at_us,
    greatest(0, worked.at_us - created_us) as clock_us, greatest(0, worked_us - created_worked_us) as business_us
from first_reply join ticket using (key) join worked using (key, n)
where not deleted;

-- A wait begins with the oldest question since the last answer or solve, and only after the first reply.
create table wait as
with told as (
    select key, n, 'question' as what from seen where author = 'customer'
    union all select key, n, 'reply' from reply
    union all select key, n, 'solve' from solve
), turns as (
    select told.*, count(*) filter (where what <> 'question') over (
        partition by key order by told.n, what = 'solve' rows between unbounded preceding and 1 preceding) as turn
    from told join first_reply using (key)
    where told.n >= first_reply.n
)
select key, turn, min(n) filter (where what = 'question') as asked_n, min(n) filter (where what <> 'question') as end_n,
    arg_min(what, n) filter (where what <> 'question') as ended_by
from turns group by key, turn having asked_n is not null;

insert into tally by name
select 'next_response_time' as kpi, wait.key, end_n as n, till.at_us,
    till.at_us - since.at_us as clock_us, till.worked_us - since.worked_us as business_us
from wait join ticket using (key)
join worked since on since.key = wait.key and since.n = asked_n
join worked till on till.key = wait.key and till.n = end_n
where ended_by = 'reply' and not deleted;

insert into tally by name
select 'agent_replies' as kpi, key, n, at_us from reply join ticket using (key) where not deleted;

insert into tally by name
select 'after_hours_share' as kpi, reply.key, reply.n, reply.at_us,
    stretch.calendar is not null and coalesce(reply.at_us >= closes_us, true) as hit
from reply join ticket using (key) join stretch using (key, n)
asof left join opening on opening.calendar = stretch.calendar and opening.opens_us <= reply.at_us
where not deleted;
