/*---
view: product_mart.life_cycle
owner: product-data@example.com
description: Products and those to come, from the first design to the end. Grain - one project; it has a product once it is in the catalogue.
key: [project_id]
freshness: {class: real_time}
relations:
  product: {to: conformed.dim_product, join: {product_id: product_id}}
---*/
select p.project_id,
       p.product_id,
       p.title,
       p.genre,
       p.responsible,
       case
           when s.ended_on is not null then 'end'
           when s.launched_on is not null then 'launch'
           when s.pressed_on is not null then 'test pressing'
           when s.prototyped_on is not null then 'prototype'
           else 'design'
       end as stage,                                               -- design, prototype, test pressing, launch or end
       s.designed_on,
       s.prototyped_on,
       s.pressed_on,                                               -- Day of the test pressing
       p.planned_launch_on,
       s.launched_on,
       s.ended_on,
       s.launched_on - s.designed_on as days_to_launch,            -- From design to launch; NULL before
       coalesce(s.launched_on, greatest(current_date, p.planned_launch_on)) - p.planned_launch_on
           as days_late,                                           -- Past the plan, so far; less than 0 is early
       coalesce(c.changes, 0) as changes,                          -- Changes that took effect
       coalesce(c.waiting, 0) as changes_waiting                   -- Changes not decided yet
from erp.projects p
left join (
    select project_id,
           min(case when stage = 'design' then entered_on end) as designed_on,
           min(case when stage = 'prototype' then entered_on end) as prototyped_on,
           min(case when stage = 'test pressing' then entered_on end) as pressed_on,
           min(case when stage = 'launch' then entered_on end) as launched_on,
           min(case when stage = 'end' then entered_on end) as ended_on
    from erp.project_stages
    group by project_id
) s on s.project_id = p.project_id
left join (
    select product_id,
           count(effective_on) as changes,
           sum(case when state = 'waiting' then 1 else 0 end) as waiting
    from erp.change_requests
    group by product_id
) c on c.product_id = p.product_id
