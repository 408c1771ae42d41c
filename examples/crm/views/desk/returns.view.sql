/*---
view: desk.returns
owner: service-desk@example.com
description: >-
  Every return that the web shop and the tills still know, and whether billing has credited it. What a customer asks about who calls.
key: [channel, return_id]
freshness: {class: real_time, ttl: 1s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select 'web' as channel,                     -- web or store
       r.return_id,
       r.customer_id,
       r.order_id as sale,                   -- The order, or the receipt
       r.announced_at as returned_at,
       r.announced_on as returned_on,
       r.reason,
       r.refund,                             -- US dollars
       r.state,
       coalesce(n.credited, 0) as credited   -- By billing, or paid out at the till
from shop.returns r
left join (
    select i.customer_id, i.order_id, sum(c.amount) as credited
    from billing.invoices i
    join billing.credit_notes c on c.invoice_id = i.invoice_id and c.customer_id = i.customer_id
    group by i.customer_id, i.order_id
) n on n.customer_id = r.customer_id and n.order_id = r.order_id
union all
select 'store', return_id, customer_id, receipt_id, returned_at, business_date, reason, refund, state,
       case when state = 'refunded' then refund else 0 end
from stores.returns
where customer_id is not null
