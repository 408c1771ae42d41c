/*---
view: interaction_mart.campaign_result
owner: marketing-team@example.com
description: What each campaign reached, earned and cost in all. Grain - one campaign. Planned ones have zeros, and NULL for rates.
key: [campaign_id]
freshness: {class: real_time}
relations:
  campaign: {to: interaction_mart.dim_campaign, join: {campaign_id: campaign_id}}
  channels: {to: interaction_mart.campaign_channel, join: {campaign_id: campaign_id}, many: true}
---*/
select g.campaign_id,
       g.name,
       g.goal,
       g.state,
       g.starts_on,
       g.budget,
       coalesce(c.contacts, 0) as contacts,
       coalesce(c.delivered, 0) as delivered,
       coalesce(c.opened, 0) as opened,
       coalesce(c.clicked, 0) as clicked,
       coalesce(c.orders, 0) as orders,
       coalesce(c.unsubscribed, 0) as unsubscribed,
       coalesce(c.revenue, 0) as revenue,                                               -- US dollars of orders that stood
       coalesce(c.cost, 0) as cost,                                                     -- US dollars
       round(100.0 * c.cost / nullif(g.budget, 0), 1) as budget_used,                   -- Percent of the budget
       round(100.0 * c.opened / nullif(c.delivered, 0), 2) as response_rate,            -- Read, of a hundred delivered
       round(100.0 * c.orders / nullif(c.delivered, 0), 2) as conversion_rate,          -- Orders, of a hundred delivered
       round(100.0 * c.unsubscribed / nullif(c.delivered, 0), 2) as unsubscribe_rate,   -- Of a hundred delivered
       round(c.cost / nullif(c.orders, 0), 2) as cost_per_acquisition,                  -- US dollars an order; NULL without orders
       round(c.revenue / nullif(c.cost, 0), 2) as return_on_cost                        -- US dollars earned for each spent
from interaction_mart.dim_campaign g
left join (
    select campaign_id,
           sum(contacts) as contacts,
           sum(delivered) as delivered,
           sum(opened) as opened,
           sum(clicked) as clicked,
           sum(orders) as orders,
           sum(unsubscribed) as unsubscribed,
           sum(revenue) as revenue,
           sum(cost) as cost
    from interaction_mart.campaign_channel
    group by campaign_id
) c on c.campaign_id = g.campaign_id
