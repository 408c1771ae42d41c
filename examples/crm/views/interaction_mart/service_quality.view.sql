/*---
view: interaction_mart.service_quality
owner: support-team@example.com
description: Service by month of opening and by channel - how much, how fast, how much of it as promised, and how satisfied. Grain - one month and channel.
key: [month, channel_id]
freshness: {class: real_time}
relations:
  channel: {to: conformed.dim_channel, join: {channel_id: channel_id}}
---*/
select date_trunc('month', opened_on::timestamp)::date as month,      -- First day of the month
       channel_id,
       count(*) as tickets,
       count(*) - count(solution_minutes) as open_tickets,            -- Of these, not yet closed
       round(avg(response_minutes)) as response_minutes,              -- Mean time until the first answer
       round(avg(solution_minutes) / 60, 1) as solution_hours,        -- Mean time until it was closed
       sum(response_in_time) as responses_in_time,
       count(response_in_time) as responses_due,
       round(100.0 * sum(response_in_time) / nullif(count(response_in_time), 0), 1) as response_level,  -- Percent in time
       sum(solution_in_time) as solutions_in_time,
       count(solution_in_time) as solutions_due,
       round(100.0 * sum(solution_in_time) / nullif(count(solution_in_time), 0), 1) as solution_level,  -- Percent in time
       sum(asked) as asked,                                           -- Customers asked how it was
       count(csat) as answers,                                        -- Those who answered
       sum(csat) as csat_points,
       round(avg(csat), 2) as csat,                                   -- Mean satisfaction, 1 to 5; NULL without an answer
       count(*) filter (where recommends >= 9) as promoters,
       count(*) filter (where recommends <= 6) as detractors,
       round(100.0 * (count(*) filter (where recommends >= 9) - count(*) filter (where recommends <= 6))
             / nullif(count(recommends), 0), 1) as nps                -- Promoters less detractors, of a hundred answers
from interaction_mart.fact_service
group by 1, 2
