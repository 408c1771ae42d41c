/*---
view: product_mart.review_trend
owner: product-data@example.com
description: How well each product is liked, and whether more or less than before; with the counts behind the means. Grain - one product with reviews.
key: [product_id]
freshness: {class: real_time}
relations:
  product: {to: conformed.dim_product, join: {product_id: product_id}}
  review_facts: {to: product_mart.fact_review, join: {product_id: product_id}, many: true}
---*/
select r.product_id,
       r.reviews,
       round(1.0 * r.points / r.reviews, 2) as average,                                -- Mean stars, 1 to 5
       coalesce(l.reviews, 0) as reviews_90,                                           -- Reviews of the latest 90 days
       round(1.0 * l.points / l.reviews, 2) as average_90,                             -- Mean stars of these; NULL without any
       r.reviews - coalesce(l.reviews, 0) as reviews_before,
       round(1.0 * (r.points - coalesce(l.points, 0)) / nullif(r.reviews - coalesce(l.reviews, 0), 0), 2)
           as average_before,                                                          -- NULL without any
       round(1.0 * l.points / l.reviews
             - 1.0 * (r.points - l.points) / nullif(r.reviews - l.reviews, 0), 2) as trend,  -- Stars up or down; NULL where either has no reviews
       round(100.0 * r.poor / r.reviews, 1) as poor_share,                             -- Percent with 1 or 2 stars
       r.last_review_on
from (
    select product_id,
           sum(reviews) as reviews,
           sum(points) as points,
           sum(poor) as poor,
           max(last_review_on) as last_review_on
    from (
        select product_id, count(*) as reviews, sum(stars) as points,
               sum(case when stars <= 2 then 1 else 0 end) as poor, max(reviewed_on) as last_review_on
        from shop.reviews
        where reviewed_on >= (select max(loaded_until) from dwh.loads where table_name = 'reviews')
        group by product_id
        union all
        select product_id, count(*), sum(stars), sum(case when stars <= 2 then 1 else 0 end), max(reviewed_on)
        from dwh.reviews
        where reviewed_on < (select max(loaded_until) from dwh.loads where table_name = 'reviews')
        group by product_id
    ) e
    group by product_id
) r
left join (
    select product_id, count(*) as reviews, sum(stars) as points
    from product_mart.fact_review
    where reviewed_on >= current_date - 90
    group by product_id
) l on l.product_id = r.product_id
