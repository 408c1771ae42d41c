/*---
description: Lines of sales that were confirmed or cancelled, without returns (which are sales of their own in Tryton).
key: [line_id]
---*/
select l.id as line_id,
       l.sale as order_id,
       s.party as customer_id,
       coalesce(s.sale_date, s.create_date::date) as ordered_on,
       l.product as product_id,
       round(l.quantity::numeric)::integer as quantity,
       round(l.quantity::numeric * l.unit_price, u.digits) as amount     -- As Tryton rounds it, before tax
from tryton.sale_line l
join tryton.sale_sale s on s.id = l.sale
join tryton.companies c on c.company_id = s.company
join tryton.currency_currency u on u.id = s.currency
where l.type = 'line'
  and s.state in ('confirmed', 'processing', 'done', 'cancelled')
  and coalesce(s.origin, '') not like 'sale.sale,%'
