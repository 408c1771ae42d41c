/*---
view: isp.technician_figures
description: How each technician did in the last 90 days. A complaint counts for whose it is now.
key: [technician_id]
freshness: {class: real_time, ttl: 1s}
relations:
  technician: {to: isp.technicians, join: {technician_id: technician_id}}
---*/
select t.technician_id,
       t.full_name,
       t.area_id,
       coalesce(c.complaints, 0) as complaints,    -- Logged in the last 90 days; the five columns that follow add up to it
       coalesce(c.within, 0) as within,            -- Solved by the time expected, at that very instant too
       coalesce(c.late, 0) as late,                -- Solved after it
       coalesce(c.overdue, 0) as overdue,          -- Open after it
       coalesce(c.running, 0) as running,          -- Open, with time left
       coalesce(c.withdrawn, 0) as withdrawn,      -- By the customer
       round(100.0 * c.within / nullif(c.within + c.late + c.overdue, 0), 1) as within_percent,  -- Of those solved or overdue; NULL without any
       round(c.hours_taken, 1) as hours_taken      -- Mean of those solved, from logging to solving
from complaints.technicians t
left join (
    select technician_id,
           count(*) as complaints,
           count(*) filter (where outcome = 'within') as within,
           count(*) filter (where outcome = 'late') as late,
           count(*) filter (where outcome = 'overdue') as overdue,
           count(*) filter (where outcome = 'running') as running,
           count(*) filter (where outcome = 'withdrawn') as withdrawn,
           avg(hours_taken) filter (where status = 'solved') as hours_taken
    from isp.recent_complaints
    group by technician_id
) c on c.technician_id = t.technician_id
