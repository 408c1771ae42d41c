/*---
description: Posted invoices to customers.
key: [invoice_id]
---*/
select i.id as invoice_id,
       i.party as customer_id,
       o.order_id,
       i.create_date at time zone 'UTC' as issued_at,
       i.invoice_date as booked_on,
       coalesce(d.due_on, i.invoice_date) as due_on,
       i.total_amount_cache as amount                                    -- With tax
from tryton.account_invoice i
join tryton.sale_of_invoice o on o.invoice_id = i.id
join tryton.companies c on c.company_id = i.company
left join (
    select move, max(maturity_date) as due_on from tryton.account_move_line group by move
) d on d.move = i.move
where i.type = 'out' and i.state in ('posted', 'paid') and i.total_amount_cache >= 0
