/*---
description: The month of each customer's first order.
key: [customer_id]
---*/
select customer_id,
       date_trunc('month', min(ordered_on)::timestamp)::date as cohort,
       min(ordered_on) as first_order_on
from dwh.orders
group by customer_id
