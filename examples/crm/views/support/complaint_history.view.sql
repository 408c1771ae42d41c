/*---
view: support.complaint_history
description: What happened to each complaint, step by step.
key: [event_id]
freshness: {ttl: 2s}
relations:
  complaint: {to: support.complaints, join: {ticket_id: ticket_id}}
---*/
select e.event_id,
       e.ticket_id,
       t.customer_id,
       t.subject,
       e.happened_at,
       e.kind,                                                                        -- opened, reply, note or closed
       e.author,
       e.note,
       row_number() over (partition by e.ticket_id order by e.happened_at, e.event_id) as step  -- 1 is the opening
from tickets.ticket_events e
join tickets.tickets t on t.ticket_id = e.ticket_id
where t.category = 'complaint'
