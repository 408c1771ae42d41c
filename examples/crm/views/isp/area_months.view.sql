/*---
view: isp.area_months
description: Each area's complaints by the month in which they were logged, as months are counted in New York.
key: [area_id, month]
freshness: {class: real_time, ttl: 5s}
relations:
  area: {to: isp.areas, join: {area_id: area_id}}
---*/
select area_id,
       date_trunc('month', logged_at at time zone 'America/New_York')::date as month,   -- First day
       count(*) as complaints,
       count(*) filter (where outcome = 'within') as within,                            -- Solved by the time expected
       count(*) filter (where outcome in ('late', 'overdue')) as missed,                -- Solved after it, or open after it
       round(100.0 * count(*) filter (where outcome = 'within')
             / nullif(count(*) filter (where outcome in ('within', 'late', 'overdue')), 0), 1) as within_percent
from isp.complaints
group by 1, 2
