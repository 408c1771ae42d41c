/*---
view: desk.account
owner: billing-team@example.com
description: What each customer owes and may still buy on credit, with every posting up to now. From billing alone.
key: [customer_id]
freshness: {class: real_time, ttl: 1s}
relations:
  customer: {to: customers.customer_360, join: {customer_id: customer_id}}
  invoices: {to: desk.invoices, join: {customer_id: customer_id}, many: true}
---*/
select a.customer_id,
       a.account_id,
       a.state,                                                               -- open or blocked
       a.credit_limit,
       a.opening_balance + coalesce(i.left_to_pay, 0) as balance,             -- Owed; below 0 it is the customer's
       a.credit_limit - a.opening_balance - coalesce(i.left_to_pay, 0) as credit_left,  -- May still be bought unpaid
       coalesce(i.overdue, 0) as overdue,                                     -- Past the day on which it was due
       greatest(current_date - i.oldest_due_on, 0) as days_late,              -- Of the oldest that is overdue
       i.last_paid_at
from billing.accounts a
left join (
    select customer_id,
           sum(left_to_pay) as left_to_pay,
           sum(left_to_pay) filter (where left_to_pay > 0 and due_on < current_date) as overdue,
           min(due_on) filter (where left_to_pay > 0 and due_on < current_date) as oldest_due_on,
           max(last_paid_at) as last_paid_at
    from desk.invoices
    group by customer_id
) i on i.customer_id = a.customer_id
