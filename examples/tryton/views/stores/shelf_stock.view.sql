/*---
description: Tills are not among the modules - there are none.
key: [shelf_id]
---*/
select null::integer as shelf_id, null::integer as store_id, null::integer as product_id, null::integer as on_shelf,
       null::integer as target
where false
