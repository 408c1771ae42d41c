/*---
view: interaction_mart.fact_service
owner: support-team@example.com
description: Tickets with how soon they were answered and solved, what was promised, and what the customer said of it. Grain - one ticket.
key: [ticket_id]
freshness: {class: real_time}
relations:
  customer: {to: conformed.dim_customer, join: {customer_id: customer_id}}
  channel:  {to: conformed.dim_channel, join: {channel_id: channel_id}}
  order:    {to: customer_mart.fact_order, join: {order_id: order_id}}
---*/
with timed as (
    select t.ticket_id,
           t.customer_id,
           t.order_id,
           f.channel_id,
           t.category,
           t.priority,
           t.status,
           t.opened_at,
           t.closed_at,
           i.answered_at,
           i.interactions,
           i.minutes,
           l.response_minutes as promised_response,
           l.solution_minutes as promised_solution,
           s.csat,
           s.recommends,
           s.asked
    from tickets.tickets t
    left join tickets.service_levels l on l.priority = t.priority
    left join (
        select ticket_id,
               count(*) as interactions,
               sum(minutes) as minutes,
               min(interaction_id) as first_id,
               min(case when direction = 'out' then started_at end) as answered_at
        from tickets.interactions
        group by ticket_id
    ) i on i.ticket_id = t.ticket_id
    left join tickets.interactions f on f.interaction_id = i.first_id
    left join (
        select ticket_id, count(*) as asked, max(csat) as csat, max(recommends) as recommends
        from tickets.surveys
        group by ticket_id
    ) s on s.ticket_id = t.ticket_id
)
select ticket_id,
       customer_id,
       order_id,
       channel_id,                                                     -- By which the customer came
       (opened_at at time zone 'UTC')::date as opened_on,
       category,                                                       -- complaint, delivery, return or question
       priority,                                                       -- 1 is the most urgent, 4 the least
       status,                                                         -- open, pending, resolved or closed
       coalesce(interactions, 0) as interactions,                      -- Messages and calls, of both sides
       coalesce(minutes, 0) as minutes,                                -- Time that these took
       round(extract(epoch from answered_at - opened_at) / 60)::bigint as response_minutes,  -- Until the first answer
       round(extract(epoch from closed_at - opened_at) / 60)::bigint as solution_minutes,    -- Until it was closed
       case
           when coalesce(answered_at, now()) > opened_at + promised_response * interval '1 minute' then 0
           when answered_at is not null then 1
       end as response_in_time,                                        -- 1 or 0; NULL while there still is time
       case
           when coalesce(closed_at, now()) > opened_at + promised_solution * interval '1 minute' then 0
           when closed_at is not null then 1
       end as solution_in_time,                                        -- 1 or 0; NULL while there still is time
       coalesce(asked, 0) as asked,                                    -- 1 where the customer was asked how it was
       csat,                                                           -- Satisfaction, 1 to 5; NULL without an answer
       recommends                                                      -- Would recommend us, 0 to 10; NULL without an answer
from timed
