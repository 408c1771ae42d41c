/*---
description: What comes back.
key: [return_id]
---*/
select return_id,
       order_id,
       customer_id,
       returned_on as announced_on,
       returned_at as announced_at,
       'unknown' as reason,                                              -- Tryton asks for none
       refund,
       case state when 'done' then 'received' else 'announced' end as state
from tryton.returns
