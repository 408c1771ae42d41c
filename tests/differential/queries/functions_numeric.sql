-- name: fn_division
SELECT id, i4 / 7 AS a, i4 / 7.0 AS b, e / 3 AS c, i4 / -7 AS d FROM t.nums;
-- name: fn_numeric_division_scales
SELECT id, e / 0.3 AS a, d / 7 AS b, d / 123456.789 AS c, 1 / 3.0 AS g FROM t.nums;
-- name: fn_modulo
SELECT id, i4 % 5 AS a, mod(e, 0.7) AS b, i8 % 10 AS c FROM t.nums;
-- name: fn_multiply
SELECT id, d * 3 AS a, e * e AS b, d * d AS c FROM t.nums;
-- name: fn_add
SELECT id, d + e AS a, i2 + i8 AS b, d - 0.5 AS c FROM t.nums WHERE i8 BETWEEN -9000000000000000000 AND 9000000000000000000;
-- name: fn_mixed_float
SELECT id, f8 + e AS a, f8 * i2 AS b FROM t.nums WHERE abs(f8) < 1e17;
-- name: fn_round_numeric
SELECT id, round(e) AS a, round(e, 1) AS b, round(d, 3) AS c, round(e, -2) AS g FROM t.nums;
-- name: fn_round_float
SELECT id, round(f8) AS a, round(f8::numeric, 1) AS b FROM t.nums WHERE abs(f8) < 1e17;
-- name: fn_trunc_ceil_floor
SELECT id, trunc(e) AS a, ceil(e) AS b, floor(e) AS c, trunc(d, 2) AS g, ceil(f8) AS h, floor(f8) AS i FROM t.nums;
-- name: fn_abs_sign
SELECT id, abs(e) AS a, sign(e) AS b, abs(f8) AS c, sign(f8) AS g, abs(d) AS h FROM t.nums;
-- name: fn_power_sqrt
SELECT id, power(i2, 2) AS a, sqrt(abs(e)) AS b, 2 ^ 10 AS c, sqrt(abs(f8)) AS g FROM t.nums WHERE abs(f8) < 1e100;
-- name: fn_exp_ln
-- approx
SELECT id, ln(f8) AS a, log(f8) AS b, exp(f8) AS c FROM t.nums WHERE f8 > 0 AND f8 < 100;
-- name: fn_ln_numeric
SELECT id, ln(e) AS a, log(10, e) AS b FROM t.nums WHERE e > 0;
-- name: fn_gcd_div
SELECT id, div(e, 3) AS a, gcd(i4, 12) AS b, lcm(i2::int, 6) AS c, factorial(5) AS g FROM t.nums WHERE i4 > -2147483648 AND i2 BETWEEN -1000 AND 1000;
-- name: fn_width_bucket
SELECT width_bucket(amount, 0, 1000, 5) AS b, count(*) AS n FROM t.orders GROUP BY 1;
-- name: fn_negative_zero
SELECT id, f8, f8 = 0 AS z, -f8 AS n, 1 / nullif(f8, 0) AS i FROM t.nums WHERE f8 IN (0, 0.5, -2.5);
-- name: fn_nan
SELECT day, currency, rate + 1 AS a, rate = rate AS e, rate > 1e300 AS g FROM t.rates;
-- name: fn_numeric_literals
SELECT 0.1 + 0.2 = 0.3 AS a, 1e400::numeric > 0 AS b, 7 / 2 AS c, -7 / 2 AS g, 7 % -3 AS h, 1.10 AS i, 5 / 2.0 AS j, 2 ^ -1 AS k;
-- name: fn_trigonometry
-- approx
SELECT id, sin(f8) AS a, atan2(f8, 2) AS b, degrees(f8) AS c FROM t.nums WHERE abs(f8) < 1000;
-- name: fn_scale
SELECT id, scale(e) AS a, min_scale(d) AS b, trim_scale(d) AS c FROM t.nums;
-- name: fn_hex_octal
SELECT id, to_hex(i4) AS a, i4 + 0x10 AS b, 1_000 + i2 AS c FROM t.nums WHERE i4 < 2000000000;
-- name: fn_numeric_sum_of_products
SELECT sum(l.qty * l.unit_price * (1 - coalesce(l.discount, 0))) AS net FROM t.order_lines l;
-- name: fn_sum_expression_group
SELECT sku, sum(qty * unit_price) AS s, avg(unit_price) AS a, count(discount) AS c FROM t.order_lines GROUP BY sku;
-- name: fn_round_avg
SELECT city, round(avg(credit), 2) AS a, round(avg(score)::numeric, 6) AS b FROM t.customers GROUP BY city;
-- name: fn_random_volatile
SELECT count(*) AS n FROM (SELECT random() AS r FROM t.orders) x WHERE r >= 0 AND r < 1;
-- name: fn_volatile_once
SELECT count(*) AS n FROM (SELECT id, random() AS r FROM t.orders) x WHERE r = r AND NOT (r < 0.5 AND r >= 0.5);
-- name: fn_exotic_arithmetic
SELECT id, n + 1 AS a, n * 2 AS b, n::text AS c FROM t.exotic;
