/*---
view: conformed.dim_date
description: Days from three years ago until a year ahead, the dimension that all facts share. Grain - one day. Of no source.
key: [day]
freshness: {class: real_time}
---*/
select d.day::date as day,
       extract(year from d.day)::int as year,
       extract(quarter from d.day)::int as quarter,
       date_trunc('month', d.day)::date as month,      -- First day of the month
       date_trunc('week', d.day)::date as week,        -- Monday of the week
       extract(isodow from d.day)::int as weekday,     -- 1 is Monday, 7 Sunday
       extract(isodow from d.day) > 5 as weekend,      -- Saturday or Sunday
       current_date - d.day::date as days_ago          -- 0 is today; less than 0 is to come
from generate_series((current_date - 1096)::timestamp, (current_date + 366)::timestamp, interval '1 day') d (day)
