-- name: hc_count
SELECT part, count(*) AS n FROM v.all_orders GROUP BY part;
-- name: hc_hot_only
SELECT id, placed FROM v.all_orders WHERE placed >= '2024-07-01 00:00:00+00';
-- name: hc_cold_only
SELECT id, placed FROM v.all_orders WHERE placed < '2024-01-01 00:00:00+00';
-- name: hc_across
SELECT id, part, placed FROM v.all_orders WHERE placed BETWEEN '2024-05-15 00:00:00+00' AND '2024-06-15 00:00:00+00';
-- name: hc_null
SELECT id, part FROM v.all_orders WHERE placed IS NULL;
-- name: hc_pruned_by_part
SELECT count(*) AS n FROM v.all_orders WHERE part = 'cold';
-- name: hc_key
SELECT id, part, amount FROM v.all_orders WHERE id = 1010;
-- name: hc_month
SELECT * FROM v.month_sales;
-- name: hc_month_filter
SELECT channel, n, amount FROM v.month_sales WHERE month = '2024-03-01 00:00:00+00';
-- name: hc_month_range
SELECT month, sum(n) AS n FROM v.month_sales WHERE month >= '2024-05-01 00:00:00+00' GROUP BY month;
-- name: hc_aggregate
SELECT status, count(*) AS n, sum(amount) AS s, avg(amount) AS a, min(placed) AS f FROM v.all_orders GROUP BY status;
-- name: hc_top
-- ordered
SELECT id, placed FROM v.all_orders ORDER BY placed DESC NULLS LAST, id LIMIT 15;
-- name: hc_top_text
-- ordered
SELECT id, status FROM v.all_orders ORDER BY status DESC NULLS LAST, id LIMIT 15;
-- name: hc_join
SELECT c.city, count(*) AS n FROM v.all_orders o JOIN t.customers c ON c.id = o.customer_id WHERE o.placed >= '2024-06-10 00:00:00+00' GROUP BY c.city;
-- name: hc_distinct
SELECT DISTINCT status FROM v.all_orders;
-- name: hc_base_split_point
SELECT * FROM t.orders WHERE id = 1003;
-- name: hc_base_split_text
SELECT id, status FROM t.orders WHERE status = 'open' AND placed >= '2024-06-01 00:00:00+00';
-- name: hc_base_split_sum
SELECT count(*) AS n, sum(amount) AS a, max(id) AS m FROM t.orders WHERE placed < '2024-02-01 00:00:00+00';
-- name: hc_trunc_prune
SELECT id FROM t.orders WHERE date_trunc('month', placed) = '2024-08-01 00:00:00+00';
-- name: hc_date_cast_prune
SELECT id FROM v.all_orders WHERE placed::date = '2024-10-27';
-- name: hc_impossible
-- empty
SELECT id FROM v.recent WHERE placed < '2024-01-01 00:00:00+00';
-- name: hc_union_of_views
SELECT id FROM v.recent WHERE status = 'open' UNION ALL SELECT id FROM v.old WHERE status = 'open';
