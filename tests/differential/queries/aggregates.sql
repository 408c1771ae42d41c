-- name: agg_count_star
SELECT count(*) FROM t.orders;
-- name: agg_counts
SELECT count(*) AS n, count(status) AS s, count(DISTINCT status) AS d FROM t.orders;
-- name: agg_empty_input
SELECT count(*), sum(amount), max(status), avg(amount), bool_and(paid) FROM t.orders WHERE id < 0;
-- name: agg_group_text
SELECT status, count(*) FROM t.orders GROUP BY status;
-- name: agg_group_city
SELECT city, count(*) AS n, min(id) AS first FROM t.customers GROUP BY city;
-- name: agg_group_bpchar
SELECT country, count(*) AS n FROM t.customers GROUP BY country;
-- name: agg_group_all_words
SELECT s, count(*) AS n FROM t.words GROUP BY s;
-- name: agg_group_lower
SELECT lower(s) AS l, count(*) AS n, max(s) AS m FROM t.words GROUP BY lower(s);
-- name: agg_min_max_text
SELECT min(s), max(s), min(v), max(v) FROM t.words;
-- name: agg_min_max_bpchar
SELECT min(c), max(c), min(country), max(country) FROM t.words w JOIN t.customers k ON k.id = w.id;
-- name: agg_min_max_by_group
SELECT country, min(city) AS a, max(city) AS b FROM t.customers GROUP BY country;
-- name: agg_sum_int2
SELECT sum(i2) AS s, avg(i2) AS a FROM t.nums;
-- name: agg_sum_int4
SELECT sum(i4) AS s, avg(i4) AS a, min(i4), max(i4) FROM t.nums;
-- name: agg_sum_int8
SELECT sum(i8) AS s, avg(i8) AS a FROM t.nums;
-- name: agg_sum_int8_group
SELECT i2, sum(i8) AS s, avg(i8) AS a FROM t.nums GROUP BY i2;
-- name: agg_sum_numeric
SELECT sum(e) AS s, avg(e) AS a, min(e), max(e) FROM t.nums;
-- name: agg_sum_long_decimal
SELECT sum(d) AS s, avg(d) AS a, min(d), max(d) FROM t.nums;
-- name: agg_sum_balance_group
SELECT city, sum(balance) AS s, avg(balance) AS a FROM t.customers GROUP BY city;
-- name: agg_avg_decimal_small
SELECT avg(e) AS a FROM t.nums WHERE e IN (0.10, 0.20, 0.30);
-- name: agg_sum_float
-- approx
SELECT sum(fx) AS s, avg(fx) AS a, min(fx), max(fx) FROM t.orders;
-- name: agg_sum_float_group
-- approx
SELECT channel, sum(fx) AS s, avg(fx) AS a FROM t.orders GROUP BY channel;
-- name: agg_sum_float4
-- approx
SELECT avg(weight) AS a, min(weight), max(weight) FROM t.products;
-- name: agg_stddev
-- approx
SELECT stddev(fx) AS a, stddev_pop(fx) AS b, variance(fx) AS c, var_pop(fx) AS d FROM t.orders;
-- name: agg_stddev_numeric
SELECT stddev(amount) AS a, var_samp(amount) AS b FROM t.orders WHERE amount < 1000;
-- name: agg_stddev_single
SELECT stddev(amount), stddev_pop(amount), var_pop(amount) FROM t.orders WHERE id = 1002;
-- name: agg_corr
-- approx
SELECT corr(fx, amount) AS c, regr_slope(fx, amount) AS s, covar_pop(fx, amount::float8) AS p FROM t.orders;
-- name: agg_nan
SELECT max(rate) AS a, min(rate) AS b, count(rate) AS c FROM t.rates;
-- name: agg_bool
SELECT status, bool_and(paid) AS a, bool_or(paid) AS o, every(paid) AS e FROM t.orders GROUP BY status;
-- name: agg_bits
SELECT bit_and(i4) AS a, bit_or(i2) AS o, bit_xor(i4) AS x FROM t.nums;
-- name: agg_filter
SELECT count(*) FILTER (WHERE paid) AS paid, count(*) FILTER (WHERE NOT paid) AS unpaid, sum(amount) FILTER (WHERE status = 'open') AS s FROM t.orders;
-- name: agg_filter_group
SELECT channel, count(*) FILTER (WHERE status = 'Open') AS a, max(amount) FILTER (WHERE amount < 100) AS b FROM t.orders GROUP BY channel;
-- name: agg_distinct_args
SELECT count(DISTINCT lower(status)) AS a, sum(DISTINCT priority) AS b, avg(DISTINCT amount) AS c FROM t.orders;
-- name: agg_count_distinct_text_group
SELECT country, count(DISTINCT city) AS n FROM t.customers GROUP BY country;
-- name: agg_string
SELECT string_agg(s, '|' ORDER BY s, id) AS x FROM t.words WHERE length(s) < 3;
-- name: agg_string_group
SELECT city, string_agg(name, ', ' ORDER BY name DESC NULLS LAST, id) AS x FROM t.customers GROUP BY city;
-- name: agg_string_distinct
SELECT string_agg(DISTINCT city, ';' ORDER BY city) AS x FROM t.customers;
-- name: agg_array
SELECT array_agg(id ORDER BY id DESC) AS x FROM t.customers WHERE vip;
-- name: agg_array_text_nulls
SELECT country, array_agg(city ORDER BY city NULLS FIRST, id) AS x FROM t.customers GROUP BY country;
-- name: agg_json
SELECT json_agg(json_build_object('id', id, 's', s) ORDER BY id) AS x FROM t.words WHERE id < 8;
-- name: agg_jsonb_object
SELECT jsonb_object_agg(id, city) AS x FROM t.customers WHERE id < 12;
-- name: agg_min_max_time
SELECT min(placed) AS a, max(placed) AS b, min(shipped) AS c, max(due) AS d FROM t.orders;
-- name: agg_min_date_group
SELECT status, min(due) AS a, max(placed) AS b FROM t.orders GROUP BY status;
-- name: agg_interval
SELECT sum(closed - opened) AS s, avg(closed - opened) AS a, max(closed - opened) AS m FROM t.tickets;
-- name: agg_by_month
SELECT date_trunc('month', placed) AS m, count(*) AS n, sum(amount) AS s FROM t.orders GROUP BY 1;
-- name: agg_by_week
SELECT date_trunc('week', placed) AS w, count(*) AS n FROM t.orders GROUP BY date_trunc('week', placed);
-- name: agg_by_day_in_zone
SELECT date_trunc('day', placed, 'America/New_York') AS d, count(*) AS n FROM t.orders WHERE placed >= '2024-03-01 00:00:00+00' AND placed < '2024-04-02 00:00:00+00' GROUP BY 1;
-- name: agg_by_year_month
SELECT extract(year FROM due) AS y, extract(month FROM due) AS m, count(*) AS n FROM t.orders GROUP BY 1, 2;
-- name: agg_by_expression
SELECT amount > 100 AS big, count(*) AS n FROM t.orders GROUP BY amount > 100;
-- name: agg_by_case
SELECT CASE WHEN amount IS NULL THEN 'none' WHEN amount < 0 THEN 'neg' WHEN amount < 100 THEN 'low' ELSE 'high' END AS class, count(*) AS n, sum(amount) AS s FROM t.orders GROUP BY 1;
-- name: agg_group_null_bool
SELECT vip, count(*) AS n FROM t.customers GROUP BY vip;
-- name: agg_group_decimal
SELECT amount, count(*) AS n FROM t.orders GROUP BY amount;
-- name: agg_group_date
SELECT due, count(*) AS n FROM t.orders GROUP BY due;
-- name: agg_group_instant
SELECT at, count(*) AS n FROM t.events GROUP BY at;
-- name: agg_group_uuid
SELECT ref, count(*) AS n FROM t.customers GROUP BY ref;
-- name: agg_group_two
SELECT status, channel, count(*) AS n, sum(amount) AS s FROM t.orders GROUP BY status, channel;
-- name: agg_group_by_key_arithmetic
SELECT id % 10 AS k, count(*) AS n, sum(amount) AS s FROM t.orders GROUP BY id % 10;
-- name: agg_join_group
SELECT c.country, count(DISTINCT c.id) AS customers, count(*) AS orders, sum(o.amount) AS s FROM t.customers c JOIN t.orders o ON o.customer_id = c.id GROUP BY c.country;
-- name: agg_join_three
SELECT p.category, sum(l.qty) AS q, sum(l.qty * l.unit_price) AS v, avg(l.unit_price) AS a FROM t.order_lines l JOIN t.products p ON p.sku = l.sku JOIN t.orders o ON o.id = l.order_id GROUP BY p.category;
-- name: agg_nested
SELECT avg(n) AS a, max(n) AS m FROM (SELECT customer_id, count(*) AS n FROM t.orders GROUP BY customer_id) x;
-- name: agg_expression_over
SELECT sum(amount) / count(*) AS r, sum(amount) * 1.5 AS m, round(avg(amount), 3) AS a FROM t.orders;
-- name: agg_percentile
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY amount) AS d, percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) AS c, mode() WITHIN GROUP (ORDER BY status) AS m FROM t.orders WHERE status > 'a';
-- name: agg_percentile_group
SELECT channel, percentile_disc(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY id) AS q FROM t.orders GROUP BY channel;
-- name: agg_any_value_constant
SELECT city, any_value(lower(city)) AS x FROM t.customers GROUP BY city;
-- name: agg_group_constant
SELECT 'x' AS k, count(*) AS n FROM t.orders GROUP BY 'x'::text;
-- name: agg_exotic_numeric
SELECT sum(n) AS s, max(n) AS m, count(*) AS c FROM t.exotic WHERE n < 1e70;
