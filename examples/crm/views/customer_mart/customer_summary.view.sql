/*---
view: customer_mart.customer_summary
owner: crm-team@example.com
description: Everything about a customer in figures - purchases, recency, service, visits, wishes and contacts. Grain - one customer. Asked by customer_id it sends that one number to each source.
key: [customer_id]
freshness: {class: real_time, stale_if_error: 5m}
relations:
  customer:    {to: conformed.dim_customer, join: {customer_id: customer_id}}
  order_facts: {to: customer_mart.fact_order, join: {customer_id: customer_id}, many: true}
  preferences: {to: customer_mart.genre_preference, join: {customer_id: customer_id}, many: true}
  service:     {to: interaction_mart.fact_service, join: {customer_id: customer_id}, many: true}
columns:
  full_name: {description: Name as the customer writes it, tags: [pii]}
---*/
select c.customer_id,
       c.full_name,
       c.region,
       c.segment,
       c.cohort,
       coalesce(o.orders, 0) as orders,                                   -- Orders that stood
       coalesce(o.revenue, 0) as revenue,                                 -- US dollars of these
       round(o.revenue / nullif(o.orders, 0), 2) as average_order,        -- US dollars; NULL without orders
       coalesce(o.returned, 0) as returned_orders,
       o.last_order_on,
       current_date - o.last_order_on as recency_days,                    -- Days since the latest order that stood
       g.genre as favourite_genre,                                        -- By discs bought, then by what the customer says
       coalesce(t.tickets, 0) as tickets,
       coalesce(t.open_tickets, 0) as open_tickets,
       t.csat,                                                            -- Mean satisfaction, 1 to 5; NULL without an answer
       coalesce(v.visits, 0) as visits,                                   -- Visits of the web shop in the latest 30 days
       coalesce(v.unfinished, 0) as unfinished_visits,                    -- Of these, with a basket and no order
       v.last_visit_on,
       coalesce(w.wishes, 0) as wishes,                                   -- Discs wished for and not bought yet
       coalesce(k.contacts, 0) as contacts,                               -- By campaigns, ever
       coalesce(k.responses, 0) as responses,                             -- How many of these were read
       coalesce(k.unsubscribed, 0) as unsubscribed                        -- How many made the customer want no more
from conformed.dim_customer c
left join customer_mart.customer_value o on o.customer_id = c.customer_id
left join customer_mart.genre_preference g on g.customer_id = c.customer_id and g.place = 1
left join (
    select customer_id,
           count(*) as tickets,
           count(*) - count(closed_at) as open_tickets,
           round(avg(satisfaction), 2) as csat
    from tickets.tickets
    group by customer_id
) t on t.customer_id = c.customer_id
left join (
    select customer_id,
           count(*) as visits,
           sum(case when carts > 0 and orders = 0 then 1 else 0 end) as unfinished,
           max(visited_on) as last_visit_on
    from customer_mart.fact_visit
    where customer_id is not null
    group by customer_id
) v on v.customer_id = c.customer_id
left join (
    select customer_id, count(*) as wishes
    from shop.wishes
    where bought_on is null
    group by customer_id
) w on w.customer_id = c.customer_id
left join (
    select customer_id, count(*) as contacts, sum(opened) as responses, sum(unsubscribed) as unsubscribed
    from interaction_mart.fact_contact
    group by customer_id
) k on k.customer_id = c.customer_id
