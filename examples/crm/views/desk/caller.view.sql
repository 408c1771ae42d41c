/*---
view: desk.caller
owner: service-desk@example.com
description: >-
  The customer on the line, from live systems alone: who it is (CRM), what is owed and what may be bought (billing),
  what was bought and returned today (web shop, tills, billing), and what else is open (ticketing).
key: [customer_id]
freshness: {class: real_time, ttl: 1s}
on_source_down: {tickets: [stale, nulls], stores: [stale, partial]}
relations:
  events:        {to: desk.today, join: {customer_id: customer_id}, many: true}
  returns:       {to: desk.returns, join: {customer_id: customer_id}, many: true}
  invoices:      {to: desk.invoices, join: {customer_id: customer_id}, many: true}
  cross_sell:    {to: desk.cross_sell, join: {customer_id: customer_id}, many: true}
  reservations:  {to: desk.my_place, join: {customer_id: customer_id}, many: true}
---*/
select p.customer_id,
       p.full_name,
       p.email,
       p.phone,
       p.segment,
       a.balance,
       a.credit_limit,
       a.credit_left,
       a.overdue,
       a.state as account_state,
       coalesce(t.purchases, 0) as purchases_today,          -- In the web shop and at the tills
       coalesce(t.purchased, 0) as purchased_today,          -- US dollars
       coalesce(t.returns, 0) as returns_today,
       coalesce(t.refunds, 0) as refunds_today,              -- US dollars
       t.last_event_at,                                      -- The latest of today
       coalesce(s.open_tickets, 0) as open_tickets
from customers.profile p
left join desk.account a on a.customer_id = p.customer_id
left join (
    select customer_id,
           count(*) filter (where kind in ('web order', 'till purchase')) as purchases,
           sum(amount) filter (where kind in ('web order', 'till purchase')) as purchased,
           count(*) filter (where kind in ('web return', 'till return')) as returns,
           sum(amount) filter (where kind in ('web return', 'till return')) as refunds,
           max(happened_at) as last_event_at
    from desk.today
    group by customer_id
) t on t.customer_id = p.customer_id
left join support.ticket_summary s on s.customer_id = p.customer_id
