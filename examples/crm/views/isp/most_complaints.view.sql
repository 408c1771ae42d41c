/*---
view: isp.most_complaints
description: The twenty customers with the most complaints in the last 90 days.
key: [customer_id]
freshness: {class: real_time, ttl: 1s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  figures:  {to: isp.customer_figures, join: {customer_id: customer_id}}
---*/
select rank() over (order by r.complaints desc) as place,   -- 1 has the most; equals share a place
       r.customer_id,
       p.full_name,
       r.complaints,                                        -- Logged in the last 90 days
       r.missed,                                            -- Solved late, or open past the time expected
       r.last_logged_at
from (
    select customer_id,
           count(*) as complaints,
           count(*) filter (where outcome in ('late', 'overdue')) as missed,
           max(logged_at) as last_logged_at
    from isp.recent_complaints
    group by customer_id
) r
join crm.customers p on p.customer_id = r.customer_id
order by r.complaints desc, r.customer_id
limit 20
