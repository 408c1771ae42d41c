-- name: num_int_eq
SELECT id, i4 FROM t.nums WHERE i4 = 7;
-- name: num_int_vs_decimal_literal
SELECT id, i4 FROM t.nums WHERE i4 = 7.0 OR i4 < 0.5;
-- name: num_int2_vs_big
SELECT id, i2 FROM t.nums WHERE i2 < 100000 AND i2 > -32768;
-- name: num_bigint_precision
SELECT id, i8 FROM t.nums WHERE i8 = 9007199254740993;
-- name: num_bigint_vs_float
SELECT id, i8 FROM t.nums WHERE i8 = 9007199254740992::float8;
-- name: num_extremes
SELECT id, i2, i4, i8 FROM t.nums WHERE i8 = 9223372036854775807 OR i8 = -9223372036854775808 OR i4 = -2147483648 OR i2 = -32768;
-- name: num_decimal_eq
SELECT id, e FROM t.nums WHERE e = 0.1 OR e = 77;
-- name: num_decimal_long_eq
SELECT id, d FROM t.nums WHERE d = 12345678901234567.8901234567;
-- name: num_decimal_range
SELECT id, d FROM t.nums WHERE d > 12345678901234567.8901234567;
-- name: num_decimal_vs_int
SELECT id, d FROM t.nums WHERE d = 7 OR d = 100;
-- name: num_decimal_finer_literal
SELECT id, e FROM t.nums WHERE e > 0.099999 AND e < 0.300001;
-- name: num_decimal_more_digits
SELECT id, e FROM t.nums WHERE e = 0.1000000000000000000001 OR e >= 76.999999999999999;
-- name: num_float_eq
SELECT id, f8 FROM t.nums WHERE f8 = 0.3;
-- name: num_float_eq_numeric_literal
SELECT id, f8 FROM t.nums WHERE f8 = 1.1 OR f8 = 0.30000000000000004;
-- name: num_float_zero
SELECT id, f8 FROM t.nums WHERE f8 = 0;
-- name: num_float_range
SELECT id, f8 FROM t.nums WHERE f8 > 0.3 AND f8 < 1e16;
-- name: num_float_rewrite_trap
SELECT id, f8 FROM t.nums WHERE f8 + 0.1 > 0.3;
-- name: num_float4_eq
SELECT id, f4 FROM t.nums WHERE f4 = 1.1::real;
-- name: num_float4_vs_float8
SELECT id, f4 FROM t.nums WHERE f4 = 1.1 OR f4 = 1.5;
-- name: num_float4_range
SELECT id, f4 FROM t.nums WHERE f4 >= 0.3 AND f4 < 1e38;
-- name: num_nan_eq
SELECT day, currency, rate FROM t.rates WHERE rate = 'NaN';
-- name: num_nan_greater
SELECT day, currency, rate FROM t.rates WHERE rate > 100;
-- name: num_nan_not_less
SELECT day, currency FROM t.rates WHERE NOT (rate < 1);
-- name: num_infinity
SELECT day, currency, rate FROM t.rates WHERE rate = 'Infinity' OR rate = '-Infinity';
-- name: num_int_division
SELECT id, i4 / 2 AS half FROM t.nums WHERE i4 / 2 = 3 OR i4 / 2 = -3;
-- name: num_modulo
SELECT id, i4 % 3 AS m FROM t.nums WHERE i4 % 3 = -1 OR i4 % 3 = 2;
-- name: num_modulo_decimal
SELECT id, e % 1 AS m FROM t.nums WHERE e % 1 <> 0;
-- name: num_sum_columns
SELECT id FROM t.nums WHERE i2::bigint + i4 > 100 AND i4 < 2000000;
-- name: num_mixed_arithmetic
SELECT id, i2 * e AS x FROM t.nums WHERE i2 * e > 10;
-- name: num_negate
SELECT id, -e AS n FROM t.nums WHERE -e > 0;
-- name: num_abs
SELECT id, abs(i2::int) AS a FROM t.nums WHERE abs(i2::int) = 7;
-- name: num_between
SELECT id, amount FROM t.orders WHERE amount BETWEEN 0 AND 100;
-- name: num_not_between
SELECT id, amount FROM t.orders WHERE amount NOT BETWEEN 0 AND 1000;
-- name: num_in
SELECT id, amount FROM t.orders WHERE amount IN (19.99, 100, 0);
-- name: num_not_in
SELECT id, qty FROM t.order_lines l(id) WHERE qty NOT IN (1, 2, 3);
-- name: num_bool
SELECT id FROM t.nums WHERE b;
-- name: num_not_bool
SELECT id FROM t.nums WHERE NOT b;
-- name: num_bool_is_not_true
SELECT id FROM t.nums WHERE b IS NOT TRUE;
-- name: num_bool_is_unknown
SELECT id FROM t.nums WHERE b IS UNKNOWN;
-- name: num_bool_eq_false
SELECT id, b FROM t.nums WHERE b = false OR b IS NULL AND i2 > 0;
-- name: num_bool_compare
SELECT id, vip FROM t.customers WHERE vip > false AND vip <> (rank > 3);
-- name: num_distinct_from
SELECT id, i2, i4 FROM t.nums WHERE i2 IS DISTINCT FROM i4 AND (i2 IS NULL OR i4 IS NULL);
-- name: num_cross_type_columns
SELECT id, i2, i4, i8 FROM t.nums WHERE i2 = i4 OR i4 = i8;
-- name: num_decimal_vs_float_column
SELECT id, d, f8 FROM t.nums WHERE d = f8;
-- name: num_int_vs_float_column
SELECT id, i4, f8 FROM t.nums WHERE i4 < f8;
-- name: num_round_filter
SELECT id, d FROM t.nums WHERE round(d) = 3 OR round(d) = -3;
-- name: num_power_sign
SELECT id, 2 ^ i2 AS p FROM t.nums WHERE i2 BETWEEN 0 AND 3;
-- name: num_shift_and_bits
SELECT id, i4 & 7 AS a, i4 | 8 AS o, i4 # 5 AS x, i4 << 1 AS l, i4 >> 1 AS r, ~i4 AS n FROM t.nums WHERE i4 & 1 = 1;
-- name: num_impossible
-- empty
SELECT id FROM t.nums WHERE i4 > 5 AND i4 < 3;
-- name: num_out_of_range_literal
-- empty
SELECT id FROM t.nums WHERE i2 = 70000 OR i4 = 99999999999;
-- name: num_exotic_numeric
SELECT id, n FROM t.exotic WHERE n > 100;
-- name: num_exotic_equal_scale
SELECT id, n FROM t.exotic WHERE n = 1;
-- name: num_unary_fold
SELECT id FROM t.nums WHERE i4 = -(-7) AND 0.1 + 0.2 = 0.3;
-- name: num_case_guard
SELECT id FROM t.nums WHERE CASE WHEN i4 <> 0 THEN 100 / i4 > 10 ELSE false END;
-- name: num_or_branches
SELECT id FROM t.nums WHERE (i2 = 7 AND i4 IS NULL) OR (i2 IS NULL AND e > 0) OR i8 = 7;
-- name: num_constant_of_many_digits
SELECT id FROM t.orders WHERE NOT (amount = 111111111111111111111111111111111111111111111.5);
-- name: num_list_of_many_digits
SELECT id FROM t.orders WHERE amount NOT IN (111111111111111111111111111111111111111111111.5, 0.3333333333333333333333333333333333333333);
