/*---
view: desk.cross_sell
owner: sales-data@example.com
description: >-
  What to offer to a customer in a call: products that others bought with what the customer ordered, weighed with the
  habits of the customer's segment; never what the customer has or waits for, nor what is not sold any more.
key: [customer_id, product_id]
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  product:  {to: catalog.products, join: {product_id: product_id}}
  because:  {to: desk.leads, join: {customer_id: customer_id, product_id: other_id}, many: true}
---*/
select f.customer_id,
       f.product_id,
       f.title,
       f.artist,
       f.genre,
       f.list_price,
       round(p.weight_similar * f.similarity + p.weight_habit * coalesce(h.share, 0), 6) as score,  -- Orders the offers
       f.similarity,                                                        -- Sum of the cosines
       coalesce(h.share, 0) as habit,                                       -- Part of the segment who have it
       f.because_of,                                                        -- Products of the customer that led here
       f.best_lift,
       f.available                                                          -- Discs that can be sent today
from (
    select customer_id, other_id as product_id, title, artist, genre, list_price, available,
           sum(cosine) as similarity, count(*) as because_of, max(lift) as best_lift
    from desk.leads
    group by customer_id, other_id, title, artist, genre, list_price, available
) f
left join dwh.customers k on k.customer_id = f.customer_id
left join desk.segment_habits h on h.segment = k.segment and h.tier = k.tier and h.product_id = f.product_id
cross join desk.policy p
where not exists (
    select from desk.has_bought b where b.customer_id = f.customer_id and b.product_id = f.product_id
)
and not exists (
    select from shop.reservations r
    where r.customer_id = f.customer_id and r.product_id = f.product_id and r.state = 'waiting'
)
