/*---
view: desk.supply
owner: supply@example.com
description: What can be promised of each product now, and when more of it comes. From the ERP, which knows of delays first.
key: [product_id]
freshness: {class: real_time, ttl: 5s}
relations:
  product: {to: catalog.products, join: {product_id: product_id}}
  queue:   {to: desk.allocation, join: {product_id: product_id}, many: true}
---*/
select s.product_id,
       s.on_hand,
       greatest(s.on_hand - s.allocated - s.safety, 0) as available,  -- Less what is promised and what is kept back
       coalesce(d.coming, 0) as coming,                               -- In deliveries that are on the way or delayed
       coalesce(d.delayed, 0) as delayed,                             -- Of these in delayed ones
       d.next_on,                                                     -- Day on which the next is expected
       s.counted_at
from erp.stock s
left join (
    select product_id,
           sum(quantity) as coming,
           sum(quantity) filter (where state = 'delayed') as delayed,
           min(expected_on) as next_on
    from erp.deliveries
    where state <> 'received'
    group by product_id
) d on d.product_id = s.product_id
