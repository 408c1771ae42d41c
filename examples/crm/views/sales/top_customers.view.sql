/*---
view: sales.top_customers
description: The hundred customers worth most, with their place. Stands on lifetime_value, which stands on orders.
key: [customer_id]
freshness: {ttl: 5s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select rank() over (order by v.lifetime_value desc) as place,  -- 1 is the best; equals share a place
       v.customer_id,
       c.full_name,
       c.region,
       v.orders,
       v.lifetime_value,                                       -- US dollars in all
       v.last_order_on
from sales.lifetime_value v
join crm.customers c on c.customer_id = v.customer_id
order by v.lifetime_value desc, v.customer_id
limit 100
