/*---
view: desk.allocation
owner: sales-operations@example.com
description: >-
  Who gets how much of what is short: the available discs go down the queue of each product, and not one more. Who is
  held for money owed stands behind all others. For one customer ask desk.my_place, which reads the queues of that
  customer's products only.
key: [reservation_id]
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  product:  {to: catalog.products, join: {product_id: product_id}}
  supply:   {to: desk.supply, join: {product_id: product_id}}
---*/
select q.reservation_id,
       q.product_id,
       q.customer_id,
       q.place,                                                                   -- In the product's queue; 1 is first
       q.points,
       q.held,
       q.quantity,                                                                -- Discs wanted
       greatest(least(q.quantity, s.available - q.before), 0) as granted,         -- Discs that can go out now
       q.quantity - greatest(least(q.quantity, s.available - q.before), 0) as short,
       s.available,                                                               -- Discs of the product for all
       min(d.expected_on) as whole_on,                                            -- Expected day for the rest, if any
       q.reserved_at
from (
    select reservation_id, product_id, customer_id, quantity, held, points, reserved_at,
           row_number() over (
               partition by product_id order by held, points desc, reserved_at, reservation_id
           ) as place,
           sum(quantity) over (
               partition by product_id order by held, points desc, reserved_at, reservation_id
           ) - quantity as before
    from desk.waiting
) q
join desk.supply s on s.product_id = q.product_id
left join desk.deliveries_ahead d
    on d.product_id = q.product_id
    and q.before + q.quantity > s.available
    and d.by_then >= q.before + q.quantity - s.available
group by q.reservation_id, q.product_id, q.customer_id, q.place, q.points, q.held, q.quantity, s.available, q.before, q.reserved_at
