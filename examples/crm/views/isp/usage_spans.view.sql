/*---
view: isp.usage_spans
description: >-
  How many whole days, weeks (from Monday), months and years of each line there are, as they are counted in New York -
  from the first to begin when the contract had begun and the warehouse remembers, to the last that has ended.
key: [customer_id, period]
freshness: {ttl: 5s}
---*/
select customer_id,
       period,                                                        -- day, week, month or year
       whole_from,                                                    -- First day of the first whole one
       whole_until,                                                   -- First day of the one that runs, or in which the contract ended
       greatest(0, case period
           when 'day' then whole_until - whole_from
           when 'week' then (whole_until - whole_from) / 7
           when 'month' then (extract(year from whole_until) - extract(year from whole_from)) * 12
                             + extract(month from whole_until) - extract(month from whole_from)
           else extract(year from whole_until) - extract(year from whole_from)
       end)::integer as periods                                       -- Number of whole ones
from (
    select s.customer_id,
           p.period,
           case p.period
               when 'day' then s.since
               when 'week' then date_trunc('week', (s.since + 6)::timestamp)::date
               else (date_trunc(p.period, (s.since - 1)::timestamp) + ('1 ' || p.period)::interval)::date
           end as whole_from,
           date_trunc(p.period, s.until::timestamp)::date as whole_until
    from (
        select customer_id,
               greatest(started_on, (select min(used_on) from dwh.daily_usage)) as since,
               least(ended_on, (now() at time zone 'America/New_York')::date) as until
        from network.subscriptions
    ) s
    cross join (values ('day'), ('week'), ('month'), ('year')) p (period)
) w
