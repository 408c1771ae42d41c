/*---
view: isp.areas
description: The areas of the network, with whom to tell.
key: [area_id]
freshness: {ttl: 1s}
relations:
  figures:     {to: isp.area_figures, join: {area_id: area_id}}
  complaints:  {to: isp.complaints, join: {area_id: area_id}, many: true}
  technicians: {to: isp.technicians, join: {area_id: area_id}, many: true}
---*/
select area_id,
       name,
       region,          -- Of the CRM
       field_phone,     -- The field desk's, where there is one
       manager_email
from complaints.areas
