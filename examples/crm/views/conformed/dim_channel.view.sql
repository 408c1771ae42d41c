/*---
view: conformed.dim_channel
owner: marketing-team@example.com
description: Channels of campaigns and of service, the dimension that all marts share. Grain - one channel.
key: [channel_id]
freshness: {class: near_real_time}
relations:
  campaigns: {to: interaction_mart.campaign_channel, join: {channel_id: channel_id}, many: true}
  service:   {to: interaction_mart.service_quality, join: {channel_id: channel_id}, many: true}
---*/
select channel_id,
       code,                                      -- email, sms, phone, post, web or chat
       name as channel,                           -- Name for people
       outbound,                                  -- Whether campaigns use it
       contact_cost                               -- US dollars that one contact costs
from marketing.channels
