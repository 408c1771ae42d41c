-- name: distinct_text
SELECT DISTINCT s FROM t.words;
-- name: distinct_city
SELECT DISTINCT city FROM t.customers;
-- name: distinct_two
SELECT DISTINCT city, country FROM t.customers;
-- name: distinct_bpchar
SELECT DISTINCT kind FROM t.accounts;
-- name: distinct_lower
SELECT DISTINCT lower(city) AS c FROM t.customers;
-- name: distinct_numeric
SELECT DISTINCT amount FROM t.orders WHERE amount IN (0, 19.99, 100);
-- name: distinct_bool_null
SELECT DISTINCT vip, rank > 3 AS r FROM t.customers;
-- name: distinct_date
SELECT DISTINCT born FROM t.customers;
-- name: distinct_trunc
SELECT DISTINCT date_trunc('day', placed) AS d FROM t.orders;
-- name: distinct_ordered
-- ordered
SELECT DISTINCT status FROM t.orders ORDER BY status;
-- name: distinct_ordered_desc
-- ordered
SELECT DISTINCT city FROM t.customers ORDER BY city DESC;
-- name: distinct_limit
-- ordered
SELECT DISTINCT s FROM t.words ORDER BY s LIMIT 20;
-- name: distinct_on
SELECT DISTINCT ON (customer_id) customer_id, id, amount FROM t.orders ORDER BY customer_id, id DESC;
-- name: distinct_on_text
SELECT DISTINCT ON (city) city, id FROM t.customers ORDER BY city, id;
-- name: distinct_on_two
SELECT DISTINCT ON (status, channel) status, channel, amount, id FROM t.orders ORDER BY status, channel, amount DESC NULLS LAST, id;
-- name: distinct_on_expression
-- ordered
SELECT DISTINCT ON (lower(city)) lower(city) AS k, city, id FROM t.customers ORDER BY lower(city), id;
-- name: distinct_on_outer_filter
SELECT * FROM (SELECT DISTINCT ON (customer_id) customer_id, id, status FROM t.orders ORDER BY customer_id, id) x WHERE status = 'open';
-- name: distinct_on_outer_key_filter
SELECT * FROM (SELECT DISTINCT ON (customer_id) customer_id, id, status FROM t.orders ORDER BY customer_id, id) x WHERE customer_id IN (1, 2, 3);
-- name: distinct_join
SELECT DISTINCT c.city, o.status FROM t.customers c JOIN t.orders o ON o.customer_id = c.id;
-- name: distinct_count
SELECT count(*) AS n FROM (SELECT DISTINCT s FROM t.words) x;
-- name: distinct_aggregate
SELECT DISTINCT count(*) AS n FROM t.orders GROUP BY customer_id;
-- name: distinct_instants_zone
SELECT DISTINCT (at AT TIME ZONE 'Europe/Berlin')::date AS d FROM t.events WHERE at >= '2024-10-20 00:00:00+00' AND at < '2024-11-10 00:00:00+00';
-- name: distinct_case_pairs
SELECT DISTINCT x.s, y.s AS t FROM t.words x JOIN t.words y ON lower(x.s) = lower(y.s) AND x.s < y.s;
-- name: distinct_bytea
SELECT DISTINCT length(b) AS l, substring(b FROM 1 FOR 1) AS h FROM t.words;
