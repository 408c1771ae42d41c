/*---
description: What happened to each - an opportunity's history as Tryton keeps it, and a return's beginning and end.
key: [event_id]
---*/
select 4 * h.__id as event_id,
       2 * h.id as ticket_id,
       coalesce(h.write_date, h.create_date) at time zone 'UTC' as happened_at,
       case when h.write_date is null then 'opened' else 'note' end as kind,
       coalesce(u.name, u.login) as author,
       h.state as note
from tryton.sale_opportunity__history h
left join tryton.res_user u on u.id = coalesce(h.write_uid, h.create_uid)
where h.party is not null
union all
select 4 * (t.ticket_id / 2) + 1, t.ticket_id, t.opened_at, 'opened', 'customer', null
from tickets.tickets t
where t.category = 'complaint'
union all
select 4 * (t.ticket_id / 2) + 3, t.ticket_id, t.closed_at, 'closed', 'warehouse', null
from tickets.tickets t
where t.category = 'complaint' and t.closed_at is not null
