/*---
view: desk.my_place
owner: sales-operations@example.com
description: >-
  A customer's places in the queues of what is short. The same rows as desk.allocation, asked from the customer's side:
  first which products, then the queues of these.
key: [reservation_id]
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  product:  {to: catalog.products, join: {product_id: product_id}}
  supply:   {to: desk.supply, join: {product_id: product_id}}
---*/
select r.reservation_id,
       r.customer_id,
       r.product_id,
       a.place,
       a.points,
       a.held,
       a.quantity,
       a.granted,                             -- Discs that can go out now
       a.short,
       a.whole_on,                            -- Expected day for the rest
       a.available,
       a.reserved_at
from shop.reservations r
join desk.allocation a on a.product_id = r.product_id and a.reservation_id = r.reservation_id
where r.state = 'waiting'
