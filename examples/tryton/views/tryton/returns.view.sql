/*---
description: Sales that take another one back - their origin names it, and their quantities are negative.
key: [return_id]
---*/
select s.id as return_id,
       case when s.origin like 'sale.sale,%' then split_part(s.origin, ',', 2)::integer end as order_id,
       s.party as customer_id,
       coalesce(s.number, s.id::text) as number,
       coalesce(s.sale_date, s.create_date::date) as returned_on,
       s.create_date at time zone 'UTC' as returned_at,
       coalesce(-s.untaxed_amount_cache, 0) as refund,
       s.state,
       case when s.state = 'done' then s.write_date at time zone 'UTC' end as closed_at
from tryton.sale_sale s
join tryton.companies c on c.company_id = s.company
where s.origin like 'sale.sale,%' and s.state <> 'cancelled'
