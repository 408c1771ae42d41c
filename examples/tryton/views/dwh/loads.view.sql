/*---
description: Up to when the history goes. There is no warehouse - what is older than 90 days stands for it.
key: [table_name]
---*/
select t.table_name, current_date - 90 as loaded_until
from (values ('orders'), ('order_lines')) t (table_name)
