/*---
view: sales.orders
owner: sales-data@example.com
description: Every order - the latest 90 days live from the shop, older ones from the warehouse.
key: [order_id]
freshness: {ttl: 2s}
relations:
  customer:   {to: customers.customer_360, join: {customer_id: customer_id}}
  complaints: {to: support.complaints, join: {order_id: order_id}, many: true}
  lines:      {to: sales.order_lines, join: {order_id: order_id}, many: true}
columns:
  amount: {description: "US dollars, tax included"}
---*/
select order_id,        -- Number of the order, the same in shop and warehouse
       customer_id,     -- Who bought
       ordered_on,      -- Day of the order
       placed_at,       -- Instant of the order
       items,           -- Number of discs
       amount,
       status,          -- paid, shipped, returned or cancelled
       'shop' as origin -- Where the row was read: shop or warehouse
from shop.orders
where ordered_on >= (select max(loaded_until) from dwh.loads where table_name = 'orders')
union all
select order_id, customer_id, ordered_on, placed_at, items, amount, status, 'warehouse'
from dwh.orders
where ordered_on < (select max(loaded_until) from dwh.loads where table_name = 'orders')
