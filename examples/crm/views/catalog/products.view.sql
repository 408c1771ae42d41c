/*---
view: catalog.products
owner: product-data@example.com
description: One row a product, as the ERP has it.
key: [product_id]
freshness: {class: real_time, ttl: 30s}
---*/
select product_id,
       title,
       artist,
       genre,
       list_price,                                -- US dollars, tax included
       unit_cost,                                 -- US dollars that one disc costs us
       list_price - unit_cost as unit_margin,     -- US dollars left of the list price
       supplier_id,
       released_on,
       status                                     -- active, phasing out or discontinued
from erp.products
