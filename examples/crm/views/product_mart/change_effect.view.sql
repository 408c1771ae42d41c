/*---
view: product_mart.change_effect
owner: product-data@example.com
description: What each change of a product or its price did to sales and returns, eight weeks before against up to eight weeks after it; its own week counts for neither. Grain - one change that took effect.
key: [event_id]
freshness: {class: real_time}
relations:
  product: {to: conformed.dim_product, join: {product_id: product_id}}
---*/
with events as (
    select 'change ' || change_id as event_id, product_id, kind, effective_on,
           null::numeric as old_price, null::numeric as new_price
    from erp.change_requests
    where effective_on is not null
    union all
    select 'price ' || n.price_id, n.product_id, 'price', n.valid_from, o.price, n.price
    from erp.prices n
    join erp.prices o on o.product_id = n.product_id and o.valid_until = n.valid_from
),
compared as (
    select e.event_id, e.product_id, e.kind, e.effective_on, e.old_price, e.new_price,
           least(8, (date_trunc('week', current_date::timestamp)::date - e.week) / 7 - 1) as weeks_after,
           coalesce(sum(w.units) filter (where w.week < e.week), 0) as units_before,
           coalesce(sum(w.units) filter (where w.week > e.week), 0) as units_after,
           coalesce(sum(w.ordered) filter (where w.week < e.week), 0) as ordered_before,
           coalesce(sum(w.ordered) filter (where w.week > e.week), 0) as ordered_after,
           coalesce(sum(w.revenue) filter (where w.week < e.week), 0) as revenue_before,
           coalesce(sum(w.revenue) filter (where w.week > e.week), 0) as revenue_after,
           coalesce(sum(w.returned) filter (where w.week < e.week), 0) as returned_before,
           coalesce(sum(w.returned) filter (where w.week > e.week), 0) as returned_after
    from (select events.*, date_trunc('week', effective_on::timestamp)::date as week from events) e
    left join product_mart.sales_week w on w.product_id = e.product_id
        and w.week between e.week - 56 and e.week + 56
        and w.week < date_trunc('week', current_date::timestamp)::date
    group by e.event_id, e.product_id, e.kind, e.effective_on, e.old_price, e.new_price, e.week
)
select c.event_id,                                                                  -- change or price, and its number in the ERP
       c.product_id,
       p.title,
       p.genre,
       c.kind,                                                                      -- artwork, remaster, packaging, bonus tracks or price
       c.effective_on,
       c.old_price,                                                                 -- US dollars; NULL unless the price changed
       c.new_price,
       greatest(c.weeks_after, 0) as weeks_after,                                   -- Whole weeks since, eight at most
       c.units_before,                                                              -- Discs that stood, eight weeks before
       c.units_after,
       c.revenue_before,                                                            -- US dollars
       c.revenue_after,
       round(c.units_before / 8.0, 2) as weekly_before,                             -- Discs a week
       round(1.0 * c.units_after / nullif(greatest(c.weeks_after, 0), 0), 2) as weekly_after,
       round(100.0 * (1.0 * c.units_after / nullif(greatest(c.weeks_after, 0), 0)) / nullif(c.units_before / 8.0, 0) - 100, 1)
           as units_effect,                                                         -- Percent more or fewer discs a week; NULL where it cannot be told
       round(100.0 * c.returned_before / nullif(c.ordered_before, 0), 1) as return_rate_before,
       round(100.0 * c.returned_after / nullif(c.ordered_after, 0), 1) as return_rate_after
from compared c
join erp.products p on p.product_id = c.product_id
