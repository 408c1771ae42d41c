/*---
view: partner_mart.fact_delivery
owner: purchasing@example.com
description: What partners were ordered to deliver and did - the latest 90 days live from purchasing, older orders from the warehouse. Grain - one delivery of one product.
key: [delivery_id]
freshness: {class: real_time}
relations:
  partner: {to: conformed.dim_partner, join: {partner_id: partner_id}}
  product: {to: conformed.dim_product, join: {product_id: product_id}}
---*/
select delivery_id,
       partner_id,
       product_id,
       ordered_on,
       promised_on,
       delivered_on,                                                           -- NULL while it is on its way
       ordered,                                                                -- Discs
       delivered,                                                              -- Discs; NULL while they are on their way
       damaged,                                                                -- Discs, of those delivered
       amount,                                                                 -- US dollars to be paid for it
       delivered_on - ordered_on as lead_days,                                 -- From order to arrival
       case when delivered_on is null then 0 else 1 end as arrived,            -- 1 or 0
       case when delivered_on <= promised_on then 1 else 0 end as on_time      -- 1 where it came by the promised day
from partners.deliveries
where ordered_on >= (select max(loaded_until) from dwh.loads where table_name = 'partner_deliveries')
union all
select delivery_id, partner_id, product_id, ordered_on, promised_on, delivered_on, ordered, delivered, damaged, amount,
       lead_days,
       case when delivered_on is null then 0 else 1 end,
       case when delivered_on <= promised_on then 1 else 0 end
from dwh.partner_deliveries
where ordered_on < (select max(loaded_until) from dwh.loads where table_name = 'partner_deliveries')
