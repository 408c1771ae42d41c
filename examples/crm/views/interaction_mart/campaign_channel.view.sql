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
with reached as (
    select campaign_id,
           channel_id,
           count(*) as contacts,
           sum(delivered) as delivered,
           sum(opened) as opened,
           sum(clicked) as clicked,
           sum(ordered) as orders,
           sum(unsubscribed) as unsubscribed
    from interaction_mart.fact_contact
    group by campaign_id, channel_id
),
earned as (
    select campaign_id, channel_id, sum(revenue) as revenue
    from interaction_mart.fact_conversion
    group by campaign_id, channel_id
),
spent as (
    select campaign_id, channel_id, sum(amount) as cost
    from marketing.costs
    group by campaign_id, channel_id
)
select coalesce(r.campaign_id, s.campaign_id) as campaign_id,
       coalesce(r.channel_id, s.channel_id) as channel_id,
       coalesce(r.contacts, 0) as contacts,
       coalesce(r.delivered, 0) as delivered,
       coalesce(r.opened, 0) as opened,
       coalesce(r.clicked, 0) as clicked,
       coalesce(r.orders, 0) as orders,
       coalesce(r.unsubscribed, 0) as unsubscribed,
       coalesce(e.revenue, 0) as revenue,                                               -- US dollars of orders that stood
       coalesce(s.cost, 0) as cost,                                                     -- US dollars
       round(100.0 * r.opened / nullif(r.delivered, 0), 2) as response_rate,            -- Read, of a hundred delivered
       round(100.0 * r.orders / nullif(r.delivered, 0), 2) as conversion_rate,          -- Orders, of a hundred delivered
       round(coalesce(s.cost, 0) / nullif(r.orders, 0), 2) as cost_per_acquisition,     -- US dollars an order; NULL without orders
       round(coalesce(e.revenue, 0) / nullif(s.cost, 0), 2) as return_on_cost           -- US dollars earned for each spent
from reached r
full join spent s on s.campaign_id = r.campaign_id and s.channel_id = r.channel_id
left join earned e on e.campaign_id = r.campaign_id and e.channel_id = r.channel_id
