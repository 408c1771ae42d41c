/*---
view: customer_mart.genre_preference
owner: crm-team@example.com
description: What each customer likes - bought, wished for and said, by genre. Grain - one customer and genre.
key: [customer_id, genre]
freshness: {class: real_time}
relations:
  customer: {to: conformed.dim_customer, join: {customer_id: customer_id}}
---*/
select customer_id,
       genre,
       sum(units) as units,                       -- Discs bought that stood
       sum(wishes) as wishes,                     -- Discs wished for and not bought yet
       max(said) as said,                         -- 1 where the customer says so
       round(100.0 * sum(units) / nullif(sum(sum(units)) over (partition by customer_id), 0), 1) as share,  -- Percent of the discs
       row_number() over (partition by customer_id order by sum(units) desc, max(said) desc, sum(wishes) desc, genre)
           as place                               -- 1 is the favourite
from (
    select b.customer_id, p.genre, b.units, 0 as wishes, 0 as said
    from (
        select customer_id, product_id, sum(units) as units
        from customer_mart.fact_purchase
        group by customer_id, product_id
    ) b
    join erp.products p on p.product_id = b.product_id
    union all
    select w.customer_id, p.genre, 0, w.wishes, 0
    from (
        select customer_id, product_id, count(*) as wishes
        from shop.wishes
        where bought_on is null
        group by customer_id, product_id
    ) w
    join erp.products p on p.product_id = w.product_id
    union all
    select customer_id, genre, 0, 0, 1
    from shop.preferences
) l
group by customer_id, genre
