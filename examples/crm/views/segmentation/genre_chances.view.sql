/*---
view: segmentation.genre_chances
owner: sales-data@example.com
description: Of those with the same favourite genre, how many have bought another one too, and what was earned with them in it. Grain - one favourite genre and other genre.
key: [favourite, genre]
freshness: {ttl: 1m}
---*/
select f.genre as favourite,
       g.genre,
       count(*) as buyers,                             -- Customers who bought both
       n.fans,                                         -- Customers with that favourite
       count(*)::numeric / n.fans as chance,           -- Share of them who bought the other genre
       avg(g.margin) as margin                         -- US dollars that one of these buyers brought in it
from segmentation.genre_margin f
join segmentation.genre_margin g on g.customer_id = f.customer_id and g.genre <> f.genre
join (
    select genre, count(*) as fans
    from segmentation.genre_margin
    where place = 1
    group by genre
) n on n.genre = f.genre
where f.place = 1
group by f.genre, g.genre, n.fans
