/*---
view: desk.invoices
owner: billing-team@example.com
description: Each invoice of the latest 90 days with what was paid and credited on it up to now. From billing alone.
key: [invoice_id]
freshness: {class: real_time, ttl: 1s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  order:    {to: sales.orders, join: {order_id: order_id}}
---*/
select customer_id,
       invoice_id,
       max(order_id) as order_id,
       max(due_on) as due_on,
       sum(invoiced) as amount,                                 -- US dollars
       sum(paid) as paid,
       sum(credited) as credited,
       sum(invoiced) - sum(paid) - sum(credited) as left_to_pay,
       max(paid_at) as last_paid_at
from (
    select customer_id, invoice_id, order_id, due_on, amount as invoiced, 0 as paid, 0 as credited,
           null::timestamptz as paid_at
    from billing.invoices
    union all
    select customer_id, invoice_id, null, null, 0, amount, 0, paid_at
    from billing.payments
    union all
    select customer_id, invoice_id, null, null, 0, 0, amount, null
    from billing.credit_notes
) postings
group by customer_id, invoice_id
