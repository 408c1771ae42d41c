/*---
view: product_mart.sales_month
owner: sales-data@example.com
description: What each product sold by month. Grain - one product and month.
key: [product_id, month]
freshness: {class: real_time}
relations:
  product: {to: conformed.dim_product, join: {product_id: product_id}}
---*/
select product_id,
       date_trunc('month', ordered_on::timestamp)::date as month,  -- First day of the month
       sum(quantity) as ordered,                                   -- Discs, whatever became of the orders
       sum(units) as units,                                        -- Discs that stood
       sum(revenue) as revenue,                                    -- US dollars that stood
       sum(returned) as returned                                   -- Discs that came back
from customer_mart.fact_purchase
group by product_id, date_trunc('month', ordered_on::timestamp)::date
