/*---
view: segmentation.purchase_periods
owner: sales-data@example.com
description: What each customer spent in each day (D) and each week (W) with a purchase, whatever became of the order - the customer-base analyst's transactions. Grain - one customer, unit and period.
key: [unit, customer_id, period]
freshness: {ttl: 10s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select p.unit,                                                                 -- D or W, of which frequency, recency and age are counted
       p.customer_id,
       p.period,                                                               -- The day, or the Monday of the week
       p.amount,                                                               -- US dollars in that period
       p.period > min(p.period) over (partition by p.unit, p.customer_id) as repeated -- Whether the customer had bought before
from (
    select 'D' as unit, customer_id, ordered_on as period, sum(amount) as amount
    from sales.orders
    group by customer_id, ordered_on
    union all
    select 'W', customer_id, date_trunc('week', ordered_on)::date, sum(amount)
    from sales.orders
    group by customer_id, date_trunc('week', ordered_on)::date
) p
