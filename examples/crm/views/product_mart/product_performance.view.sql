/*---
view: product_mart.product_performance
owner: product-data@example.com
description: Each product's sales, margin, returns, interest and reviews. Grain - one product, also one that never sold.
key: [product_id]
freshness: {class: real_time}
relations:
  product: {to: conformed.dim_product, join: {product_id: product_id}}
  months:  {to: product_mart.sales_month, join: {product_id: product_id}, many: true}
---*/
select p.product_id,
       p.title,
       p.artist,
       p.genre,
       p.status,
       coalesce(s.units, 0) as units,                                               -- Discs that stood
       coalesce(s.revenue, 0) as revenue,                                           -- US dollars that stood
       coalesce(s.revenue, 0) - coalesce(s.units, 0) * p.unit_cost as margin,       -- US dollars left, at today's cost
       coalesce(l.units, 0) as units_90,                                            -- Discs of the latest 90 days
       round(100.0 * s.returned / nullif(s.ordered, 0), 2) as return_rate,          -- Discs that came back, of a hundred
       s.last_sold_on,
       coalesce(k.views, 0) as views_30,                                            -- Pages seen in the latest 30 days
       coalesce(k.carts, 0) as carts_30,                                            -- Put into baskets in the latest 30 days
       round(100.0 * k.carts / nullif(k.views, 0), 1) as cart_rate,                 -- Of a hundred pages seen
       coalesce(w.wishes, 0) as wishes,                                             -- Customers who still wish for it
       coalesce(r.reviews, 0) as reviews,
       r.average as stars,                                                          -- Mean of the reviews; NULL without any
       r.trend as stars_trend                                                       -- Latest 90 days against before
from erp.products p
left join (
    select product_id,
           sum(quantity) as ordered,
           sum(units) as units,
           sum(revenue) as revenue,
           sum(returned) as returned,
           max(ordered_on) as last_sold_on
    from customer_mart.fact_purchase
    group by product_id
) s on s.product_id = p.product_id
left join (
    select product_id, sum(units) as units
    from customer_mart.fact_purchase
    where ordered_on >= current_date - 90
    group by product_id
) l on l.product_id = p.product_id
left join (
    select c.product_id,
           sum(case when c.kind = 'view' then 1 else 0 end) as views,
           sum(case when c.kind = 'cart' then 1 else 0 end) as carts
    from shop.clicks c
    join shop.visits v on v.visit_id = c.visit_id
    where c.product_id is not null and v.visited_on >= current_date - 30
    group by c.product_id
) k on k.product_id = p.product_id
left join (
    select product_id, count(distinct customer_id) as wishes
    from shop.wishes
    where bought_on is null
    group by product_id
) w on w.product_id = p.product_id
left join product_mart.review_trend r on r.product_id = p.product_id
