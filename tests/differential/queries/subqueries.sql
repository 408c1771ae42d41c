-- name: sub_scalar_select
SELECT id, (SELECT max(amount) FROM t.orders) AS m FROM t.customers WHERE id < 5;
-- name: sub_scalar_where
SELECT id, amount FROM t.orders WHERE amount > (SELECT avg(amount) * 3 FROM t.orders);
-- name: sub_scalar_empty
SELECT id, (SELECT name FROM t.customers WHERE id = -1) AS x FROM t.tickets WHERE id < 4;
-- name: sub_scalar_text
SELECT id, s FROM t.words WHERE s > (SELECT max(city) FROM t.customers);
-- name: sub_scalar_eq_max
SELECT id, placed FROM t.orders WHERE placed = (SELECT max(placed) FROM t.orders);
-- name: sub_derived_filter
SELECT x.id FROM (SELECT id, city, vip FROM t.customers) x WHERE x.city = 'Paris' AND x.vip IS NOT TRUE;
-- name: sub_derived_expression
SELECT x.k, x.n FROM (SELECT lower(status) AS k, amount * 2 AS n FROM t.orders) x WHERE x.k = 'open' AND x.n > 100;
-- name: sub_derived_limit_filter
-- ordered
SELECT * FROM (SELECT id, status FROM t.orders ORDER BY id LIMIT 50) x WHERE status = 'open' ORDER BY id;
-- name: sub_derived_offset_filter
SELECT * FROM (SELECT id, city FROM t.customers ORDER BY id OFFSET 140) x WHERE city IS NOT NULL;
-- name: sub_derived_window_filter
SELECT * FROM (SELECT id, city, row_number() OVER (PARTITION BY city ORDER BY id) AS rn FROM t.customers) x WHERE rn = 1;
-- name: sub_derived_window_partition_filter
SELECT * FROM (SELECT id, city, count(*) OVER (PARTITION BY city) AS n FROM t.customers) x WHERE city = 'Zürich';
-- name: sub_derived_window_other_filter
SELECT * FROM (SELECT id, city, count(*) OVER (PARTITION BY city) AS n FROM t.customers) x WHERE id < 20;
-- name: sub_derived_distinct_filter
SELECT * FROM (SELECT DISTINCT city, country FROM t.customers) x WHERE country = 'DE';
-- name: sub_derived_group_filter
SELECT * FROM (SELECT city, count(*) AS n FROM t.customers GROUP BY city) x WHERE city <> 'Paris' AND n > 5;
-- name: sub_three_levels
SELECT count(*) AS n FROM (SELECT * FROM (SELECT * FROM (SELECT id, amount FROM t.orders WHERE amount > 0) a WHERE id > 1100) b WHERE amount < 500) c;
-- name: sub_unused_columns
SELECT x.id FROM (SELECT id, upper(name) AS u, balance * 2 AS b, ref FROM t.customers) x WHERE x.id > 145;
-- name: sub_case
SELECT id, CASE WHEN amount > (SELECT percentile_disc(0.9) WITHIN GROUP (ORDER BY amount) FROM t.orders) THEN 'top' ELSE 'rest' END AS c FROM t.orders WHERE id < 1050;
-- name: sub_order_by
-- ordered
SELECT id FROM t.customers WHERE id < 12 ORDER BY (SELECT count(*) FROM t.orders o WHERE o.customer_id = customers.id) DESC, id;
-- name: sub_row
SELECT id FROM t.orders WHERE (customer_id, priority) = (SELECT customer_id, severity FROM t.tickets WHERE customer_id IS NOT NULL ORDER BY id LIMIT 1);
-- name: sub_any
SELECT id, amount FROM t.orders WHERE amount > ANY (SELECT credit FROM t.customers WHERE city = 'Paris');
-- name: sub_all
SELECT id, amount FROM t.orders WHERE amount >= ALL (SELECT o.amount FROM t.orders o WHERE o.amount IS NOT NULL AND o.status = 'open');
-- name: sub_all_empty
SELECT count(*) AS n FROM t.orders WHERE amount > ALL (SELECT credit FROM t.customers WHERE id < 0);
-- name: sub_array
SELECT id, ARRAY(SELECT o.id FROM t.orders o WHERE o.customer_id = c.id ORDER BY o.id) AS orders FROM t.customers c WHERE id < 15;
-- name: sub_from_values
SELECT x.a, (SELECT count(*) FROM t.customers WHERE city = x.b) AS n FROM (VALUES (1, 'Paris'), (2, 'paris'), (3, NULL)) x(a, b);
-- name: sub_in_as_value
SELECT id, city IN (SELECT category FROM t.products) AS x FROM t.customers WHERE id < 40;
-- name: sub_not_in_as_value
SELECT id, coalesce(customer_id NOT IN (SELECT customer_id FROM t.accounts), true) AS x FROM t.tickets WHERE id < 40;
-- name: sub_limit_expression
-- ordered
SELECT id FROM t.customers ORDER BY id LIMIT (SELECT count(*) FROM t.accounts WHERE kind = 'gold');
-- name: sub_same_table_twice
SELECT a.id FROM t.orders a JOIN (SELECT customer_id, max(placed) AS m FROM t.orders GROUP BY customer_id) b ON a.customer_id = b.customer_id AND a.placed = b.m;
