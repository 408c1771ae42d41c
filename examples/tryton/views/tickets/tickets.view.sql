/*---
description: Tryton's base has no ticketing - an opportunity stands for a question, a return of goods for a complaint.
key: [ticket_id]
---*/
select 2 * o.id as ticket_id,
       o.party as customer_id,
       null::integer as order_id,
       'question' as category,
       coalesce(o.description, o.number) as subject,
       case o.state when 'lead' then 'open' when 'opportunity' then 'pending' when 'converted' then 'resolved'
                    when 'won' then 'resolved' else 'closed'
       end as status,
       case when o.conversion_probability >= 0.5 then 2 else 3 end as priority,
       o.start_date::timestamp at time zone 'UTC' as opened_at,
       case when o.state in ('won', 'lost', 'cancelled') then o.end_date::timestamp at time zone 'UTC' end as closed_at,
       null::integer as satisfaction                                     -- Tryton asks for none
from tryton.sale_opportunity o
join tryton.companies c on c.company_id = o.company
where o.party is not null
union all
select 2 * return_id + 1, customer_id, order_id, 'complaint', 'Return ' || number,
       case state when 'done' then 'closed' when 'processing' then 'pending' else 'open' end,
       2, returned_at, closed_at, null
from tryton.returns
