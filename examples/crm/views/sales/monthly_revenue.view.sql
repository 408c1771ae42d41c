/*---
view: sales.monthly_revenue
description: Revenue by month, over warehouse and shop.
key: [month]
freshness: {ttl: 30s}
---*/
select date_trunc('month', ordered_on::timestamp)::date as month,  -- First day of the month
       count(*) as orders,
       count(distinct customer_id) as buyers,                      -- Customers with an order in the month
       sum(items) as items,
       sum(amount) as revenue                                      -- US dollars
from sales.orders
where status <> 'cancelled'
group by 1
