-- name: text_join_code
SELECT c.id, o.id AS o FROM t.customers c JOIN t.orders o ON o.customer_code = c.code;
-- name: text_join_count
SELECT count(*) AS n FROM t.words x JOIN t.words y ON x.s = y.s;
-- name: text_join_self_other_column
SELECT x.id, y.id AS y FROM t.words x JOIN t.words y ON x.s = y.w;
-- name: text_join_lower
SELECT x.id, y.id AS y FROM t.words x JOIN t.words y ON lower(x.s) = lower(y.s) WHERE x.id < y.id;
-- name: text_join_sku
SELECT l.order_id, l.line_no, p.sku, p.category FROM t.order_lines l JOIN t.products p ON p.sku = l.sku;
-- name: text_join_sku_filtered
SELECT l.order_id, p.sku FROM t.order_lines l JOIN t.products p ON p.sku = l.sku WHERE p.category = 'Books';
-- name: text_join_sku_point
SELECT l.order_id, l.sku FROM t.order_lines l JOIN t.products p ON p.sku = l.sku WHERE p.sku = 'ab-3';
-- name: text_join_blank_sku
SELECT l.order_id, l.sku FROM t.order_lines l JOIN t.products p ON p.sku = l.sku WHERE p.sku LIKE 'ab -%';
-- name: text_join_sharp_s
SELECT l.order_id, l.sku, p.title FROM t.order_lines l JOIN t.products p ON p.sku = l.sku WHERE l.sku IN ('ß-1', 'ss-1', '_-%', '😀-1');
-- name: text_join_bpchar
SELECT a.id, r.day FROM t.accounts a JOIN t.rates r ON r.currency = a.currency WHERE r.rate > 1;
-- name: text_join_bpchar_varchar
SELECT a.id, w.id AS w FROM t.accounts a JOIN t.words w ON a.kind = w.v;
-- name: text_join_bpchar_text
SELECT x.id, y.id AS y FROM t.words x JOIN t.words y ON x.c = y.s;
-- name: text_join_varchar_text
SELECT x.id, y.id AS y FROM t.words x JOIN t.words y ON x.v = y.s;
-- name: text_join_city_category
SELECT c.id, p.sku FROM t.customers c JOIN t.products p ON lower(p.category) = lower(c.city);
-- name: text_join_case_pairs
SELECT x.s AS a, y.s AS b FROM t.words x JOIN t.words y ON upper(x.s) = y.s WHERE x.s <> y.s;
-- name: text_join_empty
SELECT c.id, e.id AS e FROM t.customers c JOIN t.events e ON e."user" = c.city;
-- name: text_join_anti
SELECT o.id, o.customer_code FROM t.orders o WHERE NOT EXISTS (SELECT 1 FROM t.customers c WHERE c.code = o.customer_code);
-- name: text_join_semi
SELECT c.id, c.code FROM t.customers c WHERE EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_code = c.code);
-- name: text_join_in
SELECT id, code FROM t.customers WHERE code IN (SELECT customer_code FROM t.orders WHERE paid);
-- name: text_join_not_in
SELECT id, code FROM t.customers WHERE code NOT IN (SELECT customer_code FROM t.orders WHERE customer_code IS NOT NULL);
-- name: text_join_concat
SELECT c.id, w.id AS w FROM t.customers c JOIN t.words w ON c.city || '' = w.s OR c.name = w.s WHERE c.id < 60;
-- name: text_join_trim
SELECT x.id, y.id AS y FROM t.words x JOIN t.words y ON trim(x.s) = y.s AND x.s <> y.s;
-- name: text_join_user_assignee
SELECT e.id, k.id AS k FROM t.events e JOIN t.tickets k ON k.assignee = e."user" AND k.customer_id = e.customer_id;
-- name: text_join_two_text_keys
SELECT c.id, d.id AS d FROM t.customers c JOIN t.customers d ON c.city = d.city AND c.country = d.country AND c.id < d.id;
-- name: text_join_group
SELECT c.city, count(*) AS n, sum(o.amount) AS s FROM t.customers c JOIN t.orders o ON o.customer_code = c.code GROUP BY c.city;
-- name: text_join_inequality
SELECT x.id, y.id AS y FROM t.words x JOIN t.words y ON x.s < y.s WHERE x.id < 15 AND y.id BETWEEN 20 AND 35;
-- name: text_join_like
SELECT x.id, y.id AS y FROM t.words x JOIN t.words y ON x.s LIKE y.s || '%' WHERE length(y.s) = 2;
