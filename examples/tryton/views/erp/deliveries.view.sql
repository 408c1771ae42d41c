/*---
description: Goods on their way from suppliers.
key: [delivery_id]
---*/
select m.id as delivery_id,
       m.product as product_id,
       null::integer as supplier_id,
       round(m.quantity::numeric)::integer as quantity,
       coalesce(m.origin_planned_date, m.planned_date) as promised_on,
       m.planned_date as expected_on,
       case when m.state = 'done' then 'received' when m.planned_date > m.origin_planned_date then 'delayed'
            else 'on the way'
       end as state,
       null::text as remark
from tryton.stock_move m
join tryton.stock_location f on f.id = m.from_location
join tryton.companies c on c.company_id = m.company
where f.type = 'supplier' and m.state <> 'cancelled'
