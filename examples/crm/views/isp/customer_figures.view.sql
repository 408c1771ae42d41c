/*---
view: isp.customer_figures
description: The complaints of each customer with a line, all that is known of them.
key: [customer_id]
freshness: {class: real_time, ttl: 1s}
relations:
  customer:   {to: customers.customer_360, join: {customer_id: customer_id}}
  line:       {to: isp.lines, join: {customer_id: customer_id}}
  history:    {to: isp.complaints, join: {customer_id: customer_id}, many: true}
---*/
select l.customer_id,
       p.full_name,
       l.area_id,
       coalesce(c.complaints, 0) as complaints,        -- Ever
       coalesce(c.last_90_days, 0) as last_90_days,    -- Today and the 89 days before, in New York
       coalesce(c.open, 0) as open,                    -- Not closed
       coalesce(c.overdue, 0) as overdue,              -- Of the open ones, those past the time expected
       coalesce(c.missed, 0) as missed,                -- Solved late or overdue
       c.first_logged_at,
       c.last_logged_at
from network.subscriptions l
join crm.customers p on p.customer_id = l.customer_id
left join (
    select customer_id,
           count(*) as complaints,
           count(*) filter (where logged_at >= (date_trunc('day', now() at time zone 'America/New_York')
                                                - interval '89 days') at time zone 'America/New_York') as last_90_days,
           count(*) filter (where closed_at is null) as open,
           count(*) filter (where outcome = 'overdue') as overdue,
           count(*) filter (where outcome in ('late', 'overdue')) as missed,
           min(logged_at) as first_logged_at,
           max(logged_at) as last_logged_at
    from isp.complaints
    group by customer_id
) c on c.customer_id = l.customer_id
