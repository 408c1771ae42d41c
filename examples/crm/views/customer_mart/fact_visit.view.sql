/*---
view: customer_mart.fact_visit
owner: shop-team@example.com
description: Visits of the web shop in the latest 30 days, from the first click to the order. Grain - one visit. Older ones are kept by month only (customer_mart.visit_funnel).
key: [visit_id]
freshness: {class: real_time}
relations:
  customer: {to: conformed.dim_customer, join: {customer_id: customer_id}}
---*/
select v.visit_id,
       v.customer_id,                           -- NULL where the visitor never signed in
       v.visited_on,
       coalesce(c.views, 0) as views,           -- Product pages
       coalesce(c.carts, 0) as carts,           -- Products put into the basket
       coalesce(c.checkouts, 0) as checkouts,   -- 1 where the visitor went to pay
       coalesce(c.orders, 0) as orders          -- 1 where an order came of it
from shop.visits v
left join (
    select visit_id,
           sum(case when kind = 'view' then 1 else 0 end)::int as views,
           sum(case when kind = 'cart' then 1 else 0 end)::int as carts,
           max(case when kind = 'checkout' then 1 else 0 end) as checkouts,
           max(case when kind = 'order' then 1 else 0 end) as orders
    from shop.clicks
    group by visit_id
) c on c.visit_id = v.visit_id
