-- csat. semantics.md §a "CSAT": positive / rated, at the time of the answer; the upper 40 per cent of the scale is positive
-- where the vendor does not say. A later answer replaces an earlier one.

insert into tally by name
select distinct on (key) 'csat' as kpi, key, n, at_us,
    coalesce(positive, score > worst + 0.6 * (best - worst)) as hit
from fact join ticket using (key)
where kind = 'csat.received' and not deleted
order by key, n desc;
