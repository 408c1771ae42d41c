/*---
view: desk.deliveries_ahead
owner: supply@example.com
description: Deliveries to come, with how many discs of the product will have come by then.
key: [delivery_id]
freshness: {class: real_time, ttl: 5s}
relations:
  product: {to: catalog.products, join: {product_id: product_id}}
---*/
select delivery_id,
       product_id,
       quantity,
       promised_on,
       expected_on,
       expected_on - promised_on as days_late,
       state,                                    -- on the way or delayed
       remark,
       sum(quantity) over (
           partition by product_id order by expected_on, delivery_id
       ) as by_then                              -- Discs of this delivery and all before it
from erp.deliveries
where state <> 'received'
