/*---
description: Parties with an identifier of their own (VAT and the like) - the businesses.
key: [party_id]
---*/
select distinct party as party_id from tryton.party_identifier where active
