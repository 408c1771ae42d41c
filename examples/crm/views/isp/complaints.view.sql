/*---
view: isp.complaints
owner: field-service@example.com
description: Every complaint about an internet line and how it went - from the complaint desk what it still has, from the warehouse the rest.
key: [token]
freshness: {class: real_time, ttl: 1s}
relations:
  customer:   {to: customers.customer_360, join: {customer_id: customer_id}}
  line:       {to: isp.lines, join: {customer_id: customer_id}}
  technician: {to: isp.technicians, join: {technician_id: technician_id}}
  area:       {to: isp.areas, join: {area_id: area_id}}
  history:    {to: isp.complaint_steps, join: {token: token}, many: true}
  usage:      {to: isp.usage_figures, join: {customer_id: customer_id}}
---*/
select c.token,              -- What the customer was told to refer to it by
       c.customer_id,
       c.type,               -- no_connection, slow_line, drops, router, installation or billing
       c.channel,            -- web, sms, ivr or call
       c.area_id,
       c.technician_id,      -- Whose it is; NULL while it is nobody's
       c.status,             -- logged, assigned, forwarded, working, reopened, solved or withdrawn
       c.logged_at,
       c.expected_at,        -- When the time allowed ends; a complaint that is reopened keeps it
       c.threshold_minutes,  -- The time allowed
       c.closed_at,          -- When it was solved or withdrawn; NULL while it is open
       case
           when c.status = 'withdrawn' then 'withdrawn'
           when c.closed_at <= c.expected_at then 'within'
           when c.closed_at is not null then 'late'
           when c.expected_at < now() then 'overdue'
           else 'running'
       end as outcome,       -- within, late (solved after expected_at), overdue (open after it), running (open before it) or withdrawn
       'desk' as origin      -- Where the row was read: desk or warehouse
from complaints.complaints c
union all
select w.token, w.customer_id, w.type, w.channel, w.area_id, w.technician_id, w.status, w.logged_at, w.expected_at,
       w.threshold_minutes, w.closed_at,
       case
           when w.status = 'withdrawn' then 'withdrawn'
           when w.closed_at <= w.expected_at then 'within'
           else 'late'
       end,
       'warehouse'
from dwh.complaints w
where not exists (select 1 from complaints.complaints h where h.token = w.token)   -- it may have been reopened
