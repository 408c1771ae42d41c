/*---
view: isp.technicians
description: Who mends lines, and how to reach them.
key: [technician_id]
freshness: {ttl: 1s}
relations:
  area:       {to: isp.areas, join: {area_id: area_id}}
  figures:    {to: isp.technician_figures, join: {technician_id: technician_id}}
  complaints: {to: isp.complaints, join: {technician_id: technician_id}, many: true}
---*/
select technician_id,
       full_name,
       area_id,    -- Where at home
       phone,      -- For the field staff's alerts; NULL where none is known
       active
from complaints.technicians
