-- The log as it lies in the topic, read as facts; and the ticket as each fact leaves it.
-- The order of facts is (occurred_at, sequence, event_id).
-- In: log(value), policy(place, name, calendar), match(place, dimension, accepted), target(place, metric, …),
--     business(calendar)

create table fact as
with once as (
    select distinct on (key, event_id) *
    from (select (value->>'$.source') || ':' || (value->>'$.ticket_id') as key, value->>'$.event_id' as event_id, value
          from log)
)
select
    key, event_id, value,
    value->>'$.source' as source,
    value->>'$.kind' as kind,
    epoch_us((value->>'$.occurred_at')::timestamptz) as at_us,
    row_number() over (
        partition by key
        order by (value->>'$.occurred_at')::timestamptz, coalesce((value->>'$.sequence')::bigint, 0), event_id
    ) as n,
    value->>'$.actor.kind' as actor,
    value->>'$.actor.id' as actor_id,
    epoch_us((value->>'$.ticket.created_at')::timestamptz) as created_us,
    value->>'$.message.id' as message,
    coalesce(value->>'$.message.visibility', 'public') as visibility,
    coalesce(value->>'$.message.author', 'system') as author,
    coalesce((value->>'$.message.opening')::boolean, false) as opening,
    (value->>'$.rating.score')::double as score,
    coalesce((value->>'$.rating.worst')::double, 0) as worst,
    (value->>'$.rating.best')::double as best,
    (value->>'$.rating.positive')::boolean as positive
from once;

-- A JSON null states that there is none, an absent member states nothing: only the latter is SQL's NULL here.
create table stated as
select
    key, n, kind,
    coalesce(json_extract(value, '$.status.to'), json_extract(value, '$.ticket.status')) as status,
    case when kind = 'priority.changed' then json_extract(value, '$.priority.to')
         else json_extract(value, '$.ticket.priority') end as priority,
    coalesce(json_extract(value, '$.assignment.team'), json_extract(value, '$.ticket.team')) as team,
    coalesce(json_extract(value, '$.assignment.agent'), json_extract(value, '$.ticket.agent')) as agent,
    json_extract(value, '$.ticket.channel') as channel,
    json_extract(value, '$.ticket.brand') as brand,
    json_extract(value, '$.ticket.tier') as tier
from fact;

-- Tags: each tag of a ticket is in or out after every fact that speaks of it.
create table tagged as
with spoken as (
    select key, n, json_extract(value, '$.ticket.tags')::varchar[] as whole,
           coalesce((value->'$.tags.added')::varchar[], []) as added,
           coalesce((value->'$.tags.removed')::varchar[], []) as removed
    from fact
    where json_exists(value, '$.ticket.tags') or json_exists(value, '$.tags')
), known as (
    select distinct key, unnest(list_concat(coalesce(whole, []), added)) as tag from spoken
), held as (
    select key, n, tag,
        last_value(case when list_contains(added, tag) then true
                        when list_contains(removed, tag) then false
                        when whole is not null then list_contains(whole, tag) end ignore nulls) over (
            partition by key, tag order by n rows unbounded preceding) as has
    from spoken join known using (key)
)
select key, n, list(tag order by tag) filter (where has) as tags from held group by key, n;

create table state as
with carried as (
    select key, n, kind,
        last_value(status ignore nulls) over own->>'$' as said,
        last_value(priority ignore nulls) over own->>'$' as priority,
        last_value(team ignore nulls) over own->>'$' as team,
        last_value(agent ignore nulls) over own->>'$' as agent,
        last_value(channel ignore nulls) over own->>'$' as channel,
        last_value(brand ignore nulls) over own->>'$' as brand,
        last_value(tier ignore nulls) over own->>'$' as tier
    from stated
    window own as (partition by key order by n rows unbounded preceding)
), begun as (  -- a ticket that is created without saying its status is new
    select *, coalesce(said, max(case when kind = 'ticket.created' then 'new' end) over (
        partition by key order by n rows unbounded preceding)) as status
    from carried
), placed as (
    select begun.* exclude (said, kind), coalesce(tags, []) as tags
    from begun asof left join tagged on begun.key = tagged.key and begun.n >= tagged.n
)
select placed.*, fact.at_us, fact.kind, fact.source,
    lag(status) over own as was,
    coalesce(lead(fact.at_us) over own, fact.at_us) as until_us
from placed join fact using (key, n)
window own as (partition by key order by n);

-- The policies whose every demand is met after each fact; the first of them makes the promises. One that names nothing
-- but group_ownership says nothing of what the customer is promised, nor of the hours in which that is measured.
create table fits as
select state.key, state.n, policy.place
from state cross join policy left join match using (place)
group by all
having bool_and(match.dimension is null or coalesce(case match.dimension
    when 'source' then list_contains(accepted, state.source)
    when 'channel' then list_contains(accepted, state.channel)
    when 'team' then list_contains(accepted, state.team)
    when 'agent' then list_contains(accepted, state.agent)
    when 'priority' then list_contains(accepted, state.priority)
    when 'brand' then list_contains(accepted, state.brand)
    when 'tier' then list_contains(accepted, state.tier)
    when 'tag' then list_has_any(accepted, state.tags)
end, false));

create table promise as
select key, n, min(place) as place
from fits
where place not in (select place from target group by place having bool_and(metric = 'group_ownership'))
group by key, n;

-- Business time: every stretch between two facts in the calendar that was in force, which is that of the policy, and
-- without one the business calendar.
create table stretch as
select state.key, state.n, coalesce(policy.calendar, business.calendar) as calendar, at_us, until_us
from state left join promise using (key, n) left join policy using (place) cross join business;

create table open_time as
with edge as (
    select key, n, calendar, at_us from stretch union select key, n, calendar, until_us from stretch
)
select edge.*, case when edge.calendar is null then edge.at_us
    else coalesce(before_us + least(edge.at_us, closes_us) - opens_us, 0) end as open_us
from edge asof left join opening on edge.calendar = opening.calendar and edge.at_us >= opening.opens_us;

-- worked_us: business time from the ticket's first fact to this one.
create table worked as
select stretch.*, coalesce(sum(till.open_us - since.open_us) over earlier, 0)::bigint as worked_us
from stretch
join open_time since on since.key = stretch.key and since.n = stretch.n and since.at_us = stretch.at_us
join open_time till on till.key = stretch.key and till.n = stretch.n and till.at_us = stretch.until_us
window earlier as (partition by stretch.key order by stretch.n rows between unbounded preceding and 1 preceding);

-- One row for each ticket: what became of it, and its creation with the business time at which that was.
create table ticket as
with creation as (
    select distinct on (key) key, n as created_n, coalesce(created_us, at_us) as created_us
    from fact where kind = 'ticket.created' or created_us is not null
    order by key, n
), placed as (  -- the stretch that the creation lies in; before the first fact its own
    select creation.*, coalesce(last(n order by n) filter (where at_us <= creation.created_us), min(n)) as stretch_n
    from creation join worked using (key) group by all
), clocked as (
    select placed.*, worked.calendar, worked.at_us, worked.worked_us,
        case when worked.calendar is null then placed.created_us
             else coalesce(o.before_us + least(placed.created_us, o.closes_us) - o.opens_us, 0) end as created_open_us
    from placed join worked on placed.key = worked.key and placed.stretch_n = worked.n
    asof left join opening o on worked.calendar = o.calendar and placed.created_us >= o.opens_us
), born as (
    select key, min(n) as born_n, arg_min(actor, n) = 'agent' as by_agent
    from fact where kind = 'ticket.created' group by key
), fate as (
    select key, arg_max(kind, n) as kind from fact
    where kind in ('ticket.deleted', 'ticket.merged', 'ticket.restored') group by key
), ended as (
    select key, max(n) as last_n, arg_max(status, n) as status from state group by key
)
select
    ended.key, ended.last_n, ended.status, created_n, created_us, born_n, coalesce(by_agent, false) as by_agent,
    worked_us + created_open_us - open_time.open_us as created_worked_us,
    coalesce(fate.kind = 'ticket.deleted', false) as deleted,
    coalesce(fate.kind in ('ticket.deleted', 'ticket.merged'), false) as gone
from ended
left join clocked using (key)
left join open_time
    on open_time.key = clocked.key and open_time.n = clocked.stretch_n and open_time.at_us = clocked.at_us
left join born on born.key = ended.key
left join fate on fate.key = ended.key;

-- Every case that a KPI counts: when, in the state after which fact, and what. Each family fills it in its own file.
-- part is the place in the API's answer; hit is true, false or neither; since_us is what an age begins with.
create table tally (
    kpi varchar, part varchar, key varchar, n bigint, at_us bigint, hit boolean, clock_us bigint, business_us bigint,
    amount double, who varchar, since_us bigint
);
