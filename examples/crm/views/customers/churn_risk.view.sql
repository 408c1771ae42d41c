/*---
view: customers.churn_risk
description: How likely a customer is lost, by plain rules, as of today.
key: [customer_id]
freshness: {ttl: 30s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select customer_id,
       full_name,
       lifetime_value,
       open_tickets,
       current_date - last_order_on as days_silent,     -- Days since the latest order
       case
           when last_order_on is null then 'never bought'
           when open_tickets > 0 and current_date - last_order_on > 90 then 'high'
           when current_date - last_order_on > 365 then 'high'
           when current_date - last_order_on > 180 or satisfaction < 2 then 'medium'
           else 'low'
       end as risk                                           -- never bought, low, medium or high
from customers.customer_360
