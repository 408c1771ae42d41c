/*---
view: product_mart.fact_review
owner: shop-team@example.com
description: Reviews by those who bought the product - the latest 90 days live from the shop, older ones from the warehouse. Grain - one review.
key: [review_id]
freshness: {class: real_time}
relations:
  product:  {to: conformed.dim_product, join: {product_id: product_id}}
  customer: {to: conformed.dim_customer, join: {customer_id: customer_id}}
  order:    {to: customer_mart.fact_order, join: {order_id: order_id}}
---*/
select review_id,
       product_id,
       customer_id,
       order_id,
       reviewed_on,
       stars,         -- 1 to 5
       title          -- What the customer wrote above it; NULL where nothing
from shop.reviews
where reviewed_on >= (select max(loaded_until) from dwh.loads where table_name = 'reviews')
union all
select review_id, product_id, customer_id, order_id, reviewed_on, stars, title
from dwh.reviews
where reviewed_on < (select max(loaded_until) from dwh.loads where table_name = 'reviews')
