/*---
view: segmentation.lifetimes_at
owner: sales-data@example.com
description: Frequency, recency, age (T) and monetary value of each customer as of a day, as customer-base analysis defines them. Name the day - as_of = date '...' - and the unit. Grain - one day, unit and customer who had bought by then.
key: [as_of, unit, customer_id]
freshness: {ttl: 10s}
guard: {require_any_filter: [as_of]}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select d.day as as_of,                                                         -- The end of the observation
       p.unit,                                                                 -- D days or W weeks
       p.customer_id,
       count(*) - 1 as frequency,                                              -- Periods with a purchase after the first one
       (max(p.period) - min(p.period)) / case p.unit when 'W' then 7 else 1 end as recency, -- Age at the latest purchase, in units
       (case p.unit when 'W' then d.week else d.day end - min(p.period))
           / case p.unit when 'W' then 7 else 1 end as age,                    -- T - units since the first purchase
       coalesce(avg(p.amount) filter (where p.repeated), 0) as monetary_value  -- US dollars a period, the first one left out
from conformed.dim_date d
join segmentation.purchase_periods p on p.period <= case p.unit when 'W' then d.week else d.day end
where d.days_ago >= 0
group by d.day, d.week, p.unit, p.customer_id
