/*---
view: partner_mart.allocation_use
owner: purchasing@example.com
description: What each partner was given to make, against what it can make. Grain - one partner, genre and month.
key: [partner_id, genre, month]
freshness: {class: real_time}
relations:
  partner: {to: conformed.dim_partner, join: {partner_id: partner_id}}
---*/
select a.partner_id,
       a.genre,
       a.month,                                                                  -- First day of the month
       a.allocated,                                                              -- Discs
       c.capacity,                                                               -- Discs a month; NULL where the partner cannot make the genre
       round(100.0 * a.allocated / nullif(c.capacity, 0), 1) as capacity_used,   -- Percent; more than 100 cannot be made
       greatest(a.allocated - coalesce(c.capacity, 0), 0) as beyond_capacity,    -- Discs
       c.certified_until < a.month as certificate_expired                        -- NULL where the partner cannot make the genre
from (
    select partner_id, genre, month, sum(allocated) as allocated
    from partners.allocations
    group by partner_id, genre, month
) a
left join (
    select partner_id, genre, sum(monthly_capacity) as capacity, min(certified_until) as certified_until
    from partners.capabilities
    group by partner_id, genre
) c on c.partner_id = a.partner_id and c.genre = a.genre
