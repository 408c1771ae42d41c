/*---
description: Tills are not among the modules - there are none.
key: [line_id]
---*/
select null::integer as line_id, null::integer as receipt_id, null::integer as product_id, null::integer as quantity,
       null::numeric as unit_price, null::numeric as amount
where false
