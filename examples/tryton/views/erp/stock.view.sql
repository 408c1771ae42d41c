/*---
description: What is in storage, and what of it is promised - sums over all moves, as Tryton itself computes them.
key: [product_id]
---*/
select p.id as product_id,
       coalesce(s.on_hand, 0)::integer as on_hand,
       coalesce(s.allocated, 0)::integer as allocated,
       0 as safety,                                                      -- Module stock_supply knows
       s.counted_at
from tryton.product_product p
left join (
    select m.product,
           round(sum(case when t.type = 'storage' then m.internal_quantity::numeric else 0 end
                     - case when f.type = 'storage' then m.internal_quantity::numeric else 0 end)
                 filter (where m.state = 'done')) as on_hand,
           round(sum(m.internal_quantity::numeric)
                 filter (where f.type = 'storage' and t.type <> 'storage' and m.state in ('draft', 'assigned'))) as allocated,
           max(coalesce(m.write_date, m.create_date)) at time zone 'UTC' as counted_at
    from tryton.stock_move m
    join tryton.stock_location f on f.id = m.from_location
    join tryton.stock_location t on t.id = m.to_location
    join tryton.companies c on c.company_id = m.company
    group by m.product
) s on s.product = p.id
