/*---
view: desk.segment_habits
owner: sales-data@example.com
description: >-
  Which part of each segment's customers bought a product. Segments are the warehouse's (segment and tier of value at
  the last load), so that the warehouse computes it whole.
key: [segment, tier, product_id]
freshness: {class: batch, ttl: 10m}
relations:
  product: {to: catalog.products, join: {product_id: product_id}}
---*/
select h.segment,
       h.tier,                                             -- top (a fifth), middle or low, by what was spent
       h.product_id,
       h.buyers,
       s.customers,                                        -- Of the segment
       round(h.buyers::numeric / s.customers, 6) as share
from (
    select c.segment, c.tier, l.product_id, count(distinct l.customer_id) as buyers
    from dwh.customers c
    join dwh.order_lines l on l.customer_id = c.customer_id
    group by c.segment, c.tier, l.product_id
) h
join (
    select segment, tier, count(*) as customers
    from dwh.customers
    group by segment, tier
) s on s.segment = h.segment and s.tier = h.tier
