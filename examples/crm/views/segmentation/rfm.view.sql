/*---
view: segmentation.rfm
owner: sales-data@example.com
description: Recency, frequency and monetary value as quintiles, as of today. Grain - one customer who has bought.
key: [customer_id]
freshness: {ttl: 10s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select customer_id,
       recency_days,   -- Days since the latest order
       frequency,      -- Orders
       monetary,       -- US dollars
       r,              -- Quintile of recency, 5 bought latest
       f,              -- Quintile of frequency, 5 bought most often
       m,              -- Quintile of monetary value, 5 spent most
       cell,           -- Of 125
       total,          -- 3 to 15
       segment         -- champions, loyal, at risk, recent, lost or middle
from segmentation.rfm_at
where as_of = current_date
