/*---
description: The older orders' lines, from the same sales.
key: [line_id]
---*/
select line_id, order_id, customer_id, ordered_on, product_id, quantity, amount
from shop.order_lines
where ordered_on < current_date - 90
