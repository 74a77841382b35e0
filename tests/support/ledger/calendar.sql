-- Open hours as instants, from calendars as they are configured. Elapsed time is real time; a local time that the clocks
-- skip is an hour later, one that they repeat is the first.
-- In: zone(calendar, zone), weekly(calendar, day, opens, closes), closed(calendar, day), and
--     override(calendar, day, opens, closes); intervals since midnight; an override without hours has nulls.

create macro instant_us(local, zone) as
    case when timezone(zone, timezone(zone, local) - interval 1 hour) = local
         then epoch_us(timezone(zone, local) - interval 1 hour)
         else epoch_us(timezone(zone, local)) end;

create table opening as
with days as (
    select calendar, zone, unnest(generate_series(date '2026-01-01', date '2027-12-31', interval 1 day))::date as day
    from zone
), hours as (
    select calendar, zone, days.day, opens, closes
    from days join weekly using (calendar)
    where weekly.day = lower(strftime(days.day, '%a'))
      and not exists (from closed where closed.calendar = days.calendar and closed.day = days.day)
      and not exists (from override where override.calendar = days.calendar and override.day = days.day)
    union all
    select calendar, zone, day, opens, closes from override join zone using (calendar) where opens is not null
), instants as (
    select calendar, instant_us(day + opens, zone) as opens_us, instant_us(day + closes, zone) as closes_us from hours
)
select *, coalesce(sum(closes_us - opens_us) over earlier, 0)::bigint as before_us
from instants
window earlier as (partition by calendar order by opens_us rows between unbounded preceding and 1 preceding);
