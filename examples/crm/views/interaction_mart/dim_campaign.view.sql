/*---
view: interaction_mart.dim_campaign
owner: marketing-team@example.com
description: Campaigns with their state today. Grain - one campaign.
key: [campaign_id]
freshness: {class: real_time}
relations:
  result:   {to: interaction_mart.campaign_result, join: {campaign_id: campaign_id}}
  channels: {to: interaction_mart.campaign_channel, join: {campaign_id: campaign_id}, many: true}
  contacts: {to: interaction_mart.fact_contact, join: {campaign_id: campaign_id}, many: true}
---*/
select campaign_id,
       name,
       goal,                                      -- win back, cross-sell, retain, activate or inform
       offer_percent,                             -- Discount offered, 0 where there is none
       starts_on,
       ends_on,
       case
           when current_date < starts_on then 'planned'
           when current_date <= ends_on then 'running'
           else 'ended'
       end as state,                              -- planned, running or ended
       budget,                                    -- US dollars
       owner as responsible
from marketing.campaigns
