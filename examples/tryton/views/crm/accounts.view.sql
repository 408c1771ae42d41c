/*---
description: Business customers, with the employee of their latest sale opportunity.
key: [account_id]
---*/
select p.id as account_id,
       coalesce(p.name, p.code) as name,
       a.country,
       m.manager
from tryton.party_party p
join tryton.taxpayers t on t.party_id = p.id
left join tryton.first_addresses a on a.party_id = p.id
left join (
    select distinct on (o.party) o.party, n.name as manager
    from tryton.sale_opportunity o
    join tryton.company_employee e on e.id = o.employee
    join tryton.party_party n on n.id = e.party
    order by o.party, o.start_date desc, o.id desc
) m on m.party = p.id
