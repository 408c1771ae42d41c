/*---
view: desk.bought_together
owner: sales-data@example.com
description: >-
  Item-to-item collaborative filtering over the warehouse's order lines: for each product those that the same customers
  bought. Computed by the warehouse, from what it holds at the moment.
key: [product_id, other_id]
freshness: {class: batch}
relations:
  product: {to: catalog.products, join: {product_id: product_id}}
  other:   {to: catalog.products, join: {other_id: product_id}}
---*/
with bought as (
    select distinct customer_id, product_id
    from dwh.order_lines
),
buyers as (
    select product_id, count(*) as customers
    from bought
    group by product_id
),
pairs as (
    select a.product_id, b.product_id as other_id, count(*) as together
    from bought a
    join bought b on b.customer_id = a.customer_id and b.product_id <> a.product_id
    group by a.product_id, b.product_id
    having count(*) >= (select value from crm.policy where name = 'cross_sell.together')
)
select p.product_id,
       p.other_id,
       p.together,                                                                  -- Customers who bought both
       a.customers as buyers,                                                       -- Customers who bought the product
       b.customers as other_buyers,
       round(p.together::numeric / n.customers, 6) as support,                      -- Part of all customers
       round(p.together::numeric / a.customers, 6) as confidence,                   -- Part of the product's buyers
       round(p.together::numeric * n.customers / (a.customers * b.customers), 4) as lift,  -- 1: as often as by chance
       round(p.together / sqrt((a.customers * b.customers)::numeric), 6) as cosine  -- Of the two columns of buyers
from pairs p
join buyers a on a.product_id = p.product_id
join buyers b on b.product_id = p.other_id
cross join (select count(distinct customer_id) as customers from dwh.order_lines) n
