/*---
view: support.complaint_rate
description: Complaints for every hundred orders, by month.
key: [month]
freshness: {ttl: 60s}
---*/
select r.month,
       r.orders,
       coalesce(c.complaints, 0) as complaints,
       round(100.0 * coalesce(c.complaints, 0) / r.orders, 2) as per_hundred  -- Complaints per hundred orders
from sales.monthly_revenue r
left join (
    select date_trunc('month', opened_at at time zone 'UTC')::date as month, count(*) as complaints
    from support.complaints
    group by 1
) c on c.month = r.month
