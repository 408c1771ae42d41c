/*---
view: isp.usage_periods
owner: network-operations@example.com
description: >-
  What each line carried by the day, the week (from Monday), the month and the year, as these are counted in New York.
  A period without use has no row.
key: [customer_id, period, starts_on]
freshness: {class: real_time, ttl: 5s}
relations:
  line: {to: isp.lines, join: {customer_id: customer_id}}
---*/
select customer_id,
       'day' as period,                                           -- day, week, month or year
       used_on as starts_on,                                      -- Its first day
       total_mb                                                   -- Megabytes both ways
from isp.usage_days
union all
select customer_id, 'week', date_trunc('week', used_on::timestamp)::date, sum(total_mb)::bigint
from isp.usage_days
group by 1, 3
union all
select customer_id, 'month', date_trunc('month', used_on::timestamp)::date, sum(total_mb)::bigint
from isp.usage_days
group by 1, 3
union all
select customer_id, 'year', date_trunc('year', used_on::timestamp)::date, sum(total_mb)::bigint
from isp.usage_days
group by 1, 3
