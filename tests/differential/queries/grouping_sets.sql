-- name: gs_rollup
SELECT channel, status, count(*) AS n FROM t.orders GROUP BY ROLLUP (channel, status);
-- name: gs_cube
SELECT channel, paid, count(*) AS n, sum(amount) AS s FROM t.orders GROUP BY CUBE (channel, paid);
-- name: gs_sets
SELECT city, country, count(*) AS n FROM t.customers GROUP BY GROUPING SETS ((city), (country), ());
-- name: gs_grouping
SELECT city, vip, grouping(city, vip) AS g, count(*) AS n FROM t.customers GROUP BY ROLLUP (city, vip);
-- name: gs_having
SELECT channel, status, count(*) AS n FROM t.orders GROUP BY ROLLUP (channel, status) HAVING count(*) > 5;
-- name: gs_filter_on_key
SELECT * FROM (SELECT channel, status, count(*) AS n FROM t.orders GROUP BY ROLLUP (channel, status)) x WHERE status = 'open';
-- name: gs_filter_common_key
SELECT * FROM (SELECT channel, status, count(*) AS n FROM t.orders GROUP BY GROUPING SETS ((channel, status), (channel))) x WHERE channel = 'web';
-- name: gs_empty_input
SELECT city, count(*) AS n FROM t.customers WHERE id < 0 GROUP BY GROUPING SETS ((city), ());
-- name: gs_join
SELECT c.country, p.category, sum(l.qty) AS q FROM t.customers c JOIN t.orders o ON o.customer_id = c.id JOIN t.order_lines l ON l.order_id = o.id JOIN t.products p ON p.sku = l.sku GROUP BY ROLLUP (c.country, p.category);
-- name: gs_mixed
SELECT status, channel, priority, count(*) AS n FROM t.orders GROUP BY status, ROLLUP (channel, priority);
-- name: gs_ordered
-- ordered
SELECT country, vip, count(*) AS n FROM t.customers GROUP BY CUBE (country, vip) ORDER BY grouping(country, vip), country NULLS FIRST, vip NULLS FIRST;
-- name: gs_distinct
SELECT channel, status, count(*) AS n FROM t.orders GROUP BY DISTINCT ROLLUP (channel, status), ROLLUP (channel);
-- name: gs_time
SELECT date_trunc('quarter', placed) AS q, channel, sum(amount) AS s FROM t.orders GROUP BY GROUPING SETS ((1), (1, 2), ());
-- name: gs_filter_beside_rollup
SELECT * FROM (SELECT status, channel, count(*) AS n FROM t.orders GROUP BY status, ROLLUP (channel)) x WHERE status = 'open';
-- name: gs_filter_not_common
SELECT * FROM (SELECT status, channel, count(*) AS n FROM t.orders GROUP BY ROLLUP (status, channel)) x WHERE status = 'open' OR status IS NULL;
-- name: gs_filter_sets_common
SELECT * FROM (SELECT priority, paid, customer_id, sum(id) AS n FROM t.orders GROUP BY GROUPING SETS ((priority, paid), (priority, customer_id))) x WHERE priority = 3;
-- name: gs_nested_sets
SELECT priority, paid, count(*) AS n FROM t.orders GROUP BY GROUPING SETS (ROLLUP (priority, paid), CUBE (paid));
