/*---
view: sales.revenue_by_region
description: Customers and revenue of each region; customers without one count as (none).
key: [region]
freshness: {ttl: 5s}
---*/
select coalesce(c.region, '(none)') as region,
       count(*) as customers,                              -- Customers of the region
       count(v.customer_id) as buyers,                     -- Those with an order that stood
       coalesce(sum(v.lifetime_value), 0) as revenue       -- US dollars
from crm.customers c
left join sales.lifetime_value v on v.customer_id = c.customer_id
group by 1
