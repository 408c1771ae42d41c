/*---
view: sales.recent_orders
description: Orders of the last 30 days, with the buyer's name. Only the shop is asked - the warehouse cannot have them.
key: [order_id]
freshness: {ttl: 2s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select o.order_id,
       o.customer_id,
       c.full_name,   -- Name of the buyer
       c.region,      -- Sales region, where known
       o.placed_at,   -- Instant of the order
       o.items,       -- Number of discs
       o.amount,      -- US dollars
       o.status
from sales.orders o
join crm.customers c on c.customer_id = o.customer_id
where o.ordered_on > current_date - 30
