-- name: err_division_by_zero
-- error: 22012
SELECT id / (i4 - i4) FROM t.nums;
-- name: err_division_by_zero_where
-- error: 22012
SELECT id FROM t.nums WHERE 10 / (i2 * 0) > 1;
-- name: err_modulo_zero
-- error: 22012
SELECT i4 % 0 FROM t.nums;
-- name: err_numeric_division
-- error: 22012
SELECT amount / (amount - amount) FROM t.orders;
-- name: err_int_overflow
-- error: 22003
SELECT i4 + 2147483647 FROM t.nums WHERE i4 = 2147483647;
-- name: err_bigint_overflow
-- error: 22003
SELECT i8 * 2 FROM t.nums;
-- name: err_smallint_cast
-- error: 22003
SELECT i4::smallint FROM t.nums;
-- name: err_text_to_int
-- error: 22P02
SELECT s::int FROM t.words;
-- name: err_text_to_int_decimal
-- error: 22P02
SELECT ('1.' || id)::int FROM t.words;
-- name: err_text_to_date
-- error: 22008
SELECT s::date FROM t.words WHERE s = '2024-02-30';
-- name: err_text_to_bool
-- error: 22P02
SELECT s::bool FROM t.words WHERE s = 'NULL';
-- name: err_scalar_many_rows
-- error: 21000
SELECT id, (SELECT o.id FROM t.orders o WHERE o.status = 'open') FROM t.customers;
-- name: err_scalar_many_rows_correlated
-- error: 21000
SELECT c.id, (SELECT o.id FROM t.orders o WHERE o.customer_id = c.id) FROM t.customers c;
-- name: err_sqrt_negative
-- error: 2201F
SELECT sqrt(i2) FROM t.nums;
-- name: err_ln_zero
-- error: 2201E
SELECT ln(f8) FROM t.nums WHERE f8 = 0;
-- name: err_substring_negative
-- error: 22011
SELECT substring(s, 1, -1) FROM t.words;
-- name: err_limit_negative
-- error: 2201W
SELECT id FROM t.words LIMIT -1;
-- name: err_like_escape
-- error: 22025
SELECT id FROM t.words WHERE s LIKE 'a\';
-- name: err_bad_regex
-- error: 2201B
SELECT id FROM t.words WHERE s ~ '(';
-- name: err_numeric_overflow_cast
-- error: 22003
SELECT d::numeric(5, 2) FROM t.nums;
-- name: err_unknown_table
-- error: 42P01
SELECT * FROM t.nothing;
-- name: err_unknown_column
-- error: 42703
SELECT nothing FROM t.customers;
-- name: err_ambiguous_column
-- error: 42702
SELECT id FROM t.customers c JOIN t.orders o ON o.customer_id = c.id;
-- name: err_group_by
-- error: 42803
SELECT city, name FROM t.customers GROUP BY city;
-- name: err_alias_in_where
-- error: 42703
SELECT amount * 2 AS x FROM t.orders WHERE x > 3;
-- name: err_alias_in_having
-- error: 42703
SELECT city, count(*) AS n FROM t.customers GROUP BY city HAVING n > 3;
-- name: err_where_not_boolean
-- error: 42804
SELECT id FROM t.orders WHERE 1;
-- name: err_bool_eq_int
-- error: 42883
SELECT id FROM t.customers WHERE vip = 1;
-- name: err_text_eq_int
-- error: 42883
SELECT id FROM t.words WHERE s = 1;
-- name: err_bad_literal
-- error: 22P02
SELECT id FROM t.orders WHERE customer_id = 'abc';
-- name: err_bad_date_literal
-- error: 22008
SELECT id FROM t.orders WHERE due = '2024-02-30';
-- name: err_syntax
-- error: 42601
SELECT id FROM t.orders WHERE;
-- name: err_union_types
-- error: 42804
SELECT id FROM t.orders UNION SELECT city FROM t.customers;
-- name: err_unknown_function
-- error: 42883
SELECT nosuch(id) FROM t.orders;
-- name: err_aggregate_in_where
-- error: 42803
SELECT id FROM t.orders WHERE count(*) > 1;
-- name: err_window_in_where
-- error: 42P20
SELECT id FROM t.orders WHERE row_number() OVER () = 1;
-- name: err_timestamp_out_of_range
-- error: 22008
SELECT d + 2147483647 FROM t.moments;
