/*---
view: sales.order_lines
owner: sales-data@example.com
description: What was ordered, a row a product of an order - the latest 90 days live from the shop, older ones from the warehouse.
key: [line_id]
freshness: {ttl: 2s}
relations:
  order:   {to: sales.orders, join: {order_id: order_id}}
  product: {to: catalog.products, join: {product_id: product_id}}
---*/
select line_id,
       order_id,
       customer_id,     -- Who bought
       ordered_on,      -- Day of the order
       product_id,
       quantity,        -- Number of discs
       amount           -- US dollars paid for the line; an order's lines add up to its amount
from shop.order_lines
where ordered_on >= (select max(loaded_until) from dwh.loads where table_name = 'order_lines')
union all
select line_id, order_id, customer_id, ordered_on, product_id, quantity, amount
from dwh.order_lines
where ordered_on < (select max(loaded_until) from dwh.loads where table_name = 'order_lines')
