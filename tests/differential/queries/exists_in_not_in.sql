-- name: exists_plain
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_id = c.id);
-- name: exists_not
SELECT c.id FROM t.customers c WHERE NOT EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_id = c.id);
-- name: exists_filter
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_id = c.id AND o.status = 'Open' AND o.amount > 50);
-- name: exists_uncorrelated
SELECT count(*) AS n FROM t.customers WHERE EXISTS (SELECT 1 FROM t.orders WHERE amount > 100000);
-- name: exists_aggregate
SELECT count(*) AS n FROM t.customers c WHERE EXISTS (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id);
-- name: exists_or
SELECT c.id FROM t.customers c WHERE c.vip OR EXISTS (SELECT 1 FROM t.tickets k WHERE k.customer_id = c.id AND k.severity = 5);
-- name: exists_as_value
SELECT c.id, EXISTS (SELECT 1 FROM t.accounts a WHERE a.customer_id = c.id) AS has FROM t.customers c;
-- name: exists_both
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_id = c.id) AND NOT EXISTS (SELECT 1 FROM t.tickets k WHERE k.customer_id = c.id);
-- name: exists_nested
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_id = c.id AND NOT EXISTS (SELECT 1 FROM t.order_lines l WHERE l.order_id = o.id));
-- name: in_subquery
SELECT id, name FROM t.customers WHERE id IN (SELECT customer_id FROM t.orders WHERE amount > 1000);
-- name: in_subquery_text
SELECT id, city FROM t.customers WHERE city IN (SELECT category FROM t.products);
-- name: in_subquery_group
SELECT id FROM t.customers WHERE id IN (SELECT customer_id FROM t.orders GROUP BY customer_id HAVING count(*) > 3);
-- name: in_subquery_limit
SELECT id FROM t.customers WHERE id IN (SELECT customer_id FROM t.orders WHERE customer_id IS NOT NULL ORDER BY amount DESC NULLS LAST, id LIMIT 10);
-- name: in_subquery_union
SELECT id FROM t.customers WHERE id IN (SELECT customer_id FROM t.orders WHERE paid UNION ALL SELECT customer_id FROM t.tickets WHERE severity = 1);
-- name: in_row
SELECT id FROM t.tickets WHERE (customer_id, severity) IN (SELECT customer_id, priority FROM t.orders);
-- name: in_expression
SELECT id FROM t.tickets WHERE customer_id + 1 IN (SELECT customer_id FROM t.accounts);
-- name: not_in_with_nulls
-- empty
SELECT id FROM t.customers WHERE id NOT IN (SELECT customer_id FROM t.orders);
-- name: not_in_without_nulls
SELECT id FROM t.customers WHERE id NOT IN (SELECT customer_id FROM t.orders WHERE customer_id IS NOT NULL);
-- name: not_in_empty
SELECT count(*) AS n FROM t.tickets WHERE customer_id NOT IN (SELECT customer_id FROM t.accounts WHERE id IS NULL);
-- name: not_in_text
SELECT id, city FROM t.customers WHERE city NOT IN (SELECT category FROM t.products WHERE category IS NOT NULL);
-- name: not_in_nullable_left
SELECT id, customer_id FROM t.tickets WHERE customer_id NOT IN (SELECT id FROM t.customers WHERE id < 100);
-- name: not_in_row
SELECT id FROM t.tickets WHERE (customer_id, severity) NOT IN (SELECT customer_id, priority FROM t.orders WHERE customer_id IS NOT NULL AND priority IS NOT NULL);
-- name: in_deep
SELECT id FROM t.customers WHERE id IN (SELECT customer_id FROM t.orders WHERE id IN (SELECT order_id FROM t.order_lines WHERE sku IN (SELECT sku FROM t.products WHERE category = 'Toys')));
-- name: in_mixed_types
SELECT id FROM t.nums WHERE i2 IN (SELECT i8 FROM t.nums WHERE i8 < 100);
-- name: in_date
SELECT id, born FROM t.customers WHERE born IN (SELECT due FROM t.orders);
-- name: in_negated_or
SELECT id FROM t.customers WHERE NOT (id IN (SELECT customer_id FROM t.tickets WHERE customer_id IS NOT NULL) OR vip);
-- name: any_array_subquery
SELECT id FROM t.customers WHERE id = ANY (ARRAY(SELECT customer_id FROM t.tickets WHERE severity = 4));
