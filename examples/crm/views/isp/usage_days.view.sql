/*---
view: isp.usage_days
owner: network-operations@example.com
description: What each line carried by the day, days as in New York - today live from the network, earlier ones from the warehouse. A day without use has no row.
key: [customer_id, used_on]
freshness: {class: real_time, ttl: 5s}
relations:
  line: {to: isp.lines, join: {customer_id: customer_id}}
---*/
select customer_id,
       (hour at time zone 'America/New_York')::date as used_on,
       sum(down_mb)::bigint as down_mb,           -- Megabytes to the customer
       sum(up_mb)::bigint as up_mb,               -- Megabytes from the customer
       sum(down_mb + up_mb)::bigint as total_mb,
       'network' as origin                        -- Where the row was read: network or warehouse
from network.hourly_usage
where hour >= (select max(loaded_until) from dwh.loads where table_name = 'daily_usage')::timestamp
              at time zone 'America/New_York'
group by 1, 2
union all
select customer_id, used_on, down_mb, up_mb, down_mb + up_mb, 'warehouse'
from dwh.daily_usage
where used_on < (select max(loaded_until) from dwh.loads where table_name = 'daily_usage')
