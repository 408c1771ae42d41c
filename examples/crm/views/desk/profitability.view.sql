/*---
view: desk.profitability
owner: controlling@example.com
description: What each customer's orders left over what the discs cost, from warehouse, web shop and ERP.
key: [customer_id]
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  lines:    {to: desk.line_margins, join: {customer_id: customer_id}, many: true}
---*/
select customer_id,
       count(*) as order_lines,
       sum(revenue) as revenue,                                                   -- US dollars
       sum(cost) as cost,                                                         -- US dollars, at today's cost
       sum(revenue) - sum(cost) as margin,                                        -- US dollars
       case when sum(revenue) > 0
            then round((sum(revenue) - sum(cost)) / sum(revenue), 4)
       end as margin_share                                                        -- Part of the revenue
from desk.line_margins
group by customer_id
