/*---
view: isp.area_figures
description: How each area did in the last 90 days, and its place by complaints.
key: [area_id]
freshness: {class: real_time, ttl: 1s}
relations:
  area: {to: isp.areas, join: {area_id: area_id}}
---*/
select a.area_id,
       a.name,
       rank() over (order by coalesce(c.complaints, 0) desc) as place,   -- 1 has the most complaints; equals share a place
       coalesce(l.lines, 0) as lines,              -- That run now
       round(100.0 * coalesce(c.complaints, 0) / nullif(l.lines, 0), 1) as per_hundred_lines,
       coalesce(c.complaints, 0) as complaints,    -- Logged in the last 90 days; the five columns that follow add up to it
       coalesce(c.within, 0) as within,            -- Solved by the time expected, at that very instant too
       coalesce(c.late, 0) as late,                -- Solved after it
       coalesce(c.overdue, 0) as overdue,          -- Open after it
       coalesce(c.running, 0) as running,          -- Open, with time left
       coalesce(c.withdrawn, 0) as withdrawn,      -- By the customer
       round(100.0 * c.within / nullif(c.within + c.late + c.overdue, 0), 1) as within_percent,  -- Of those solved or overdue; NULL without any
       round(c.hours_taken, 1) as hours_taken      -- Mean of those solved, from logging to solving
from complaints.areas a
left join (
    select area_id,
           count(*) as complaints,
           count(*) filter (where outcome = 'within') as within,
           count(*) filter (where outcome = 'late') as late,
           count(*) filter (where outcome = 'overdue') as overdue,
           count(*) filter (where outcome = 'running') as running,
           count(*) filter (where outcome = 'withdrawn') as withdrawn,
           avg(hours_taken) filter (where status = 'solved') as hours_taken
    from isp.recent_complaints
    group by area_id
) c on c.area_id = a.area_id
left join (
    select area_id, count(*) as lines
    from network.subscriptions
    where ended_on is null
    group by area_id
) l on l.area_id = a.area_id
