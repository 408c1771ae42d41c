/*---
description: What customers wait for - moves of goods to them that are not done.
key: [reservation_id]
---*/
select m.id as reservation_id,
       s.customer as customer_id,
       m.product as product_id,
       round(m.quantity::numeric)::integer as quantity,
       m.create_date at time zone 'UTC' as reserved_at,
       'web' as channel,
       case m.state when 'assigned' then 'allocated' else 'waiting' end as state
from tryton.stock_move m
join tryton.stock_shipment_out s
    on s.id = case when m.shipment like 'stock.shipment.out,%' then split_part(m.shipment, ',', 2)::integer end
join tryton.stock_location l on l.id = m.to_location
join tryton.companies c on c.company_id = m.company
where m.state in ('draft', 'assigned') and l.type = 'customer'
