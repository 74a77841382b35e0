-- sla_attainment, sla_breach_rate, open_breached: a timer instance counts once, as kept when it was fulfilled or as
-- broken when it broke, in the segment that held the ticket then. Broken is elapsed > target: at the latest instant at
-- which as much had been worked as was promised, or at the change that made it too much.
-- In: target(place, metric, priority, target_us), pause(place, metric, status)

-- What is promised after each fact. Of group_ownership by the first policy that names it, else by the first that fits.
create table owed as
with metrics as (
    select distinct metric from target
), chosen as (
    select promise.key, promise.n, metric, promise.place
    from promise cross join metrics where metric <> 'group_ownership'
    union all
    select key, n, 'group_ownership', min(place)
    from fits where place in (select place from target where metric = 'group_ownership') group by key, n
)
select chosen.key, chosen.n, chosen.metric, chosen.place, policy.calendar,
    if(exact.place is not null, exact.target_us, other.target_us) as target_us
from chosen join state using (key, n) join policy using (place)
left join target exact on exact.place = chosen.place and exact.metric = chosen.metric
    and exact.priority = coalesce(state.priority, 'normal')
left join target other on other.place = chosen.place and other.metric = chosen.metric and other.priority = '*';

-- The instances of each metric: from the state after which fact until which fact, null while it runs.
create table instance as
with done as (
    select key, n, at_us from solve
), update as (  -- also the message that a ticket was opened with, and on tickets seen from the middle on
    select key, n, at_us from fact
    where kind = 'message.added' and visibility = 'public' and author = 'agent'
      and not exists (from retracted where retracted.key = fact.key and retracted.message = fact.message)
), rest as (  -- also of a ticket that is first seen solved
    select key, n, at_us from state
    where status in ('solved', 'closed') and coalesce(was not in ('solved', 'closed'), true)
), silence as (  -- from one update to the next, or until nothing is to be told any more
    select key, n as start_n, at_us, next_n as end_n
    from (select *, lead(n) over (partition by key order by n) as next_n
          from (select *, true as says from update union all select *, false from rest))
    where says
), stay as (  -- with a team, from its getting the ticket or the ticket's reopening; not where nobody saw it come
    select key, n as start_n, team, (
        select min(n) from state later
        where later.key = held.key and later.n > held.n
          and (later.team is distinct from held.team or later.status in ('solved', 'closed'))) as end_n
    from (select *, lag(team) over (partition by key order by n) as old_team from state) held join ticket using (key)
    join fact using (key, n)
    where team is not null and coalesce(held.status not in ('solved', 'closed'), true) and (
        n = born_n or was in ('solved', 'closed')
        or team is distinct from old_team and (
            n > born_n or old_team is not null or json_exists(value, '$.assignment.team')))
)
-- A ticket that is reopened without ever having been answered is owed its first reply again, as its other promises.
select ticket.key, 'first_response' as metric, created_n as start_n, case
    when first_reply.n is null and ticket.status not in ('solved', 'closed') then null
    when first_reply.n is null then (select max(n) from done where done.key = ticket.key)
    when state.status in ('solved', 'closed') then (
        select max(n) from done where done.key = ticket.key and done.n < first_reply.n)
    else first_reply.n end as end_n
from ticket left join first_reply using (key) left join state on state.key = first_reply.key and state.n = first_reply.n
where born_n is not null
union all
select key, 'next_response', asked_n, end_n from wait
union all
select ticket.key, metric, created_n,
    if(status in ('solved', 'closed'), (select max(n) from done where done.key = ticket.key), null)
from ticket cross join (values ('requester_wait'), ('agent_work'), ('resolution')) as m (metric)
where created_us is not null and (status not in ('solved', 'closed') or exists (from done where done.key = ticket.key))
union all
select key, metric, start_n, end_n
from silence cross join (values ('periodic_update'), ('pausable_update')) as m (metric)
where not exists (from rest where rest.key = silence.key and rest.n = end_n and rest.at_us = silence.at_us)
union all
select stay.key, 'group_ownership', start_n, end_n
from stay join state since on since.key = stay.key and since.n = start_n
left join state till on till.key = stay.key and till.n = end_n
where till.at_us is null or till.at_us > since.at_us;

-- The stretches of each instance, those from the last promise on that was made without a break. What went before it
-- counts as if it had been promised: an instance begins when its story does.
create table leg as
with legs as (
    select instance.*, state.n, state.at_us, state.status, owed.place, owed.calendar, owed.target_us,
        if(state.n = ticket.last_n, null, state.until_us) as until_us,
        coalesce(max(if(owed.target_us is null, state.n, null)) over own, 0) as unpromised_n
    from instance join ticket using (key)
    join state on state.key = instance.key and state.n >= start_n and (end_n is null or state.n < end_n)
    left join owed on owed.key = state.key and owed.n = state.n and owed.metric = instance.metric
    where not gone
    window own as (partition by instance.key, instance.metric, start_n)
), ruled as (
    select legs.* exclude (place, calendar), legs.n > unpromised_n as promised,
        if(legs.n > unpromised_n, legs.place, begun.place) as place,
        if(legs.n > unpromised_n, legs.calendar, begun.calendar) as calendar
    from legs join owed begun on begun.key = legs.key and begun.metric = legs.metric
        and begun.n = greatest(legs.start_n, unpromised_n + 1)
    where legs.end_n is null or unpromised_n + 1 < legs.end_n
)
select ruled.*, (status is null or status not in ('solved', 'closed') or metric in ('next_response', 'periodic_update'))
    and not exists (
        from absence where absence.key = ruled.key and ruled.n >= since_n and ruled.n < coalesce(back_n, ruled.n + 1))
    and not coalesce(case when exists (from pause where pause.place = ruled.place and pause.metric = ruled.metric)
        then exists (
            from pause
            where pause.place = ruled.place and pause.metric = ruled.metric and pause.status = ruled.status)
        when metric = 'agent_work' then status in ('pending', 'on_hold')
        when metric in ('requester_wait', 'pausable_update') then status = 'pending' end, false) as runs
from ruled;

create table timer_clock as  -- open hours of each calendar that had passed at each instant
with edge as (
    select calendar, at_us from leg union select calendar, until_us from leg where until_us is not null
)
select edge.*, if(edge.calendar is null, edge.at_us,
    coalesce(before_us + least(edge.at_us, closes_us) - opens_us, 0)) as open_us
from edge asof left join opening on edge.calendar = opening.calendar and edge.at_us >= opening.opens_us;

create table verdict as
with timed as (
    select leg.*, since.open_us,
        coalesce(sum(if(runs, till.open_us - since.open_us, 0)) over earlier, 0)::bigint as elapsed_us
    from leg
    join timer_clock since on since.calendar is not distinct from leg.calendar and since.at_us = leg.at_us
    left join timer_clock till on till.calendar is not distinct from leg.calendar and till.at_us = leg.until_us
    window earlier as (partition by leg.key, metric, start_n order by n rows between unbounded preceding and 1 preceding)
), ends as (
    select timed.*, open_us + target_us - elapsed_us as worn_us from timed where promised
), breaks as (
    select ends.*, case
        when elapsed_us > target_us then ends.at_us
        when not runs then null
        when ends.calendar is null then worn_us
        else opening.opens_us + worn_us - opening.before_us end as break_us
    from ends asof left join opening on opening.calendar = ends.calendar and opening.before_us <= ends.worn_us
), judged as (
    select *, elapsed_us > target_us or break_us is not null and coalesce(break_us < until_us, true) as broke from breaks
)
select key, metric, start_n, any_value(end_n) as end_n,
    min(n) filter (where broke) as broken_n, arg_min(break_us, n) filter (where broke) as broken_us
from judged group by key, metric, start_n;

create table counted_timer as
select key, metric, broken_n as n, broken_us as at_us, false as kept from verdict where broken_n is not null
union all
select verdict.key, metric, end_n, state.at_us, true
from verdict join state on state.key = verdict.key and state.n = end_n
where broken_n is null;

insert into tally by name select 'sla_attainment' as kpi, key, n, at_us, kept as hit from counted_timer;
insert into tally by name
select 'sla_attainment' as kpi, 'by_metric.' || metric as part, key, n, at_us, kept as hit from counted_timer;
insert into tally by name select replace(kpi, 'attainment', 'breach_rate') as kpi, part, key, n, at_us, not hit as hit
from tally where kpi = 'sla_attainment';

insert into tally by name
select 'open_breached' as kpi, standing.key, standing.n, min(broken_us) as since_us
from verdict join standing using (key)
where broken_n is not null and end_n is null
group by all;
