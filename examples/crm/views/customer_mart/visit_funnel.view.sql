/*---
view: customer_mart.visit_funnel
owner: shop-team@example.com
description: From the visit to the order by month, live clicks and the warehouse's sums together. Grain - one month.
key: [month]
freshness: {class: real_time}
---*/
select month,                                                          -- First day of the month
       sum(visits) as visits,
       sum(views) as views,                                            -- Product pages
       sum(carts) as carts,                                            -- Products put into the basket
       sum(checkouts) as checkouts,
       sum(orders) as orders,
       round(1.0 * sum(views) / nullif(sum(visits), 0), 2) as views_a_visit,
       round(100.0 * sum(checkouts) / nullif(sum(visits), 0), 2) as checkout_rate,    -- Of a hundred visits
       round(100.0 * sum(orders) / nullif(sum(checkouts), 0), 2) as completion_rate,  -- Of a hundred that went to pay
       round(100.0 * sum(orders) / nullif(sum(visits), 0), 2) as conversion_rate      -- Orders, of a hundred visits
from (
    select date_trunc('month', d.visited_on::timestamp)::date as month, d.visits, d.views, d.carts, d.checkouts, d.orders
    from (
        select visited_on,
               count(*) as visits,
               sum(views) as views,
               sum(carts) as carts,
               sum(checkouts) as checkouts,
               sum(orders) as orders
        from customer_mart.fact_visit
        group by visited_on
    ) d
    where d.visited_on >= (select max(loaded_until) from dwh.loads where table_name = 'clicks')
    union all
    select month, sum(visits), sum(views), sum(carts), sum(checkouts), sum(orders)
    from dwh.click_months
    group by month
) m
group by month
