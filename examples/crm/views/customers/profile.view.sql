/*---
view: customers.profile
owner: crm-team@example.com
description: Who the customer is - master data, company and contact points.
key: [customer_id]
freshness: {ttl: 5s}
relations:
  orders: {to: sales.orders, join: {customer_id: customer_id}, many: true}
columns:
  full_name: {description: Name as the customer writes it, tags: [pii]}
---*/
select c.customer_id,
       c.full_name,
       p.email,
       p.phone,
       c.region,                                 -- Sales region, where known
       c.segment,                                -- consumer or business
       a.name as company,                        -- Whom a business customer buys for
       a.country,
       coalesce(a.manager, 'unassigned') as account_manager,
       c.signed_up,                              -- Day of the registration
       c.birth_date,
       c.newsletter                              -- Whether news may be sent
from crm.customers c
left join crm.accounts a on a.account_id = c.account_id
left join customers.contact_points p on p.customer_id = c.customer_id
