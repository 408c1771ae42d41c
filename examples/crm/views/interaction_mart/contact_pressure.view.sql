/*---
view: interaction_mart.contact_pressure
owner: marketing-team@example.com
description: How often each customer was written to or called lately, over all campaigns, and whether that is too often. Grain - one customer contacted in the latest 90 days.
key: [customer_id]
freshness: {class: real_time}
relations:
  customer: {to: conformed.dim_customer, join: {customer_id: customer_id}}
  contacts: {to: interaction_mart.fact_contact, join: {customer_id: customer_id}, many: true}
---*/
select k.customer_id,
       k.contacts_30,                                        -- Contacts of the latest 30 days
       k.contacts_90,                                        -- Contacts of the latest 90 days
       k.opened_90,                                          -- How many of these were read
       k.last_contact_on,
       coalesce(u.channels, 0) as channels_refused,          -- Channels on which the customer wants no more
       case
           when k.contacts_30 > 3 then 'too much'
           when k.contacts_30 > 2 then 'much'
           else 'fine'
       end as pressure                                       -- too much (more than 3 in 30 days), much (3) or fine
from (
    select customer_id,
           count(*) as contacts_90,
           sum(case when contacted_on >= current_date - 30 then 1 else 0 end) as contacts_30,
           sum(opened) as opened_90,
           max(contacted_on) as last_contact_on
    from interaction_mart.fact_contact
    where contacted_on >= current_date - 90
    group by customer_id
) k
left join (
    select customer_id, count(distinct channel_id) as channels
    from marketing.unsubscribes
    group by customer_id
) u on u.customer_id = k.customer_id
