/*---
view: desk.till_offers
owner: sales-operations@example.com
description: >-
  The discount that a till may give on each line of a sale in progress: the most that the customer's historic margin
  allows, more where the shelf is too full, never past the largest one nor below the floor of the margin on this disc.
key: [line_id]
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  product:  {to: catalog.products, join: {product_id: product_id}}
---*/
select o.line_id,
       o.receipt_id,
       o.store_id,
       o.customer_id,
       o.product_id,
       o.quantity,
       o.unit_price,
       o.unit_cost,
       o.margin_share,                                                  -- Of the customer's orders; NULL without any
       o.on_shelf,
       o.shelf_target,
       o.wanted,                                                        -- Discount by customer and shelf
       o.floor_price,                                                   -- The margin's floor on what the disc costs
       least(o.unit_price,
             greatest(round(o.unit_price * (1 - o.wanted), 2), o.floor_price)) as offer_price,
       o.unit_price - least(o.unit_price,
             greatest(round(o.unit_price * (1 - o.wanted), 2), o.floor_price)) as discount  -- US dollars a disc
from (
    select l.line_id, l.receipt_id, r.store_id, r.customer_id, l.product_id, l.quantity, l.unit_price, e.unit_cost,
           m.margin_share, s.on_shelf, s.target as shelf_target,
           round(ceil(e.unit_cost * (1 + p.margin_floor) * 100) / 100, 2) as floor_price,
           least(p.most_discount,
                 greatest(coalesce(m.margin_share * p.margin_share, p.new_customer), 0)
                     + case when s.on_shelf > 2 * s.target then p.overstock else 0 end) as wanted
    from stores.receipts r
    join stores.receipt_lines l on l.receipt_id = r.receipt_id
    join erp.products e on e.product_id = l.product_id
    left join stores.shelf_stock s on s.store_id = r.store_id and s.product_id = l.product_id
    left join desk.profitability m on m.customer_id = r.customer_id
    cross join desk.policy p
    where r.state = 'open'
) o
