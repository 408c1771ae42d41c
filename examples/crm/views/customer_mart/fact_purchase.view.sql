/*---
view: customer_mart.fact_purchase
owner: sales-data@example.com
description: Products bought, with what became of the order - the latest 90 days live from the shop, older ones from the warehouse. Grain - one product of an order.
key: [line_id]
freshness: {class: real_time}
relations:
  customer: {to: conformed.dim_customer, join: {customer_id: customer_id}}
  product:  {to: conformed.dim_product, join: {product_id: product_id}}
  order:    {to: customer_mart.fact_order, join: {order_id: order_id}}
---*/
select l.line_id,
       l.order_id,
       l.customer_id,
       l.product_id,
       l.ordered_on,
       l.quantity,                                                                           -- Number of discs
       l.amount,                                                                             -- US dollars, whatever became of it
       case when o.status in ('cancelled', 'returned') then 0 else l.quantity end as units,  -- Discs that stood
       case when o.status in ('cancelled', 'returned') then 0.00 else l.amount end as revenue,  -- US dollars that stood
       case when o.status = 'returned' then l.quantity else 0 end as returned                -- Discs that came back
from shop.order_lines l
join shop.orders o on o.order_id = l.order_id
where l.ordered_on >= (select max(loaded_until) from dwh.loads where table_name = 'order_lines')
union all
select l.line_id, l.order_id, l.customer_id, l.product_id, l.ordered_on, l.quantity, l.amount,
       case when o.status in ('cancelled', 'returned') then 0 else l.quantity end,
       case when o.status in ('cancelled', 'returned') then 0.00 else l.amount end,
       case when o.status = 'returned' then l.quantity else 0 end
from dwh.order_lines l
join dwh.orders o on o.order_id = l.order_id
where l.ordered_on < (select max(loaded_until) from dwh.loads where table_name = 'order_lines')
