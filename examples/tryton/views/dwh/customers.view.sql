/*---
description: Customers with older orders, in three tiers by what they spent.
key: [customer_id]
---*/
select customer_id,
       segment,
       region,
       case when place < 0.2 then 'top' when place < 0.6 then 'middle' else 'low' end as tier
from (
    select c.customer_id, c.segment, c.region,
           (row_number() over (order by o.spent desc, c.customer_id) - 1)::numeric / count(*) over () as place
    from crm.customers c
    join (
        select customer_id, sum(amount) as spent
        from dwh.orders
        where status not in ('cancelled', 'returned')
        group by customer_id
    ) o on o.customer_id = c.customer_id
) ranked
