/*---
view: customer_mart.value_by_segment
owner: sales-data@example.com
description: What customers are worth by region and segment. Grain - one region and segment.
key: [region, segment]
freshness: {class: real_time}
---*/
select coalesce(c.region, '(none)') as region,                             -- Sales region; (none) where it is not known
       c.segment,                                                          -- consumer or business
       count(*) as customers,
       count(o.last_order_on) as buyers,                                   -- With an order that stood
       coalesce(sum(o.orders), 0) as orders,
       coalesce(sum(o.revenue), 0) as revenue,                             -- US dollars of orders that stood
       round(sum(o.revenue) / nullif(sum(o.orders), 0), 2) as average_order,
       round(coalesce(sum(o.revenue), 0) / count(*), 2) as per_customer,   -- US dollars
       count(*) filter (where o.last_order_on >= current_date - 90) as active  -- Bought in the latest 90 days
from crm.customers c
left join customer_mart.customer_value o on o.customer_id = c.customer_id
group by 1, 2
