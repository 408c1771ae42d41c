/*---
view: isp.area_three_months
description: The complaints of each area that were logged since the same day three months ago, in New York.
key: [area_id]
freshness: {class: real_time, ttl: 1s}
---*/
select area_id,
       count(*) as complaints,
       count(*) filter (where outcome = 'within') as within,               -- Solved by the time expected
       count(*) filter (where outcome in ('late', 'overdue')) as missed,   -- Solved after it, or open after it
       round(100.0 * count(*) filter (where outcome = 'within')
             / nullif(count(*) filter (where outcome in ('within', 'late', 'overdue')), 0), 1) as within_percent
from isp.complaints
where logged_at >= now() - interval '95 days'   -- what sources can be asked for; the next condition is the exact one
  and logged_at >= (date_trunc('day', now() at time zone 'America/New_York') - interval '3 months')
                   at time zone 'America/New_York'
group by area_id
