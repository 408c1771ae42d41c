/*---
description: An account a customer. Limits are module account_credit_limit's - without it there is none.
key: [account_id]
---*/
select customer_id as account_id,
       customer_id,
       null::numeric as credit_limit,
       0.00 as opening_balance,                                          -- All postings are read
       null::integer as terms_days,
       'open' as state
from crm.customers
