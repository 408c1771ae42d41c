/*---
view: desk.leads
owner: sales-data@example.com
description: >-
  Which similar products each product that a customer ordered leads to, and how many of these can be sent. Two parts, as
  the few orders of a customer in the warehouse and in the web shop each hand their products on as keys.
key: [customer_id, product_id, other_id]
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  product:  {to: catalog.products, join: {product_id: product_id}}
  other:    {to: catalog.products, join: {other_id: product_id}}
---*/
select l.customer_id,
       l.product_id,                                                -- Ordered
       s.other_id,                                                  -- Similar to it
       s.cosine,
       s.lift,
       e.title, e.artist, e.genre, e.list_price,
       greatest(k.on_hand - k.allocated - k.safety, 0) as available -- Discs that can be sent today
from (select distinct customer_id, product_id from dwh.order_lines) l
join dwh.similar_products s on s.product_id = l.product_id
join erp.products e on e.product_id = s.other_id and e.status <> 'discontinued'
join erp.stock k on k.product_id = s.other_id
where s.place <= (select value from crm.policy where name = 'cross_sell.similar')
  and s.together >= (select value from crm.policy where name = 'cross_sell.together')
union
select l.customer_id, l.product_id, s.other_id, s.cosine, s.lift, e.title, e.artist, e.genre, e.list_price,
       greatest(k.on_hand - k.allocated - k.safety, 0)
from (select distinct customer_id, product_id from shop.order_lines) l
join dwh.similar_products s on s.product_id = l.product_id
join erp.products e on e.product_id = s.other_id and e.status <> 'discontinued'
join erp.stock k on k.product_id = s.other_id
where s.place <= (select value from crm.policy where name = 'cross_sell.similar')
  and s.together >= (select value from crm.policy where name = 'cross_sell.together')
