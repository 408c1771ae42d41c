/*---
view: segmentation.genre_margin
owner: sales-data@example.com
description: What was earned with each customer in each genre, in all and in the last 365 days. Grain - one customer and genre bought.
key: [customer_id, genre]
freshness: {ttl: 10s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select l.customer_id,
       p.genre,
       sum(l.quantity) as discs,
       sum(l.amount - l.quantity * p.unit_cost) as margin,             -- US dollars above cost
       coalesce(sum(l.amount - l.quantity * p.unit_cost)
           filter (where l.ordered_on > current_date - 365), 0) as margin_year, -- The same of the last 365 days
       row_number() over (partition by l.customer_id
           order by sum(l.quantity) desc, sum(l.amount) desc, p.genre) as place -- 1 is the customer's favourite genre
from sales.order_lines l
join catalog.products p on p.product_id = l.product_id
group by l.customer_id, p.genre
