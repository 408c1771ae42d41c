/*---
description: Sales that were confirmed or cancelled. A return is a sale whose origin is the one that it takes back.
key: [order_id]
---*/
select s.id as order_id,
       s.party as customer_id,
       coalesce(s.sale_date, s.create_date::date) as ordered_on,
       case when s.create_date::date = coalesce(s.sale_date, s.create_date::date) then s.create_date
            else s.sale_date::timestamp
       end at time zone 'UTC' as placed_at,                              -- Tryton keeps the day: from midnight on
       coalesce(l.items, 0)::integer as items,
       coalesce(s.untaxed_amount_cache, l.amount, 0) as amount,          -- The sum of its lines, before tax
       case when s.state = 'cancelled' then 'cancelled'
            when r.order_id is not null then 'returned'
            when s.shipment_state = 'sent' then 'shipped'
            when s.invoice_state = 'paid' then 'paid'
            else 'open'
       end as status
from tryton.sale_sale s
join tryton.companies c on c.company_id = s.company
left join (
    select order_id, sum(quantity) as items, sum(amount) as amount
    from shop.order_lines
    group by order_id
) l on l.order_id = s.id
left join (
    select distinct order_id from tryton.returns
) r on r.order_id = s.id
where s.state in ('confirmed', 'processing', 'done', 'cancelled')
  and coalesce(s.origin, '') not like 'sale.sale,%'
