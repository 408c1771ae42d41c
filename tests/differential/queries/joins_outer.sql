-- name: left_plain
SELECT c.id, o.id AS o FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id;
-- name: left_where_right
SELECT c.id, o.id AS o FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id WHERE o.amount > 100;
-- name: left_on_right_filter
SELECT c.id, o.id AS o FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id AND o.status = 'open';
-- name: left_on_left_filter
SELECT c.id, o.id AS o FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id AND c.vip;
-- name: left_anti
SELECT c.id FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id WHERE o.id IS NULL;
-- name: left_anti_nullable_column
SELECT c.id, o.status FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id WHERE o.status IS NULL;
-- name: left_literal_side
SELECT c.id, w.k FROM t.customers c LEFT JOIN (SELECT customer_id, 1 AS k FROM t.tickets WHERE severity = 5) w ON w.customer_id = c.id;
-- name: left_literal_anti
SELECT count(*) AS n FROM t.customers c LEFT JOIN (SELECT customer_id, 1 AS k FROM t.tickets) w ON w.customer_id = c.id WHERE w.k IS NULL;
-- name: left_coalesce_side
SELECT c.id, w.a FROM t.customers c LEFT JOIN (SELECT customer_id, coalesce(assignee, '?') AS a FROM t.tickets WHERE severity > 3) w ON w.customer_id = c.id;
-- name: left_is_null_side
SELECT c.id, w.flag FROM t.customers c LEFT JOIN (SELECT customer_id, closed IS NULL AS flag FROM t.tickets) w ON w.customer_id = c.id WHERE c.id < 50;
-- name: left_case_side
SELECT c.id, w.x FROM t.customers c LEFT JOIN (SELECT customer_id, CASE WHEN severity > 2 THEN 'hi' ELSE 'lo' END AS x FROM t.tickets) w ON w.customer_id = c.id WHERE w.x IS DISTINCT FROM 'hi';
-- name: left_three
SELECT c.id, o.id AS o, l.sku FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id LEFT JOIN t.order_lines l ON l.order_id = o.id WHERE c.rank > 6;
-- name: left_then_inner
SELECT c.id, o.id AS o, l.sku FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id JOIN t.order_lines l ON l.order_id = o.id;
-- name: left_nested
SELECT c.id, x.oid, x.sku FROM t.customers c LEFT JOIN (SELECT o.id AS oid, o.customer_id, l.sku FROM t.orders o JOIN t.order_lines l ON l.order_id = o.id) x ON x.customer_id = c.id WHERE c.id < 40;
-- name: left_parenthesised
SELECT c.id, o.id AS o, k.id AS k FROM t.customers c LEFT JOIN (t.orders o JOIN t.tickets k ON k.customer_id = o.customer_id AND k.severity = o.priority) ON o.customer_id = c.id;
-- name: left_using
SELECT customer_id, o.id AS o, k.id AS k FROM t.orders o LEFT JOIN t.tickets k USING (customer_id) WHERE o.amount = 0;
-- name: left_self
SELECT x.id, y.code AS manager FROM t.customers x LEFT JOIN t.customers y ON y.id = x.manager_id;
-- name: left_text_key
SELECT o.id, c.id AS c FROM t.orders o LEFT JOIN t.customers c ON c.code = o.customer_code;
-- name: left_range
SELECT o.id, r.day FROM t.orders o LEFT JOIN t.rates r ON r.currency = 'USD' AND o.due BETWEEN r.day AND r.day + 8 WHERE o.paid;
-- name: left_on_false
SELECT c.id, o.id AS o FROM t.customers c LEFT JOIN t.orders o ON false WHERE c.id < 20;
-- name: left_on_constant_null
SELECT c.id, o.id AS o FROM t.customers c LEFT JOIN t.orders o ON NULL WHERE c.id < 5;
-- name: left_count
SELECT c.id, count(o.id) AS n, count(*) AS all_rows FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id GROUP BY c.id;
-- name: left_limit
-- ordered
SELECT c.id, o.id AS o FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id ORDER BY c.id, o.id LIMIT 30;
-- name: right_plain
SELECT c.id, o.id AS o FROM t.customers c RIGHT JOIN t.orders o ON o.customer_id = c.id;
-- name: right_where_left
SELECT c.id, o.id AS o FROM t.customers c RIGHT JOIN t.orders o ON o.customer_id = c.id WHERE c.vip IS NOT TRUE;
-- name: right_anti
SELECT o.id, o.customer_id FROM t.customers c RIGHT JOIN t.orders o ON o.customer_id = c.id WHERE c.id IS NULL;
-- name: full_plain
SELECT c.id, a.id AS a FROM t.customers c FULL JOIN t.accounts a ON a.customer_id = c.id;
-- name: full_where
SELECT c.id, a.id AS a FROM t.customers c FULL JOIN t.accounts a ON a.customer_id = c.id WHERE c.id IS NULL OR a.id IS NULL;
-- name: full_null_rejecting
SELECT c.id, a.id AS a FROM t.customers c FULL JOIN t.accounts a ON a.customer_id = c.id WHERE a.active;
-- name: full_using
SELECT customer_id, k.id AS k, a.id AS a FROM t.tickets k FULL JOIN t.accounts a USING (customer_id) WHERE customer_id > 100 OR customer_id IS NULL;
-- name: full_filtered_sides
SELECT c.id, a.id AS a FROM (SELECT * FROM t.customers WHERE vip) c FULL JOIN (SELECT * FROM t.accounts WHERE active) a ON a.customer_id = c.id;
-- name: full_three_using
SELECT customer_id, count(*) AS n FROM (SELECT customer_id FROM t.tickets WHERE severity = 1) a FULL JOIN (SELECT customer_id FROM t.accounts) b USING (customer_id) FULL JOIN (SELECT customer_id FROM t.events WHERE n2 = 3) c USING (customer_id) GROUP BY customer_id;
-- name: full_text_key
SELECT x.s, y.s AS y FROM (SELECT DISTINCT s FROM t.words WHERE id < 60) x FULL JOIN (SELECT DISTINCT s FROM t.words WHERE id > 100) y ON x.s = y.s;
-- name: full_after_cross
SELECT p.sku, x.k, y.a FROM (SELECT sku FROM t.products WHERE stock = 17) p CROSS JOIN (SELECT id AS k, customer_id FROM t.tickets WHERE severity = 5) x FULL JOIN (SELECT id AS a, customer_id FROM t.accounts WHERE kind = 'gold') y ON y.customer_id = x.customer_id;
-- name: outer_coalesce_key
SELECT coalesce(a.customer_id, k.customer_id) AS customer, count(*) AS n FROM t.accounts a FULL JOIN t.tickets k ON k.customer_id = a.customer_id GROUP BY 1;
-- name: left_lateral_like_view
SELECT c.id, x.orders FROM t.customers c LEFT JOIN v.order_totals x ON x.cust = c.id WHERE coalesce(x.orders, 0) = 0;
-- name: left_both_sides_filter_or
SELECT c.id, o.id AS o FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id WHERE c.vip OR o.paid;
