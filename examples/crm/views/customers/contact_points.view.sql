/*---
view: customers.contact_points
description: How to reach each customer - the first e-mail address and the first telephone number.
key: [customer_id]
freshness: {ttl: 5s}
columns:
  email: {description: "E-mail address, in lower case", tags: [pii]}
  phone: {description: Telephone number, tags: [pii]}
---*/
select customer_id,
       lower(min(value) filter (where kind = 'email' and is_primary)) as email,
       min(value) filter (where kind = 'phone' and is_primary) as phone,
       max(verified_at) as verified_at,   -- When one of them was last verified
       count(*) as known                  -- Addresses and numbers that are known
from crm.contacts
group by customer_id
