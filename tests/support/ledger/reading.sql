-- What a window reads: its cases, and what stands now; each with its segments and the shape that it is read in.

create table shape as
from (values
    ('net_flow', 'sum'), ('reopen_rate', 'ratio'), ('csat', 'ratio'), ('nps', 'score'), ('ces', 'mean'),
    ('qa_score', 'mean'), ('one_touch_rate', 'ratio'), ('zero_touch_rate', 'ratio'), ('bot_resolution_rate', 'ratio'),
    ('first_contact_resolution', 'ratio'), ('escalation_rate', 'ratio'), ('after_hours_share', 'ratio'),
    ('replies_per_resolution', 'mean'), ('agent_handoffs', 'mean'), ('team_handoffs', 'mean'),
    ('sla_attainment', 'ratio'), ('sla_breach_rate', 'ratio'), ('knowledge_contribution', 'people'),
    ('agent_retention', 'ratio'), ('oldest_ticket_age', 'age'), ('first_response_time', 'duration'),
    ('next_response_time', 'duration'), ('resolution_time', 'duration'), ('requester_wait_time', 'duration'),
    ('agent_work_time', 'duration'), ('time_in_status', 'stay'), ('decision_velocity', 'duration'),
    ('question_answer_time', 'duration')
) as shapes (kpi, shape);

create table place as
select key, n, source, tags, coalesce(channel, 'none') as channel, coalesce(team, 'none') as team,
    coalesce(agent, 'none') as agent, coalesce(priority, 'none') as priority, coalesce(brand, 'none') as brand,
    coalesce(tier, 'none') as tier
from state;

create table placed as select * from tally join place using (key, n) left join shape using (kpi);

-- The full resolution is also what resolution_time itself says.
insert into placed by name select * replace (null as part) from placed where kpi = 'resolution_time' and part = 'full';

create macro bracket(hours) as case
    when hours < 1 then 'under_1h' when hours < 4 then '1h_4h' when hours < 24 then '4h_24h' when hours < 72 then '1d_3d'
    when hours < 168 then '3d_7d' when hours < 720 then '7d_30d' else 'over_30d' end;

create macro counted(start_us, end_us, now_us) as table
with cases as (
    from placed
    where at_us is null and (kpi <> 'open_breached' or since_us <= now_us)
       or at_us >= start_us and at_us < end_us and (kpi not like 'sla_%' or at_us <= now_us)
    union all by name
    select 'agent_retention' as kpi, 'ratio' as shape, employment.key, place.* exclude (key),
        exists (from employment last where last.key = employment.key and last.there and last.until_us is null) as hit
    from employment join place using (key, n)
    where there and at_us < start_us and coalesce(until_us >= start_us, true)
), aged as (
    select *, greatest(0, now_us // 3_600_000_000 - since_us // 3_600_000_000) as hours from cases
)
select * replace (
    if(part = 'by_age', 'by_age.' || bracket(hours), part) as part,
    coalesce(if(part = 'by_age' or part like 'by_status.%', 'number', shape), 'count') as shape
), hours * 3600 as age_s
from aged;
