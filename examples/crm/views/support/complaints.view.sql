/*---
view: support.complaints
owner: support-team@example.com
description: Every complaint, open or closed.
key: [ticket_id]
freshness: {ttl: 2s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  order:    {to: sales.orders, join: {order_id: order_id}}
  history:  {to: support.complaint_history, join: {ticket_id: ticket_id}, many: true}
---*/
select ticket_id,
       customer_id,
       order_id,                               -- The order that it is about, where there is one
       subject,
       status,                                 -- open, pending, resolved or closed
       priority,                               -- 1 is the most urgent, 4 the least
       opened_at,
       closed_at,
       closed_at - opened_at as took,          -- From opening to closing
       satisfaction                            -- Mark from 1 to 5, where the customer gave one
from tickets.tickets
where category = 'complaint'
