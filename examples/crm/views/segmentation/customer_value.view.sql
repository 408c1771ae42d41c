/*---
view: segmentation.customer_value
owner: sales-data@example.com
description: Current value, potential value and loyalty of each customer, each with its quintile, 5 the best. Grain - one customer who has bought.
key: [customer_id]
freshness: {ttl: 10s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
---*/
select v.customer_id,
       v.favourite,                                    -- The genre bought most
       v.current_value,                                -- Margin of the last 365 days, US dollars
       round(v.potential_value, 2) as potential_value, -- Chance times margin of the genres not bought yet, by others with the same favourite
       round(v.loyalty, 4) as loyalty,                 -- Share of the latest four quarters (fewer for a new customer) with a purchase
       1 + 5 * (rank() over (order by v.current_value) - 1) / count(*) over () as current_quintile,
       1 + 5 * (rank() over (order by round(v.potential_value, 2)) - 1) / count(*) over () as potential_quintile,
       1 + 5 * (rank() over (order by v.loyalty) - 1) / count(*) over () as loyalty_quintile
from (
    select m.customer_id, m.favourite, m.current_value,
           coalesce(c.all_chances, 0) - coalesce(m.taken, 0) as potential_value,
           l.active::numeric / l.quarters as loyalty
    from (
        select g.customer_id,
               max(g.genre) filter (where g.place = 1) as favourite,
               sum(g.margin_year) as current_value,
               sum(h.chance * h.margin) as taken
        from segmentation.genre_margin g
        join segmentation.genre_margin f on f.customer_id = g.customer_id and f.place = 1
        left join segmentation.genre_chances h on h.favourite = f.genre and h.genre = g.genre
        group by g.customer_id
    ) m
    left join (
        select favourite, sum(chance * margin) as all_chances
        from segmentation.genre_chances
        group by favourite
    ) c on c.favourite = m.favourite
    join (
        select customer_id,
               count(distinct least((current_date - ordered_on) / 91, 4)) filter (where current_date - ordered_on < 364) as active,
               least((current_date - min(ordered_on)) / 91 + 1, 4) as quarters
        from sales.orders
        group by customer_id
    ) l on l.customer_id = m.customer_id
) v
