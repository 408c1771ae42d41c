/*---
view: customers.customer_360
owner: crm-team@example.com
description: One row a customer - who it is, what was bought, what is open. CRM, shop, ticketing and warehouse.
key: [customer_id]
freshness: {class: real_time, ttl: 2s, stale_if_error: 5m}
on_source_down: {tickets: [stale, nulls]}   # an agent on the phone needs the rest
guard: {timeout: 10s}
relations:
  orders:     {to: sales.orders, join: {customer_id: customer_id}, many: true}
  complaints: {to: support.complaints, join: {customer_id: customer_id}, many: true}
---*/
select p.customer_id,
       p.full_name,
       p.email,
       p.phone,
       p.region,
       p.segment,
       p.company,
       p.account_manager,
       p.signed_up,
       coalesce(v.orders, 0) as orders_placed,               -- Orders that stood
       coalesce(v.lifetime_value, 0) as lifetime_value,      -- US dollars
       v.last_order_on,
       coalesce(t.tickets, 0) as tickets,                    -- Tickets ever
       coalesce(t.open_tickets, 0) as open_tickets,          -- Tickets not yet closed
       t.last_contact_at,                                    -- When the latest ticket was opened
       t.satisfaction                                        -- Mean mark, 1 to 5, where given
from customers.profile p
left join sales.lifetime_value v on v.customer_id = p.customer_id
left join support.ticket_summary t on t.customer_id = p.customer_id
