/*---
view: segmentation.rfm_at
owner: sales-data@example.com
description: Recency, frequency and monetary value as quintiles among all buyers as of a day, 5 the best. Equal values always have the same quintile, 1 + the part of fifths of all that are worse; the column tiles has ntile's, which tells equal ones apart by number. Name the day - as_of = date '...'. Grain - one day and customer who had bought by then.
key: [as_of, customer_id]
freshness: {ttl: 10s}
guard: {require_any_filter: [as_of]}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select q.as_of,
       q.customer_id,
       q.recency_days,
       q.frequency,
       q.monetary,
       q.r,                                                    -- Quintile of recency, 5 bought latest
       q.f,                                                    -- Quintile of frequency, 5 bought most often
       q.m,                                                    -- Quintile of monetary value, 5 spent most
       q.r || '-' || q.f || '-' || q.m as cell,                -- Of 125
       q.r + q.f + q.m as total,                               -- 3 to 15
       q.tiles,                                                -- The cell by ntile, equal values told apart by customer_id
       case
           when q.r >= 4 and q.f >= 4 and q.m >= 4 then 'champions'
           when q.f >= 4 and q.r <= 2 then 'at risk'
           when q.f >= 4 then 'loyal'
           when q.r >= 4 then 'recent'
           when q.r <= 2 and q.f <= 2 then 'lost'
           else 'middle'
       end as segment                                          -- champions, loyal, at risk, recent, lost or middle
from (
    select s.as_of, s.customer_id, s.recency_days, s.frequency, s.monetary,
           1 + 5 * (rank() over (partition by s.as_of order by s.recency_days desc) - 1) / count(*) over (partition by s.as_of) as r,
           1 + 5 * (rank() over (partition by s.as_of order by s.frequency) - 1) / count(*) over (partition by s.as_of) as f,
           1 + 5 * (rank() over (partition by s.as_of order by s.monetary) - 1) / count(*) over (partition by s.as_of) as m,
           ntile(5) over (partition by s.as_of order by s.recency_days desc, s.customer_id) || '-'
               || ntile(5) over (partition by s.as_of order by s.frequency, s.customer_id) || '-'
               || ntile(5) over (partition by s.as_of order by s.monetary, s.customer_id) as tiles
    from segmentation.spending_at s
) q
