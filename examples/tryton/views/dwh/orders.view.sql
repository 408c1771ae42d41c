/*---
description: The older orders, from the same sales.
key: [order_id]
---*/
select order_id, customer_id, ordered_on, placed_at, items, amount, status
from shop.orders
where ordered_on < current_date - 90
