/*---
view: partner_mart.scorecard
owner: purchasing@example.com
description: How well each partner delivers. Grain - one partner, also one without orders. Rates are of sums, and only over what has arrived.
key: [partner_id]
freshness: {class: real_time}
relations:
  partner:    {to: conformed.dim_partner, join: {partner_id: partner_id}}
  delivery_facts: {to: partner_mart.fact_delivery, join: {partner_id: partner_id}, many: true}
---*/
select p.partner_id,
       p.name,
       p.kind,
       p.active,
       coalesce(d.deliveries, 0) as deliveries,                                      -- Ordered, ever
       coalesce(d.arrived, 0) as arrived,                                            -- Of these
       coalesce(l.overdue, 0) as overdue,                                            -- Not here, and past the promised day
       round(100.0 * d.delivered / nullif(d.ordered, 0), 1) as fill_rate,            -- Percent of the ordered discs
       round(100.0 * d.on_time / nullif(d.arrived, 0), 1) as on_time_rate,           -- Percent of the deliveries
       round(1.0 * d.lead_days / nullif(d.arrived, 0), 1) as lead_days,              -- Mean days from order to arrival
       c.promised_lead_days,                                                         -- What the partner says that it takes
       round(100.0 * d.damaged / nullif(d.delivered, 0), 2) as damage_rate,          -- Of a hundred discs
       coalesce(d.amount, 0) as purchased                                            -- US dollars of what has arrived
from partners.partners p
left join (
    select partner_id,
           count(*) as deliveries,
           sum(arrived) as arrived,
           sum(case when delivered_on is null then 0 else ordered end) as ordered,
           sum(delivered) as delivered,
           sum(damaged) as damaged,
           sum(on_time) as on_time,
           sum(lead_days) as lead_days,
           sum(amount) as amount
    from partner_mart.fact_delivery
    group by partner_id
) d on d.partner_id = p.partner_id
left join (
    select partner_id, count(*) as overdue
    from partner_mart.fact_delivery
    where delivered_on is null and promised_on < current_date
    group by partner_id
) l on l.partner_id = p.partner_id
left join (
    select partner_id, max(lead_days) as promised_lead_days
    from partners.capabilities
    group by partner_id
) c on c.partner_id = p.partner_id
