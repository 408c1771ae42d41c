/*---
view: interaction_mart.fact_conversion
owner: marketing-team@example.com
description: Orders that came of a contact, with what they earned. Grain - one order. Older contacts and orders meet in the warehouse, so that only their sums leave it.
key: [order_id]
freshness: {class: real_time}
relations:
  contact:  {to: interaction_mart.fact_contact, join: {contact_id: contact_id}}
  campaign: {to: interaction_mart.dim_campaign, join: {campaign_id: campaign_id}}
  customer: {to: conformed.dim_customer, join: {customer_id: customer_id}}
  channel:  {to: conformed.dim_channel, join: {channel_id: channel_id}}
  order:    {to: customer_mart.fact_order, join: {order_id: order_id}}
---*/
select o.order_id,
       k.contact_id,
       k.campaign_id,
       k.channel_id,
       k.customer_id,
       k.sent_on as contacted_on,
       o.ordered_on,
       case when o.status in ('cancelled', 'returned') then 0.00 else o.amount end as revenue  -- US dollars that stood
from dwh.campaign_contacts k
join dwh.orders o on o.order_id = k.order_id
where k.sent_on < (select max(loaded_until) from dwh.loads where table_name = 'campaign_contacts')
  and o.ordered_on < (select max(loaded_until) from dwh.loads where table_name = 'orders')
union all
-- live orders, of live and of older contacts
select o.order_id, k.contact_id, k.campaign_id, k.channel_id, k.customer_id, k.contacted_on, o.ordered_on,
       case when o.status in ('cancelled', 'returned') then 0.00 else o.amount end
from interaction_mart.fact_contact k
join shop.orders o on o.order_id = k.order_id
where k.order_id is not null
  and o.ordered_on >= (select max(loaded_until) from dwh.loads where table_name = 'orders')
union all
-- live contacts of orders that the warehouse has already: none, unless it loads orders before contacts
select o.order_id, k.contact_id, k.campaign_id, k.channel_id, k.customer_id, k.sent_on, o.ordered_on,
       case when o.status in ('cancelled', 'returned') then 0.00 else o.amount end
from marketing.responses r
join marketing.contacts k on k.contact_id = r.contact_id
join dwh.orders o on o.order_id = r.order_id
where r.order_id is not null
  and k.sent_on >= (select max(loaded_until) from dwh.loads where table_name = 'campaign_contacts')
  and o.ordered_on >= (select max(loaded_until) from dwh.loads where table_name = 'campaign_contacts')
  and o.ordered_on < (select max(loaded_until) from dwh.loads where table_name = 'orders')
