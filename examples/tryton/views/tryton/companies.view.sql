/*---
description: The company whose books are read. Tryton keeps several in one database - prices and accounts are of one each.
key: [company_id]
---*/
select min(id) as company_id from tryton.company_company
