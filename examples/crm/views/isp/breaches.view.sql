/*---
view: isp.breaches
owner: field-service@example.com
description: >-
  Open complaints past the time allowed, as they are told to people - to the field staff at once (level field), to
  management when so many percent of that time have passed again as the type says (level management). Token, level and
  expected_at are the same as long as the breach lasts, and different in another one.
key: [token, level, expected_at]
freshness: {class: real_time, ttl: 1s}
relations:
  page:     {to: isp.complaint_page, join: {token: token}}
  its_area: {to: isp.areas, join: {area_id: area_id}}
---*/
select c.token,
       l.level,                                                         -- field or management
       c.expected_at,                                                   -- When the time allowed ended
       case l.level
           when 'field' then c.expected_at
           else c.expected_at + c.threshold_minutes * t.escalate_percent * interval '0.6 seconds'
       end as breached_at,                                              -- Since when the level is concerned
       c.customer_id,
       p.full_name as customer,
       t.title as complaint,                                            -- What it is about
       c.status,
       c.area_id,
       a.name as area,
       c.technician_id,
       coalesce(m.full_name, 'nobody') as technician,
       coalesce(m.phone, a.field_phone, '+1-555-0140') as field_phone,  -- The technician's, else the area's, else the central desk's
       a.manager_email
from complaints.complaints c
join complaints.types t on t.type = c.type
join complaints.areas a on a.area_id = c.area_id
left join complaints.technicians m on m.technician_id = c.technician_id
left join crm.customers p on p.customer_id = c.customer_id
cross join (values ('field'), ('management')) l (level)
where c.closed_at is null
  and c.expected_at < now()
  and (l.level = 'field'
       or c.expected_at + c.threshold_minutes * t.escalate_percent * interval '0.6 seconds' < now())
