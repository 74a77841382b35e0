-- csat, ces, nps, qa_score: CSAT is positive / rated, the upper 40 per cent of the scale where the vendor does not say;
-- CES a mean of 1 to 7; NPS promoters less detractors; all at the time of the answer. The customer's later answer
-- replaces an earlier one; every quality review counts.

create table answer as
select distinct on (key, kind) key, n, at_us, kind, positive, (score - worst) / (best - worst) as share
from fact join ticket using (key)
where kind in ('csat.received', 'ces.received', 'nps.received') and not deleted
order by key, kind, n desc;

insert into tally by name
select 'csat' as kpi, key, n, at_us, coalesce(positive, share > 0.6) as hit from answer where kind = 'csat.received';

insert into tally by name
select 'ces' as kpi, key, n, at_us, 1 + 6 * share as amount from answer where kind = 'ces.received';

insert into tally by name
select 'nps' as kpi, key, n, at_us, case when 10 * share >= 9 then true when 10 * share <= 6 then false end as hit
from answer where kind = 'nps.received';

insert into tally by name
select 'qa_score' as kpi, key, n, at_us, greatest(0, score / best) as amount
from fact join ticket using (key)
where kind = 'qa.scored' and not deleted;
