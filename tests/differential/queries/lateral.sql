-- name: lat_top
SELECT c.id, x.id AS o, x.amount FROM t.customers c CROSS JOIN LATERAL (SELECT o.id, o.amount FROM t.orders o WHERE o.customer_id = c.id ORDER BY o.amount DESC NULLS LAST, o.id LIMIT 2) x;
-- name: lat_left
SELECT c.id, x.id AS o FROM t.customers c LEFT JOIN LATERAL (SELECT o.id FROM t.orders o WHERE o.customer_id = c.id AND o.paid ORDER BY o.id LIMIT 1) x ON true;
-- name: lat_aggregate
SELECT c.id, x.n, x.s FROM t.customers c, LATERAL (SELECT count(*) AS n, sum(amount) AS s FROM t.orders o WHERE o.customer_id = c.id) x WHERE c.city = 'Paris';
-- name: lat_expression
SELECT o.id, x.gross FROM t.orders o, LATERAL (SELECT o.amount * 1.19 AS gross) x WHERE x.gross > 500;
-- name: lat_unnest
SELECT p.sku, tag FROM t.products p, LATERAL unnest(string_to_array(p.tags, ',')) AS tag;
-- name: lat_unnest_ordinality
SELECT p.sku, x.tag, x.n FROM t.products p CROSS JOIN LATERAL unnest(string_to_array(p.tags, ',')) WITH ORDINALITY AS x(tag, n) WHERE x.n <= 2;
-- name: lat_series
SELECT l.order_id, l.line_no, g FROM t.order_lines l, generate_series(1, l.qty) g WHERE l.qty < 4;
-- name: lat_two
SELECT c.id, x.n, y.m FROM t.customers c CROSS JOIN LATERAL (SELECT count(*) AS n FROM t.orders o WHERE o.customer_id = c.id) x CROSS JOIN LATERAL (SELECT max(severity) AS m FROM t.tickets k WHERE k.customer_id = c.id AND k.severity < x.n) y;
-- name: lat_values
SELECT c.id, v.k, v.x FROM t.customers c CROSS JOIN LATERAL (VALUES ('city', c.city), ('name', c.name::text)) v(k, x) WHERE c.id < 20;
-- name: lat_unpivot_aggregate
SELECT v.k, count(*) AS n, min(v.x) AS x FROM t.words w CROSS JOIN LATERAL (VALUES ('s', w.s), ('w', w.w)) v(k, x) GROUP BY v.k;
-- name: lat_json_each
SELECT e.id, j.key, j.value FROM t.events e, jsonb_each_text(e.payload) j WHERE e.id < 300;
-- name: lat_regexp
SELECT w.id, m[1] AS a FROM t.words w, LATERAL regexp_matches(w.s, '([[:alpha:]]+)', 'g') m WHERE w.id < 50;
-- name: lat_rows_from
SELECT x.a, x.b FROM ROWS FROM (generate_series(1, 3), unnest(ARRAY['x', 'y'])) AS x(a, b);
