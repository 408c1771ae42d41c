/*---
view: isp.lines
description: The customers of the CRM who have an internet line, a line each.
key: [customer_id]
freshness: {ttl: 5s}
relations:
  customer:   {to: customers.customer_360, join: {customer_id: customer_id}}
  area:       {to: isp.areas, join: {area_id: area_id}}
  usage:      {to: isp.usage_figures, join: {customer_id: customer_id}}
  days:       {to: isp.usage_days, join: {customer_id: customer_id}, many: true}
  complaints: {to: isp.complaints, join: {customer_id: customer_id}, many: true}
---*/
select customer_id,
       area_id,
       plan,         -- basic, family or studio
       down_mbit,    -- Megabits a second agreed
       started_on,   -- First day of the contract
       ended_on      -- The day on which it ended; NULL while it runs
from network.subscriptions
