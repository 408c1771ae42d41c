/*---
description: Tills are not among the modules - there are none.
key: [return_id]
---*/
select null::integer as return_id, null::integer as receipt_id, null::integer as store_id, null::integer as customer_id,
       null::integer as product_id, null::integer as quantity, null::numeric as refund, null::date as business_date,
       null::timestamptz as returned_at, null::text as reason, null::text as state
where false
