/*---
description: Where each party is - its first active address, in Tryton's own order.
key: [party_id]
---*/
select distinct on (a.party)
       a.party as party_id,
       s.name as region,        -- State or province, where known
       c.code as country
from tryton.party_address a
left join tryton.country_subdivision s on s.id = a.subdivision
left join tryton.country_country c on c.id = a.country
where a.active
order by a.party, a.sequence nulls first, a.id
