/*---
view: isp.complaint_steps
description: What happened to each complaint, step by step.
key: [step_id]
freshness: {class: real_time, ttl: 1s}
relations:
  complaint: {to: isp.complaints, join: {token: token}}
---*/
select s.step_id,        -- Rises with the complaint's steps
       s.token,
       s.changed_at,
       s.status,         -- What it became
       s.author,         -- Who did it, or by which channel it came
       s.forwarded_to,   -- The desk that got it, where status is forwarded
       s.remark
from complaints.steps s
union all
select w.step_id, w.token, w.changed_at, w.status, w.author, w.forwarded_to, w.remark
from dwh.complaint_steps w
where not exists (select 1 from complaints.complaints h where h.token = w.token)
