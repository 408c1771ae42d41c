/*---
view: isp.recent_complaints
description: The complaints logged in the last 90 days, today and the 89 days before as they are counted in New York.
key: [token]
freshness: {class: real_time, ttl: 1s}
relations:
  complaint: {to: isp.complaints, join: {token: token}}
---*/
select token, customer_id, type, channel, area_id, technician_id, status, logged_at, expected_at, closed_at,
       outcome,
       extract(epoch from closed_at - logged_at) / 3600 as hours_taken   -- From logging to closing
from isp.complaints
where logged_at >= now() - interval '91 days'   -- what sources can be asked for; the next condition is the exact one
  and logged_at >= (date_trunc('day', now() at time zone 'America/New_York') - interval '89 days')
                   at time zone 'America/New_York'
