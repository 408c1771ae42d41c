/*---
view: conformed.dim_customer
owner: crm-team@example.com
description: Customers, the dimension that all marts share. Grain - one customer.
key: [customer_id]
freshness: {class: real_time}
relations:
  summary:   {to: customer_mart.customer_summary, join: {customer_id: customer_id}}
  orders:    {to: customer_mart.fact_order, join: {customer_id: customer_id}, many: true}
  purchases: {to: customer_mart.fact_purchase, join: {customer_id: customer_id}, many: true}
  contacts:  {to: interaction_mart.fact_contact, join: {customer_id: customer_id}, many: true}
  tickets:   {to: interaction_mart.fact_service, join: {customer_id: customer_id}, many: true}
  visits:    {to: customer_mart.fact_visit, join: {customer_id: customer_id}, many: true}
  reviews:   {to: product_mart.fact_review, join: {customer_id: customer_id}, many: true}
columns:
  full_name: {description: Name as the customer writes it, tags: [pii]}
---*/
select c.customer_id,
       c.full_name,
       coalesce(c.region, '(none)') as region,    -- Sales region; (none) where it is not known
       c.segment,                                 -- consumer or business
       a.name as company,                         -- Whom a business customer buys for
       a.country,                                 -- Of the company
       c.signed_up,                               -- Day of the registration
       c.newsletter,                              -- Whether news may be sent
       h.cohort                                   -- Month of the first order; NULL until the warehouse has loaded it
from crm.customers c
left join crm.accounts a on a.account_id = c.account_id
left join dwh.cohorts h on h.customer_id = c.customer_id
