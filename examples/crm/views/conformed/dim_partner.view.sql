/*---
view: conformed.dim_partner
owner: purchasing@example.com
description: Partners that make or supply discs, the dimension that all marts share. Grain - one partner.
key: [partner_id]
freshness: {class: real_time}
relations:
  scorecard:   {to: partner_mart.scorecard, join: {partner_id: partner_id}}
  credit:      {to: partner_mart.credit_position, join: {partner_id: partner_id}}
  products:    {to: conformed.dim_product, join: {partner_id: partner_id}, many: true}
  allocations: {to: partner_mart.allocation_use, join: {partner_id: partner_id}, many: true}
  deliveries:  {to: partner_mart.fact_delivery, join: {partner_id: partner_id}, many: true}
---*/
select partner_id,
       name,
       kind,                                      -- label, distributor or pressing plant
       country,
       partner_since,                             -- Day of the contract
       active,                                    -- Whether we order from it
       terms_days                                 -- Days in which we have to pay
from partners.partners
