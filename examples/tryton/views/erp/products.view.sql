/*---
description: Variants of product templates, with the company's own prices - a variant's before its template's.
key: [product_id]
---*/
select p.id as product_id,
       t.name as title,
       p.suffix_code as artist,                                          -- What tells a variant from its siblings
       g.genre,
       coalesce(v.list_price, o.list_price) as list_price,
       k.cost_price as unit_cost,
       null::integer as supplier_id,                                     -- Module purchase knows
       t.create_date::date as released_on,
       case when not (t.active and p.active) then 'discontinued'
            when not t.salable then 'phasing out'
            else 'active'
       end as status
from tryton.product_product p
join tryton.product_template t on t.id = p.template
cross join tryton.companies c
left join tryton.product_list_price o on o.template = t.id and o.product is null and o.company = c.company_id
left join tryton.product_list_price v on v.product = p.id and v.company = c.company_id
left join tryton.product_cost_price k on k.product = p.id and k.company = c.company_id
left join (
    select m.template, min(n.name) as genre
    from tryton."product_template-product_category" m
    join tryton.product_category n on n.id = m.category
    where not coalesce(n.accounting, false)
    group by m.template
) g on g.template = t.id
