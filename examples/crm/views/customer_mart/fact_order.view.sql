/*---
view: customer_mart.fact_order
owner: sales-data@example.com
description: Orders with their measures - the latest 90 days live from the shop, older ones from the warehouse. Grain - one order.
key: [order_id]
freshness: {class: real_time}
relations:
  customer:  {to: conformed.dim_customer, join: {customer_id: customer_id}}
  purchases: {to: customer_mart.fact_purchase, join: {order_id: order_id}, many: true}
---*/
select order_id,
       customer_id,
       ordered_on,
       items,                                                                          -- Number of discs
       amount,                                                                         -- US dollars, whatever became of it
       status,                                                                         -- paid, shipped, returned or cancelled
       case when status in ('cancelled', 'returned') then 0.00 else amount end as revenue, -- US dollars that stood
       case when status in ('cancelled', 'returned') then 0 else 1 end as stood,       -- 1 unless cancelled or returned
       case when status = 'returned' then 1 else 0 end as returned
from sales.orders
