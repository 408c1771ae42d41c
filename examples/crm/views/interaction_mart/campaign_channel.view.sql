/*---
view: interaction_mart.campaign_channel
owner: marketing-team@example.com
description: What each campaign reached, earned and cost by channel. Grain - one campaign and channel. Rates are of sums, NULL where nothing was sent.
key: [campaign_id, channel_id]
freshness: {class: real_time}
relations:
  campaign: {to: interaction_mart.dim_campaign, join: {campaign_id: campaign_id}}
  channel:  {to: conformed.dim_channel, join: {channel_id: channel_id}}
---*/
select campaign_id,
       channel_id,
       sum(contacts) as contacts,
       sum(delivered) as delivered,
       sum(opened) as opened,
       sum(clicked) as clicked,
       sum(ordered) as orders,
       sum(unsubscribed) as unsubscribed,
       sum(revenue) as revenue,                                                       -- US dollars of orders that stood
       sum(cost) as cost,                                                             -- US dollars
       round(100.0 * sum(opened) / nullif(sum(delivered), 0), 2) as response_rate,    -- Read, of a hundred delivered
       round(100.0 * sum(ordered) / nullif(sum(delivered), 0), 2) as conversion_rate, -- Orders, of a hundred delivered
       round(sum(cost) / nullif(sum(ordered), 0), 2) as cost_per_acquisition,         -- US dollars an order; NULL without orders
       round(sum(revenue) / nullif(sum(cost), 0), 2) as return_on_cost                -- US dollars earned for each spent
from (
    select campaign_id, channel_id, count(*) as contacts, sum(delivered) as delivered, sum(opened) as opened,
           sum(clicked) as clicked, sum(ordered) as ordered, sum(unsubscribed) as unsubscribed, 0.00 as revenue, 0.00 as cost
    from interaction_mart.fact_contact
    group by campaign_id, channel_id
    union all
    select campaign_id, channel_id, 0, 0, 0, 0, 0, 0, sum(revenue), 0.00
    from interaction_mart.fact_conversion
    group by campaign_id, channel_id
    union all
    select campaign_id, channel_id, 0, 0, 0, 0, 0, 0, 0.00, sum(amount)
    from marketing.costs
    group by campaign_id, channel_id
) f
group by campaign_id, channel_id
