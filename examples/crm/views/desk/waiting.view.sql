/*---
view: desk.waiting
owner: sales-operations@example.com
description: >-
  Who waits for what, with the points that decide the order: loyalty, lifetime value, policy and the situation now.
  What each fact is worth stands in crm.policy.
key: [reservation_id]
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  product:  {to: catalog.products, join: {product_id: product_id}}
---*/
select reservation_id,
       product_id,
       customer_id,
       quantity,
       reserved_at,
       channel,
       segment,
       year_orders,                                          -- Orders of the last 365 days that stood
       lifetime_value,                                       -- US dollars
       open_complaints,
       overdue,                                              -- US dollars past due at billing
       held,                                                 -- Money owed or account blocked - served after all others
       points_loyalty,
       points_value,
       points_policy,
       points_situation,
       points_loyalty + points_value + points_policy + points_situation as points
from (
    select r.reservation_id, r.product_id, r.customer_id, r.quantity, r.reserved_at, r.channel, c.segment, a.overdue,
           coalesce(v.year_orders, 0) as year_orders,
           coalesce(v.lifetime_value, 0) as lifetime_value,
           coalesce(t.open_complaints, 0) as open_complaints,
           a.state = 'blocked' or a.overdue >= p.most_overdue as held,
           round(p.points_loyalty * least(coalesce(v.year_orders, 0) / p.full_orders, 1), 2) as points_loyalty,
           round(p.points_value * least(coalesce(v.lifetime_value, 0) / p.full_value, 1), 2) as points_value,
           case when c.segment = 'business' then p.points_business else 0 end as points_policy,
           case when t.open_complaints > 0 then p.points_complaint else 0 end
               + round(p.points_week * (current_date - (r.reserved_at at time zone 'UTC')::date) / 7, 2)
               as points_situation
    from shop.reservations r
    join crm.customers c on c.customer_id = r.customer_id
    join desk.account a on a.customer_id = r.customer_id
    left join (
        select customer_id,
               count(*) filter (where ordered_on > current_date - 365) as year_orders,
               sum(amount) as lifetime_value
        from sales.orders
        where status not in ('cancelled', 'returned')
        group by customer_id
    ) v on v.customer_id = r.customer_id
    left join (
        select customer_id, count(*) as open_complaints
        from tickets.tickets
        where category = 'complaint' and status in ('open', 'pending')
        group by customer_id
    ) t on t.customer_id = r.customer_id
    cross join desk.policy p
    where r.state = 'waiting'
) w
