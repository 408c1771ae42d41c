/*---
view: conformed.dim_product
owner: product-data@example.com
description: Products with who supplies them, the dimension that all marts share. Grain - one product.
key: [product_id]
freshness: {class: real_time}
relations:
  supplier:    {to: conformed.dim_partner, join: {partner_id: partner_id}}
  performance: {to: product_mart.product_performance, join: {product_id: product_id}}
  reviews:     {to: product_mart.fact_review, join: {product_id: product_id}, many: true}
  changes:     {to: product_mart.change_effect, join: {product_id: product_id}, many: true}
  months:      {to: product_mart.sales_month, join: {product_id: product_id}, many: true}
---*/
select p.product_id,
       p.title,
       p.artist,
       p.genre,
       p.supplier_id as partner_id,
       s.name as partner,                         -- Who supplies it
       p.list_price,                              -- US dollars, tax included
       p.unit_cost,                               -- US dollars that one disc costs us
       p.released_on,                             -- Day of the launch
       p.status                                   -- active, phasing out or discontinued
from erp.products p
left join partners.partners s on s.partner_id = p.supplier_id
