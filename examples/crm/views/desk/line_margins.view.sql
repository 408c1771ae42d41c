/*---
view: desk.line_margins
owner: controlling@example.com
description: >-
  What each order line left over what its discs cost. Two parts, as the lines of the web shop and of the warehouse each
  hand their products on as keys.
key: [line_id]
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  product:  {to: catalog.products, join: {product_id: product_id}}
---*/
select l.line_id,
       l.customer_id,
       l.product_id,
       l.amount as revenue,                  -- US dollars
       l.quantity * p.unit_cost as cost      -- US dollars, at today's cost
from shop.order_lines l
join erp.products p on p.product_id = l.product_id
where l.ordered_on >= (select max(loaded_until) from dwh.loads where table_name = 'order_lines')
union all
select l.line_id, l.customer_id, l.product_id, l.amount, l.quantity * p.unit_cost
from dwh.order_lines l
join erp.products p on p.product_id = l.product_id
where l.ordered_on < (select max(loaded_until) from dwh.loads where table_name = 'order_lines')
