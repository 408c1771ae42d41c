-- name: inner_two
SELECT o.id, c.name FROM t.orders o JOIN t.customers c ON c.id = o.customer_id;
-- name: inner_filtered_left
SELECT o.id, c.name, o.amount FROM t.orders o JOIN t.customers c ON c.id = o.customer_id WHERE o.amount > 500;
-- name: inner_filtered_right
SELECT o.id, c.city FROM t.orders o JOIN t.customers c ON c.id = o.customer_id WHERE c.city = 'Zurich';
-- name: inner_both_filters
SELECT o.id, c.city, o.status FROM t.orders o JOIN t.customers c ON c.id = o.customer_id WHERE c.country = 'DE' AND o.status = 'open';
-- name: inner_point
SELECT o.id, o.amount, c.name FROM t.customers c JOIN t.orders o ON o.customer_id = c.id WHERE c.id = 1;
-- name: inner_three
SELECT c.id, o.id AS order_id, l.sku FROM t.customers c JOIN t.orders o ON o.customer_id = c.id JOIN t.order_lines l ON l.order_id = o.id WHERE c.vip;
-- name: inner_four
SELECT c.name, o.id, l.line_no, p.title, p.price FROM t.customers c JOIN t.orders o ON o.customer_id = c.id JOIN t.order_lines l ON l.order_id = o.id JOIN t.products p ON p.sku = l.sku WHERE o.paid IS NOT FALSE;
-- name: inner_five_sources
SELECT c.id, a.id AS account, o.id AS order_id, k.id AS ticket, e.id AS event FROM t.customers c JOIN t.accounts a ON a.customer_id = c.id JOIN t.orders o ON o.customer_id = c.id JOIN t.tickets k ON k.customer_id = c.id JOIN t.events e ON e.customer_id = c.id WHERE c.id BETWEEN 20 AND 60;
-- name: inner_using
SELECT customer_id, o.id, k.id AS ticket FROM t.orders o JOIN t.tickets k USING (customer_id) WHERE customer_id > 5;
-- name: inner_natural
SELECT * FROM (SELECT id, customer_id FROM t.tickets) k NATURAL JOIN (SELECT customer_id, amount FROM t.orders WHERE customer_id > 60) o;
-- name: inner_cross
SELECT a.currency, p.sku FROM t.accounts a CROSS JOIN t.products p WHERE p.stock = 17 AND a.active;
-- name: inner_comma
SELECT c.id, o.id FROM t.customers c, t.orders o WHERE c.id = o.customer_id AND c.rank = o.priority;
-- name: inner_self
SELECT x.id, y.id AS manager FROM t.customers x JOIN t.customers y ON y.id = x.manager_id;
-- name: inner_self_inequality
SELECT x.id, y.id AS other FROM t.customers x JOIN t.customers y ON x.city = y.city AND x.id < y.id WHERE x.vip AND y.vip;
-- name: inner_range_condition
SELECT o.id, r.currency, r.day FROM t.orders o JOIN t.rates r ON o.due >= r.day AND o.due < r.day + 9 WHERE r.currency = 'EUR';
-- name: inner_expression_key
SELECT x.id, y.id AS y FROM t.customers x JOIN t.tickets y ON x.id = y.customer_id + 1;
-- name: inner_mixed_int_types
SELECT n.id, m.id AS m FROM t.nums n JOIN t.nums m ON n.i2 = m.i8;
-- name: inner_int_numeric_key
SELECT n.id, m.id AS m FROM t.nums n JOIN t.nums m ON n.i4 = m.d;
-- name: inner_float_key
SELECT n.id, m.id AS m FROM t.nums n JOIN t.nums m ON n.f8 = m.f8 AND n.id < m.id;
-- name: inner_float4_float8_key
SELECT n.id, m.id AS m FROM t.nums n JOIN t.nums m ON n.f4 = m.f8;
-- name: inner_date_key
SELECT x.id, y.id AS y FROM t.customers x JOIN t.orders y ON x.born = y.due;
-- name: inner_instant_key
SELECT o.id, e.id AS event FROM t.orders o JOIN t.events e ON o.placed = e.at;
-- name: inner_ts_tz_key
SELECT o.id, e.id AS event FROM t.orders o JOIN t.events e ON o.shipped = e.at;
-- name: inner_uuid_key
SELECT x.id, y.id AS y FROM t.customers x JOIN t.customers y ON x.ref = y.ref;
-- name: inner_bytea_key
SELECT x.id, y.id AS y FROM t.words x JOIN t.words y ON x.b = y.b AND x.id <> y.id;
-- name: inner_bool_key
SELECT n.id, c.id AS c FROM t.nums n JOIN t.customers c ON c.vip = n.b WHERE n.id < 5 AND c.id < 9;
-- name: inner_composite_key
SELECT k.id, o.id AS order_id FROM t.tickets k JOIN t.orders o ON o.customer_id = k.customer_id AND o.priority = k.severity;
-- name: inner_is_not_distinct
SELECT k.id, e.id AS event FROM t.tickets k JOIN t.events e ON e.customer_id IS NOT DISTINCT FROM k.customer_id WHERE k.customer_id IS NULL OR k.id < 10;
-- name: inner_or_condition
SELECT o.id, k.id AS ticket FROM t.orders o JOIN t.tickets k ON o.customer_id = k.customer_id OR o.id = k.id + 1000 WHERE k.severity = 5;
-- name: inner_on_true
SELECT r.day, p.sku FROM t.rates r JOIN t.products p ON true WHERE r.rate > 1 AND p.stock = 0 AND p.discontinued;
-- name: inner_no_match
-- empty
SELECT c.id FROM t.customers c JOIN t.orders o ON o.customer_id = c.id + 100000;
-- name: inner_contradiction
-- empty
SELECT c.id FROM t.customers c JOIN t.orders o ON o.customer_id = c.id WHERE c.id = 3 AND o.customer_id = 4;
-- name: inner_transitive
SELECT c.id, o.id AS o, k.id AS k FROM t.customers c JOIN t.orders o ON o.customer_id = c.id JOIN t.tickets k ON k.customer_id = o.customer_id WHERE c.id = 2;
-- name: inner_in_list_keys
SELECT c.id, o.id AS o FROM t.customers c JOIN t.orders o ON o.customer_id = c.id WHERE c.id IN (1, 3, 5, 160, 2, NULL);
-- name: inner_derived
SELECT c.name, x.n FROM t.customers c JOIN (SELECT customer_id, count(*) AS n FROM t.orders GROUP BY customer_id) x ON x.customer_id = c.id WHERE x.n > 2;
-- name: inner_derived_limit
-- ordered
SELECT c.id, x.id AS order_id FROM t.customers c JOIN (SELECT id, customer_id FROM t.orders ORDER BY id LIMIT 40) x ON x.customer_id = c.id ORDER BY x.id, c.id;
-- name: inner_values
SELECT v.label, c.id FROM (VALUES (1, 'one'), (2, 'two'), (999, 'none')) v(id, label) JOIN t.customers c ON c.id = v.id;
-- name: inner_generate_series
SELECT g, o.id FROM generate_series(1, 10) g JOIN t.orders o ON o.customer_id = g;
-- name: inner_duplicate_names
SELECT c.id, o.id, c.* FROM t.customers c JOIN t.orders o ON o.customer_id = c.id WHERE o.amount = 100;
-- name: inner_semi_by_join_distinct
SELECT DISTINCT c.id, c.city FROM t.customers c JOIN t.orders o ON o.customer_id = c.id;
-- name: inner_skewed_count
SELECT count(*) AS n FROM t.orders o JOIN t.events e ON e.customer_id = o.customer_id;
-- name: inner_two_conditions_one_side
SELECT o.id, c.id AS c FROM t.orders o JOIN t.customers c ON o.customer_id = c.id AND c.vip AND o.amount IS NOT NULL;
