/*---
view: interaction_mart.fact_contact
owner: marketing-team@example.com
description: Contacts that campaigns made, with what came of each - the latest 90 days live from marketing, older ones from the warehouse. Grain - one contact. An order belongs to the one contact whose link it came by.
key: [contact_id]
freshness: {class: real_time}
relations:
  campaign: {to: interaction_mart.dim_campaign, join: {campaign_id: campaign_id}}
  customer: {to: conformed.dim_customer, join: {customer_id: customer_id}}
  channel:  {to: conformed.dim_channel, join: {channel_id: channel_id}}
  order:    {to: customer_mart.fact_order, join: {order_id: order_id}}
---*/
select k.contact_id,
       k.campaign_id,
       k.customer_id,
       k.channel_id,
       k.sent_on as contacted_on,
       case when k.delivered then 1 else 0 end as delivered,         -- 1 where it arrived, else 0
       coalesce(r.opened, 0) as opened,                              -- 1 where it was read or heard
       coalesce(r.clicked, 0) as clicked,                            -- 1 where its link or offer was followed
       case when r.order_id is null then 0 else 1 end as ordered,    -- 1 where an order came of it
       r.order_id,
       case when u.contact_id is null then 0 else 1 end as unsubscribed  -- 1 where the customer wants no more of it
from marketing.contacts k
left join (
    select contact_id,
           max(case when kind = 'opened' then 1 else 0 end) as opened,
           max(case when kind = 'clicked' then 1 else 0 end) as clicked,
           max(order_id) as order_id
    from marketing.responses
    group by contact_id
) r on r.contact_id = k.contact_id
left join (select distinct contact_id from marketing.unsubscribes) u on u.contact_id = k.contact_id
where k.sent_on >= (select max(loaded_until) from dwh.loads where table_name = 'campaign_contacts')
union all
select contact_id, campaign_id, customer_id, channel_id, sent_on, case when delivered then 1 else 0 end,
       opened, clicked, case when order_id is null then 0 else 1 end, order_id, unsubscribed
from dwh.campaign_contacts
where sent_on < (select max(loaded_until) from dwh.loads where table_name = 'campaign_contacts')
