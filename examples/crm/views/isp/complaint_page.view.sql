/*---
view: isp.complaint_page
owner: field-service@example.com
description: >-
  One complaint with all that whoever deals with it wants to see. The figures are of the complaints logged since the
  same day three months ago, in New York, for its area and for its technician.
key: [token]
freshness: {class: real_time, ttl: 1s}
relations:
  complaint:      {to: isp.complaints, join: {token: token}}
  history:        {to: isp.complaint_steps, join: {token: token}, many: true}
  usage:          {to: isp.usage_figures, join: {customer_id: customer_id}}
  its_area:       {to: isp.areas, join: {area_id: area_id}}
  its_technician: {to: isp.technicians, join: {technician_id: technician_id}}
---*/
select c.token,
       c.customer_id,
       p.full_name,                                    -- Of the customer
       p.phone,
       p.email,
       c.type,
       t.title,                                        -- The type in words
       c.channel,
       c.status,
       c.outcome,
       c.logged_at,
       c.expected_at,
       c.closed_at,
       c.area_id,
       a.name as area,
       c.technician_id,
       m.full_name as technician,                      -- NULL while it is nobody's
       s.forwarded_to,                                 -- The desk that got it last, if any did
       s.steps,
       s.remarks,                                      -- In order, a line each: when (UTC), what it became, who, remark
       coalesce(af.complaints, 0) as area_complaints,  -- Of the last three months, this one counted
       af.within_percent as area_within_percent,       -- Solved within the threshold, of those solved or overdue
       coalesce(tf.complaints, 0) as technician_complaints,
       tf.within_percent as technician_within_percent
from isp.complaints c
left join customers.profile p on p.customer_id = c.customer_id
left join complaints.types t on t.type = c.type
left join complaints.areas a on a.area_id = c.area_id
left join complaints.technicians m on m.technician_id = c.technician_id
left join (
    select token,
           count(*) as steps,
           (array_agg(forwarded_to order by changed_at desc, step_id desc) filter (where forwarded_to is not null))[1]
               as forwarded_to,
           string_agg(concat_ws(' - ', to_char(changed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), status, author, nullif(remark, '')),
                      E'\n' order by changed_at, step_id) as remarks
    from isp.complaint_steps
    group by token
) s on s.token = c.token
left join isp.area_three_months af on af.area_id = c.area_id
left join isp.technician_three_months tf on tf.technician_id = c.technician_id
