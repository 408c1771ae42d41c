/*---
view: sales.lifetime_value
description: What each customer has bought so far, cancelled and returned orders left out.
key: [customer_id]
freshness: {ttl: 10s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select customer_id,
       count(*) as orders,                                -- Number of orders
       sum(items) as items,                               -- Number of discs
       sum(amount) as lifetime_value,                     -- US dollars in all
       round(avg(amount), 2) as average_order,            -- US dollars an order
       min(ordered_on) as first_order_on,                 -- Day of the first order
       max(ordered_on) as last_order_on                   -- Day of the latest order
from sales.orders
where status not in ('cancelled', 'returned')
group by customer_id
