/*---
description: E-mail addresses and telephone numbers in use. The first of a kind, in Tryton's order, is the primary one.
key: [contact_id]
---*/
select id as contact_id,
       party as customer_id,
       case type when 'email' then 'email' else 'phone' end as kind,
       value,
       row_number() over (
           partition by party, type = 'email' order by sequence nulls first, id
       ) = 1 as is_primary,
       null::timestamptz as verified_at                                  -- Tryton verifies none
from tryton.party_contact_mechanism
where active and type in ('email', 'phone', 'mobile')
