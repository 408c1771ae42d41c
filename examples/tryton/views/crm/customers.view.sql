/*---
description: Active parties that are neither the companies themselves, nor employees, nor replaced by another party.
key: [customer_id]
---*/
select p.id as customer_id,
       t.party_id as account_id,                                         -- A business is its own account
       coalesce(p.name, p.code) as full_name,
       a.region,
       case when t.party_id is null then 'consumer' else 'business' end as segment,
       p.create_date::date as signed_up,
       null::date as birth_date,                                         -- Tryton knows none
       exists (
           select from tryton."party_party-party_category" m
           join tryton.party_category c on c.id = m.category
           where m.party = p.id and c.active and c.name = 'Newsletter'
       ) as newsletter
from tryton.party_party p
left join tryton.taxpayers t on t.party_id = p.id
left join tryton.first_addresses a on a.party_id = p.id
where p.active
  and p.replaced_by is null
  and not exists (select from tryton.company_company c where c.party = p.id)
  and not exists (select from tryton.company_employee e where e.party = p.id)
