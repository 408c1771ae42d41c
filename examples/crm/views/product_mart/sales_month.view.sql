/*---
view: product_mart.sales_month
owner: sales-data@example.com
description: What each product sold by month. Grain - one product and month. The warehouse adds up its own months.
key: [product_id, month]
freshness: {class: real_time}
relations:
  product: {to: conformed.dim_product, join: {product_id: product_id}}
---*/
select product_id,
       month,                            -- First day of the month
       sum(ordered) as ordered,          -- Discs, whatever became of the orders
       sum(units) as units,              -- Discs that stood
       sum(revenue) as revenue,          -- US dollars that stood
       sum(returned) as returned         -- Discs that came back
from (
    select l.product_id,
           date_trunc('month', l.ordered_on::timestamp)::date as month,
           sum(l.quantity) as ordered,
           sum(case when o.status in ('cancelled', 'returned') then 0 else l.quantity end) as units,
           sum(case when o.status in ('cancelled', 'returned') then 0.00 else l.amount end) as revenue,
           sum(case when o.status = 'returned' then l.quantity else 0 end) as returned
    from shop.order_lines l
    join shop.orders o on o.order_id = l.order_id
    where l.ordered_on >= (select max(loaded_until) from dwh.loads where table_name = 'order_lines')
    group by l.product_id, date_trunc('month', l.ordered_on::timestamp)::date
    union all
    select l.product_id,
           date_trunc('month', l.ordered_on::timestamp)::date,
           sum(l.quantity),
           sum(case when o.status in ('cancelled', 'returned') then 0 else l.quantity end),
           sum(case when o.status in ('cancelled', 'returned') then 0.00 else l.amount end),
           sum(case when o.status = 'returned' then l.quantity else 0 end)
    from dwh.order_lines l
    join dwh.orders o on o.order_id = l.order_id
    where l.ordered_on < (select max(loaded_until) from dwh.loads where table_name = 'order_lines')
    group by l.product_id, date_trunc('month', l.ordered_on::timestamp)::date
) m
group by product_id, month
