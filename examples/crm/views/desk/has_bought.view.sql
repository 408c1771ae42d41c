/*---
view: desk.has_bought
owner: sales-data@example.com
description: Which products each customer has, from the warehouse, the web shop and, with a card, the tills.
key: [customer_id, product_id]
relations:
  product: {to: catalog.products, join: {product_id: product_id}}
---*/
select customer_id, product_id
from sales.order_lines
union
select r.customer_id, l.product_id
from stores.receipts r
join stores.receipt_lines l on l.receipt_id = r.receipt_id
where r.customer_id is not null and r.state <> 'void'
