/*---
view: segmentation.spending_at
owner: sales-data@example.com
description: What each customer had bought by the end of a day, cancelled and returned orders left out. Name the day - as_of = date '...'. Grain - one day and customer who had bought by then.
key: [as_of, customer_id]
freshness: {ttl: 10s}
guard: {require_any_filter: [as_of]}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select d.day as as_of,
       o.customer_id,
       d.day - max(o.ordered_on) as recency_days,   -- Days since the latest order
       count(*) as frequency,                       -- Orders
       sum(o.amount) as monetary                    -- US dollars
from conformed.dim_date d
join sales.orders o on o.ordered_on <= d.day
where d.days_ago >= 0 and o.status not in ('cancelled', 'returned')
group by d.day, o.customer_id
