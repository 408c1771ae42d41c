/*---
view: isp.usage_figures
owner: network-operations@example.com
description: >-
  Averages and maxima of what each line carried by the day, week, month and year, in megabytes both ways. An average is
  over whole periods (isp.usage_spans), those without use counted as 0, and NULL where there is none yet. A maximum is
  over all periods, the one that runs too, as what has been used cannot become less. Today_mb and this_... are what has
  been used of the period that runs.
key: [customer_id]
freshness: {class: real_time, ttl: 5s}
relations:
  line:    {to: isp.lines, join: {customer_id: customer_id}}
  periods: {to: isp.usage_periods, join: {customer_id: customer_id}, many: true}
---*/
select s.customer_id,
       round(coalesce(sum(p.total_mb) filter (where s.period = 'day' and p.starts_on >= s.whole_from
                                              and p.starts_on < s.whole_until), 0)
             / nullif(max(s.periods) filter (where s.period = 'day'), 0), 1) as daily_average_mb,
       coalesce(max(p.total_mb) filter (where s.period = 'day'), 0) as daily_maximum_mb,
       coalesce(max(p.total_mb) filter (where s.period = 'day' and p.starts_on = s.whole_until), 0) as today_mb,
       round(coalesce(sum(p.total_mb) filter (where s.period = 'week' and p.starts_on >= s.whole_from
                                              and p.starts_on < s.whole_until), 0)
             / nullif(max(s.periods) filter (where s.period = 'week'), 0), 1) as weekly_average_mb,
       coalesce(max(p.total_mb) filter (where s.period = 'week'), 0) as weekly_maximum_mb,
       coalesce(max(p.total_mb) filter (where s.period = 'week' and p.starts_on = s.whole_until), 0) as this_week_mb,
       round(coalesce(sum(p.total_mb) filter (where s.period = 'month' and p.starts_on >= s.whole_from
                                              and p.starts_on < s.whole_until), 0)
             / nullif(max(s.periods) filter (where s.period = 'month'), 0), 1) as monthly_average_mb,
       coalesce(max(p.total_mb) filter (where s.period = 'month'), 0) as monthly_maximum_mb,
       coalesce(max(p.total_mb) filter (where s.period = 'month' and p.starts_on = s.whole_until), 0) as this_month_mb,
       round(coalesce(sum(p.total_mb) filter (where s.period = 'year' and p.starts_on >= s.whole_from
                                              and p.starts_on < s.whole_until), 0)
             / nullif(max(s.periods) filter (where s.period = 'year'), 0), 1) as yearly_average_mb,
       coalesce(max(p.total_mb) filter (where s.period = 'year'), 0) as yearly_maximum_mb,
       coalesce(max(p.total_mb) filter (where s.period = 'year' and p.starts_on = s.whole_until), 0) as this_year_mb
from isp.usage_spans s
left join isp.usage_periods p on p.customer_id = s.customer_id and p.period = s.period
group by s.customer_id
