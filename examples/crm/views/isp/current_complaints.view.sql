/*---
view: isp.current_complaints
owner: field-service@example.com
description: Every open complaint - how it stands, from the complaint desk, and what the warehouse knows of its customer's earlier ones.
key: [token]
freshness: {class: real_time, ttl: 1s}
on_source_down: {dwh: [stale, nulls]}   # who mends a line needs the rest
relations:
  complaint: {to: isp.complaints, join: {token: token}}
  customer:  {to: customers.customer_360, join: {customer_id: customer_id}}
  history:   {to: isp.complaint_steps, join: {token: token}, many: true}
  earlier:   {to: isp.complaints, join: {customer_id: customer_id}, many: true}
---*/
select c.token,
       c.customer_id,
       p.full_name,                                   -- Of the customer
       c.type,
       c.channel,
       c.area_id,
       c.technician_id,                               -- NULL while it is nobody's
       c.status,
       s.changed_at as status_since,
       s.remark,                                      -- Of the latest step
       c.logged_at,
       c.expected_at,
       c.expected_at < now() as overdue,
       coalesce(h.earlier, 0) as earlier_complaints,  -- Closed ones of the same customer, in the warehouse
       coalesce(h.missed, 0) as earlier_missed,       -- Of these, not solved in time
       h.last_closed_at as earlier_closed_at          -- When the latest of these was closed
from complaints.complaints c
left join crm.customers p on p.customer_id = c.customer_id
left join (
    select distinct on (token) token, changed_at, remark
    from complaints.steps
    order by token, changed_at desc, step_id desc
) s on s.token = c.token
left join (
    select o.token,
           count(*) as earlier,
           count(*) filter (where w.status <> 'withdrawn' and w.closed_at > w.expected_at) as missed,
           max(w.closed_at) as last_closed_at
    from complaints.complaints o
    join dwh.complaints w on w.customer_id = o.customer_id and w.token <> o.token
    where o.closed_at is null
    group by o.token
) h on h.token = c.token
where c.closed_at is null
