/*---
view: support.open_complaints
description: Complaints that wait for us, with whom to call. The most urgent and oldest first is left to the query.
key: [ticket_id]
freshness: {ttl: 2s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  history:  {to: support.complaint_history, join: {ticket_id: ticket_id}, many: true}
---*/
select c.ticket_id,
       c.customer_id,
       p.full_name,
       p.email,
       p.phone,
       c.order_id,
       c.subject,
       c.status,
       c.priority,
       c.opened_at
from support.complaints c
join customers.profile p on p.customer_id = c.customer_id
where c.status in ('open', 'pending')
