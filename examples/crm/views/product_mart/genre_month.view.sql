/*---
view: product_mart.genre_month
owner: sales-data@example.com
description: What each genre sold by month, and what was left of it. Grain - one genre and month.
key: [genre, month]
freshness: {class: real_time}
---*/
select p.genre,
       m.month,                                                             -- First day of the month
       sum(m.units) as units,                                               -- Discs that stood
       sum(m.revenue) as revenue,                                           -- US dollars that stood
       sum(m.revenue) - sum(m.units * p.unit_cost) as margin,               -- US dollars left, at today's cost
       round(100.0 * sum(m.returned) / nullif(sum(m.ordered), 0), 2) as return_rate  -- Discs that came back, of a hundred
from product_mart.sales_month m
join erp.products p on p.product_id = m.product_id
group by p.genre, m.month
