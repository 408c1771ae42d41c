/*---
view: partner_mart.sell_through
owner: purchasing@example.com
description: What partners were given to make, what came and what of their products was sold, by month. Grain - one partner and month.
key: [partner_id, month]
freshness: {class: real_time}
relations:
  partner: {to: conformed.dim_partner, join: {partner_id: partner_id}}
---*/
select partner_id,
       month,                                                              -- First day of the month
       sum(allocated) as allocated,                                        -- Discs given to make
       sum(delivered) as delivered,                                        -- Discs that arrived in the month
       sum(units) as sold,                                                 -- Discs of its products sold, that stood
       sum(revenue) as revenue,                                            -- US dollars of these
       round(100.0 * sum(units) / nullif(sum(delivered), 0), 1) as sell_through  -- Percent; more than 100 sells what was in stock
from (
    select p.supplier_id as partner_id, m.month, 0 as allocated, 0 as delivered, m.units, m.revenue
    from product_mart.sales_month m
    join erp.products p on p.product_id = m.product_id
    union all
    select partner_id, month, sum(allocated), 0, 0, 0
    from partners.allocations
    group by partner_id, month
    union all
    select d.partner_id, date_trunc('month', d.delivered_on::timestamp)::date, 0, d.delivered, 0, 0
    from (
        select partner_id, delivered_on, sum(delivered) as delivered
        from partner_mart.fact_delivery
        where delivered_on is not null
        group by partner_id, delivered_on
    ) d
) f
group by partner_id, month
