/*---
description: Money on invoices - the lines of moves that Tryton counts as their payments.
key: [payment_id]
---*/
select l.id as payment_id,
       i.party as customer_id,
       i.id as invoice_id,
       l.create_date at time zone 'UTC' as paid_at,
       m.date as booked_on,
       l.credit - l.debit as amount,
       lower(j.type) as method
from tryton."account_invoice-account_move_line" p
join tryton.account_invoice i on i.id = p.invoice
join tryton.account_move_line l on l.id = p.line
join tryton.account_move m on m.id = l.move
join tryton.account_journal j on j.id = m.journal
join tryton.companies c on c.company_id = i.company
where i.type = 'out'
