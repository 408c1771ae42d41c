/*---
view: desk.today
owner: service-desk@example.com
description: >-
  What happened today, to the second: orders and announced returns of the web shop, purchases and returns at the tills,
  invoices, payments and credit notes. Each part asks its own system for today only.
key: [kind, reference]
freshness: {class: real_time, ttl: 1s}
on_source_down: {stores: [stale, partial]}   # a desk can do with the rest, and is told what lacks
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select 'web order' as kind,       -- web order, web return, till purchase, till return, invoice, payment, credit note
       order_id as reference,     -- Its number in the system of that kind
       customer_id,
       placed_at as happened_at,
       amount,                    -- US dollars, never negative
       status as state
from shop.orders
where ordered_on = current_date
union all
select 'web return', return_id, customer_id, announced_at, refund, state
from shop.returns
where announced_on = current_date
union all
select 'till purchase', receipt_id, customer_id, sold_at, total, state
from stores.receipts
where business_date = current_date and customer_id is not null and state = 'closed'
union all
select 'till return', return_id, customer_id, returned_at, refund, state
from stores.returns
where business_date = current_date and customer_id is not null
union all
select 'invoice', invoice_id, customer_id, issued_at, amount, 'issued'
from billing.invoices
where booked_on = current_date
union all
select 'payment', payment_id, customer_id, paid_at, amount, method
from billing.payments
where booked_on = current_date
union all
select 'credit note', credit_note_id, customer_id, issued_at, amount, reason
from billing.credit_notes
where booked_on = current_date
