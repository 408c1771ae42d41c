/*---
view: support.ticket_summary
description: Each customer's tickets, counted.
key: [customer_id]
freshness: {ttl: 2s}
---*/
select customer_id,
       count(*) as tickets,
       count(*) filter (where closed_at is null) as open_tickets,
       count(*) filter (where category = 'complaint') as complaints,
       max(opened_at) as last_contact_at,
       round(avg(satisfaction), 2) as satisfaction   -- Mean mark, 1 to 5, where given
from tickets.tickets
group by customer_id
