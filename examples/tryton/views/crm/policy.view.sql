/*---
description: What the company has decided. Tryton has no place for it, so it stands here.
key: [name]
---*/
select name, value, meaning
from (values
    ('allocation.loyalty', 30.00, 'Points for loyalty'),
    ('allocation.full_orders', 4, 'Orders within a year that count as fully loyal'),
    ('allocation.value', 40, 'Points for lifetime value'),
    ('allocation.full_value', 300, 'Lifetime value that counts as full'),
    ('allocation.business', 10, 'Points of a business customer'),
    ('allocation.complaint', 15, 'Points for an open complaint'),
    ('allocation.waiting', 1, 'Points for each week of waiting'),
    ('allocation.overdue', 50, 'Money overdue from which a customer is served last'),
    ('cross_sell.together', 2, 'Least number of customers who bought both'),
    ('cross_sell.similar', 20, 'Similar products that count of each product'),
    ('cross_sell.weight_similar', 0.7, 'Weight of co-purchase'),
    ('cross_sell.weight_habit', 0.3, 'Weight of the habits of the segment'),
    ('discount.floor', 0.12, 'Least margin on cost that a discounted price keeps'),
    ('discount.most', 0.20, 'Largest discount'),
    ('discount.share', 0.5, 'Part of the historic margin that may be given back'),
    ('discount.overstock', 0.05, 'Extra where the shelf holds more than twice its target'),
    ('discount.new_customer', 0.05, 'Discount of a customer without history')
) p (name, value, meaning)
