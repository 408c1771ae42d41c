/*---
description: Posted invoices of returns, on the invoice of the sale that came back.
key: [credit_note_id]
---*/
select n.id as credit_note_id,
       n.party as customer_id,
       (select min(o.invoice_id) from tryton.sale_of_invoice o where o.order_id = r.order_id) as invoice_id,
       n.create_date at time zone 'UTC' as issued_at,
       n.invoice_date as booked_on,
       -n.total_amount_cache as amount,
       'return' as reason
from tryton.account_invoice n
join tryton.sale_of_invoice s on s.invoice_id = n.id
join tryton.returns r on r.return_id = s.order_id
where n.type = 'out' and n.state in ('posted', 'paid')
