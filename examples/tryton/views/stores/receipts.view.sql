/*---
description: Tills are not among the modules - there are none.
key: [receipt_id]
---*/
select null::integer as receipt_id, null::integer as store_id, null::integer as till, null::integer as customer_id,
       null::date as business_date, null::timestamptz as sold_at, null::numeric as total, null::text as state
where false
