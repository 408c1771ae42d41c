/*---
view: desk.policy
owner: sales-operations@example.com
description: What the company has decided, as one row. The numbers stand in crm.policy and count from the next question on.
key: [scope]
freshness: {ttl: 5s}
---*/
select 'company' as scope,
       max(value) filter (where name = 'allocation.loyalty') as points_loyalty,
       max(value) filter (where name = 'allocation.full_orders') as full_orders,
       max(value) filter (where name = 'allocation.value') as points_value,
       max(value) filter (where name = 'allocation.full_value') as full_value,
       max(value) filter (where name = 'allocation.business') as points_business,
       max(value) filter (where name = 'allocation.complaint') as points_complaint,
       max(value) filter (where name = 'allocation.waiting') as points_week,
       max(value) filter (where name = 'allocation.overdue') as most_overdue,
       max(value) filter (where name = 'cross_sell.weight_similar') as weight_similar,
       max(value) filter (where name = 'cross_sell.weight_habit') as weight_habit,
       max(value) filter (where name = 'discount.floor') as margin_floor,
       max(value) filter (where name = 'discount.most') as most_discount,
       max(value) filter (where name = 'discount.share') as margin_share,
       max(value) filter (where name = 'discount.overstock') as overstock,
       max(value) filter (where name = 'discount.new_customer') as new_customer
from crm.policy
