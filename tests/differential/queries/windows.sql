-- name: win_row_number
SELECT id, row_number() OVER (ORDER BY id) AS n FROM t.customers;
-- name: win_row_number_partition
SELECT id, city, row_number() OVER (PARTITION BY city ORDER BY id DESC) AS n FROM t.customers;
-- name: win_rank_text
SELECT id, s, rank() OVER (ORDER BY s) AS r, dense_rank() OVER (ORDER BY s DESC) AS d FROM t.words;
-- name: win_rank_nulls
SELECT id, rank, rank() OVER (ORDER BY rank) AS a, rank() OVER (ORDER BY rank DESC) AS b, rank() OVER (ORDER BY rank NULLS FIRST) AS c FROM t.customers;
-- name: win_running_sum
SELECT id, amount, sum(amount) OVER (PARTITION BY customer_id ORDER BY id) AS s FROM t.orders;
-- name: win_running_range
SELECT id, due, count(*) OVER (ORDER BY due RANGE BETWEEN interval '7 days' PRECEDING AND CURRENT ROW) AS n FROM t.orders;
-- name: win_rows_frame
SELECT id, amount, avg(amount) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS a FROM t.orders;
-- name: win_groups_frame
SELECT id, priority, count(*) OVER (ORDER BY priority GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) AS n FROM t.orders;
-- name: win_exclude
SELECT id, sum(qty) OVER (PARTITION BY order_id ORDER BY line_no ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW) AS s FROM t.order_lines l(id, line_no, sku, qty, unit_price, discount, note) JOIN (SELECT 1) x ON true CROSS JOIN LATERAL (SELECT id AS order_id) y;
-- name: win_lag_lead
SELECT id, lag(id) OVER w AS a, lead(status, 1, 'end') OVER w AS b FROM t.orders WINDOW w AS (PARTITION BY customer_id ORDER BY id);
-- name: win_first_last
SELECT id, first_value(status) OVER w AS f, last_value(id) OVER w AS l, nth_value(id, 2) OVER w AS n FROM t.orders WINDOW w AS (PARTITION BY channel ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING);
-- name: win_ntile
SELECT id, ntile(4) OVER (ORDER BY amount NULLS FIRST, id) AS q FROM t.orders;
-- name: win_percent
SELECT id, percent_rank() OVER (ORDER BY severity) AS p, cume_dist() OVER (ORDER BY severity) AS c FROM t.tickets;
-- name: win_share
SELECT id, amount, round(amount / sum(amount) OVER (PARTITION BY channel), 6) AS share FROM t.orders WHERE amount > 0;
-- name: win_over_aggregate
SELECT city, count(*) AS n, rank() OVER (ORDER BY count(*) DESC) AS r, sum(count(*)) OVER () AS total FROM t.customers GROUP BY city;
-- name: win_count_partition_text
SELECT id, s, count(*) OVER (PARTITION BY s) AS n FROM t.words;
-- name: win_partition_lower
SELECT id, count(*) OVER (PARTITION BY lower(s)) AS n FROM t.words;
-- name: win_min_max_text
SELECT id, min(city) OVER (PARTITION BY country) AS a, max(city) OVER (PARTITION BY country) AS b FROM t.customers;
-- name: win_filter_clause
SELECT id, count(*) FILTER (WHERE paid) OVER (PARTITION BY customer_id) AS n FROM t.orders;
-- name: win_top_per_group
SELECT * FROM (SELECT id, channel, amount, row_number() OVER (PARTITION BY channel ORDER BY amount DESC NULLS LAST, id) AS n FROM t.orders) x WHERE n <= 2;
-- name: win_gap
SELECT id, at, at - lag(at) OVER (PARTITION BY customer_id ORDER BY at, id) AS gap FROM t.events WHERE customer_id < 10;
-- name: win_sessions
SELECT customer_id, count(*) FILTER (WHERE new) AS sessions FROM (SELECT customer_id, at - lag(at) OVER (PARTITION BY customer_id ORDER BY at, id) > interval '30 days' AS new FROM t.events) x GROUP BY customer_id;
-- name: win_join
SELECT c.id, o.id AS o, row_number() OVER (PARTITION BY c.id ORDER BY o.placed DESC NULLS LAST, o.id) AS n FROM t.customers c JOIN t.orders o ON o.customer_id = c.id;
-- name: win_ordered_limit
-- ordered
SELECT id, sum(amount) OVER (ORDER BY id) AS s FROM t.orders ORDER BY id LIMIT 20;
-- name: win_distinct_text_order
SELECT DISTINCT city, dense_rank() OVER (ORDER BY city) AS r FROM t.customers;
-- name: win_float_sum
-- approx
SELECT id, sum(fx) OVER (PARTITION BY channel ORDER BY id) AS s FROM t.orders;
-- name: win_numeric_range
SELECT id, amount, count(*) OVER (ORDER BY amount RANGE BETWEEN 10 PRECEDING AND 10 FOLLOWING) AS n FROM t.orders WHERE amount IS NOT NULL;
