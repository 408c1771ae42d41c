/*---
view: partner_mart.credit_position
owner: purchasing@example.com
description: What we owe each partner against what it lets us owe. Grain - one partner, also one that has not decided on credit.
key: [partner_id]
freshness: {class: real_time}
relations:
  partner: {to: conformed.dim_partner, join: {partner_id: partner_id}}
---*/
select p.partner_id,
       p.name,
       l.credit_limit,                                                             -- US dollars; NULL where there is no credit line
       coalesce(i.owed, 0) as owed,                                                -- US dollars of invoices not yet paid
       coalesce(i.overdue, 0) as overdue,                                          -- US dollars of these, past their day
       l.credit_limit - coalesce(i.owed, 0) as available,                          -- US dollars; less than 0 is too much
       round(100.0 * coalesce(i.owed, 0) / nullif(l.credit_limit, 0), 1) as credit_used,  -- Percent; NULL without a credit line
       round(1.0 * i.days_late / nullif(i.paid, 0), 1) as pays_late,               -- Mean days past the due day; less than 0 is early
       l.reviewed_on                                                               -- When the limit was last looked at
from partners.partners p
left join partners.credit_lines l on l.partner_id = p.partner_id
left join (
    select partner_id,
           sum(case when paid_on is null then amount else 0 end) as owed,
           sum(case when paid_on is null and due_on < current_date then amount else 0 end) as overdue,
           count(paid_on) as paid,
           sum(paid_on - due_on) as days_late
    from partners.invoices
    group by partner_id
) i on i.partner_id = p.partner_id
