-- name: cor_count
SELECT c.id, (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id) AS n FROM t.customers c;
-- name: cor_sum
SELECT c.id, (SELECT sum(o.amount) FROM t.orders o WHERE o.customer_id = c.id AND o.paid) AS s FROM t.customers c WHERE c.vip;
-- name: cor_count_bug
SELECT c.id FROM t.customers c WHERE (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id) = 0;
-- name: cor_greater_avg
SELECT o.id, o.amount FROM t.orders o WHERE o.amount > (SELECT avg(x.amount) FROM t.orders x WHERE x.customer_id = o.customer_id);
-- name: cor_latest
SELECT o.id, o.customer_id FROM t.orders o WHERE o.id = (SELECT x.id FROM t.orders x WHERE x.customer_id = o.customer_id ORDER BY x.placed DESC NULLS LAST, x.id LIMIT 1);
-- name: cor_text
SELECT c.id, (SELECT min(o.id) FROM t.orders o WHERE o.customer_code = c.code) AS first FROM t.customers c;
-- name: cor_inequality
SELECT r.day, r.currency, (SELECT count(*) FROM t.orders o WHERE o.due < r.day) AS n FROM t.rates r WHERE r.currency = 'USD';
-- name: cor_two_levels
SELECT c.id, (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id AND EXISTS (SELECT 1 FROM t.order_lines l WHERE l.order_id = o.id AND l.qty > c.rank)) AS n FROM t.customers c WHERE c.id < 40;
-- name: cor_two_outer
SELECT c.id, k.id AS k, (SELECT max(o.amount) FROM t.orders o WHERE o.customer_id = c.id AND o.priority < k.severity) AS m FROM t.customers c JOIN t.tickets k ON k.customer_id = c.id WHERE c.id < 30;
-- name: cor_derived_shadow
SELECT c.id, (SELECT count(*) FROM (SELECT o.* FROM t.orders o WHERE o.customer_id = c.id) c) AS n FROM t.customers c WHERE c.id < 20;
-- name: cor_coalesce
SELECT c.id, coalesce((SELECT max(o.status) FROM t.orders o WHERE o.customer_id = c.id), 'none') AS s FROM t.customers c;
-- name: cor_in_case
SELECT c.id, CASE WHEN EXISTS (SELECT 1 FROM t.tickets k WHERE k.customer_id = c.id AND k.closed IS NULL) THEN 'busy' ELSE 'calm' END AS x FROM t.customers c;
-- name: cor_array
SELECT c.id, (SELECT array_agg(k.id ORDER BY k.id) FROM t.tickets k WHERE k.customer_id = c.id) AS x FROM t.customers c WHERE c.rank = 3;
-- name: cor_string_agg
SELECT c.id, (SELECT string_agg(DISTINCT o.status, ',' ORDER BY o.status) FROM t.orders o WHERE o.customer_id = c.id) AS x FROM t.customers c WHERE c.id <= 25;
-- name: cor_not_distinct
SELECT c.id, (SELECT count(*) FROM t.products p WHERE p.category IS NOT DISTINCT FROM c.city) AS n FROM t.customers c WHERE c.id < 30;
-- name: cor_window_inside
SELECT c.id, (SELECT x.id FROM (SELECT o.id, row_number() OVER (ORDER BY o.amount DESC NULLS LAST, o.id) AS rn FROM t.orders o WHERE o.customer_id = c.id) x WHERE x.rn = 2) AS second FROM t.customers c WHERE c.id < 30;
-- name: cor_group_having
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_id = c.id GROUP BY o.status HAVING count(*) > 1);
-- name: cor_aggregate_of_outer
SELECT c.city, (SELECT count(*) FROM t.tickets k WHERE k.severity > max(c.rank) - 10) AS n FROM t.customers c GROUP BY c.city;
