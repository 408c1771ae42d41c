/*---
view: sales.cohort_value
description: What customers are worth, by the month of their first order.
key: [cohort]
freshness: {ttl: 60s}
---*/
select h.cohort,                                               -- First day of the month
       count(*) as customers,
       sum(v.lifetime_value) as revenue,                       -- US dollars
       round(sum(v.lifetime_value) / count(*), 2) as per_head  -- US dollars a customer
from dwh.cohorts h
left join sales.lifetime_value v on v.customer_id = h.customer_id
group by h.cohort
