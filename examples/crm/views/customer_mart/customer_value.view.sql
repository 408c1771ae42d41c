/*---
view: customer_mart.customer_value
owner: sales-data@example.com
description: What each customer has bought. Grain - one customer with an order. Shop and warehouse add up their own orders first, so that a customer's row leaves each instead of all orders.
key: [customer_id]
freshness: {class: real_time}
relations:
  customer: {to: conformed.dim_customer, join: {customer_id: customer_id}}
---*/
select customer_id,
       sum(placed) as placed,                 -- Orders, whatever became of them
       sum(orders) as orders,                 -- Orders that stood
       sum(revenue) as revenue,               -- US dollars of these
       sum(returned) as returned,             -- Orders that came back
       max(last_order_on) as last_order_on    -- Day of the latest order that stood
from (
    select customer_id,
           count(*) as placed,
           sum(case when status in ('cancelled', 'returned') then 0 else 1 end) as orders,
           sum(case when status in ('cancelled', 'returned') then 0.00 else amount end) as revenue,
           sum(case when status = 'returned' then 1 else 0 end) as returned,
           max(case when status not in ('cancelled', 'returned') then ordered_on end) as last_order_on
    from shop.orders
    where ordered_on >= (select max(loaded_until) from dwh.loads where table_name = 'orders')
    group by customer_id
    union all
    select customer_id,
           count(*),
           sum(case when status in ('cancelled', 'returned') then 0 else 1 end),
           sum(case when status in ('cancelled', 'returned') then 0.00 else amount end),
           sum(case when status = 'returned' then 1 else 0 end),
           max(case when status not in ('cancelled', 'returned') then ordered_on end)
    from dwh.orders
    where ordered_on < (select max(loaded_until) from dwh.loads where table_name = 'orders')
    group by customer_id
) o
group by customer_id
