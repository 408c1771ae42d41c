/*---
view: customers.facts
owner: crm-team@example.com
description: >-
  What decisions about a customer rest on, one row each: who it is (CRM), what was bought (web shop and warehouse), what
  is owed (billing), what is open (ticketing). The rules in rules/crm/decisions.yml speak of these columns.
key: [customer_id]
freshness: {class: real_time, ttl: 2s}
relations:
  customer:  {to: customers.customer_360, join: {customer_id: customer_id}}
  decisions: {to: crm.decisions, join: {customer_id: customer_id}, many: true}
---*/
select c.customer_id,
       c.segment,                                                 -- consumer or business
       c.newsletter,                                              -- Whether news may be sent
       coalesce(v.orders, 0) as orders,                           -- Orders that stood
       coalesce(v.lifetime_value, 0) as lifetime_value,           -- US dollars
       v.average_order,                                           -- US dollars
       v.last_order_on,
       current_date - v.last_order_on as days_silent,             -- Days since the latest order
       a.state as account_state,                                  -- open or blocked
       a.credit_limit,                                            -- US dollars
       a.credit_left,                                             -- May still be bought unpaid
       a.overdue,                                                 -- Owed past the day on which it was due
       a.days_late,                                               -- Of the oldest that is overdue
       coalesce(t.open_tickets, 0) as open_tickets,
       coalesce(t.open_complaints, 0) as open_complaints,
       t.most_urgent,                                             -- Priority of the most urgent open ticket, 1 to 4
       t.oldest_open_at,                                          -- When the oldest open ticket was opened
       t.satisfaction                                             -- Mean mark, 1 to 5, where given
from crm.customers c
left join sales.lifetime_value v on v.customer_id = c.customer_id
left join desk.account a on a.customer_id = c.customer_id
left join (
    select customer_id,
           count(*) filter (where closed_at is null) as open_tickets,
           count(*) filter (where closed_at is null and category = 'complaint') as open_complaints,
           min(priority) filter (where closed_at is null) as most_urgent,
           min(opened_at) filter (where closed_at is null) as oldest_open_at,
           round(avg(satisfaction), 2) as satisfaction
    from tickets.tickets
    group by customer_id
) t on t.customer_id = c.customer_id
