/*---
view: desk.profitability
owner: controlling@example.com
description: What each customer's orders left over what the discs cost, from warehouse, web shop and ERP.
key: [customer_id]
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select l.customer_id,
       count(*) as lines,
       sum(l.amount) as revenue,                                              -- US dollars
       sum(l.quantity * p.unit_cost) as cost,                                 -- US dollars, at today's cost
       sum(l.amount) - sum(l.quantity * p.unit_cost) as margin,
       case when sum(l.amount) > 0
            then round((sum(l.amount) - sum(l.quantity * p.unit_cost)) / sum(l.amount), 4)
       end as margin_share                                                    -- Part of the revenue
from sales.order_lines l
join erp.products p on p.product_id = l.product_id
group by l.customer_id
