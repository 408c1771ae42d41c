/*---
description: From which sale each invoice of a customer comes - by the origin of its lines, "sale.line,<number>" in Tryton.
key: [invoice_id]
---*/
select i.invoice as invoice_id, min(l.sale) as order_id
from tryton.account_invoice_line i
join tryton.sale_line l
    on l.id = case when i.origin like 'sale.line,%' then split_part(i.origin, ',', 2)::integer end
group by i.invoice
