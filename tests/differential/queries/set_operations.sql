-- name: set_union
SELECT city AS x FROM t.customers UNION SELECT category FROM t.products;
-- name: set_union_all
SELECT city AS x FROM t.customers UNION ALL SELECT category FROM t.products;
-- name: set_union_words
SELECT s FROM t.words UNION SELECT w FROM t.words;
-- name: set_intersect
SELECT s FROM t.words INTERSECT SELECT w FROM t.words;
-- name: set_intersect_all
SELECT s FROM t.words INTERSECT ALL SELECT w FROM t.words;
-- name: set_except
SELECT s FROM t.words EXCEPT SELECT w FROM t.words;
-- name: set_except_all
SELECT city FROM t.customers WHERE id < 80 EXCEPT ALL SELECT city FROM t.customers WHERE id >= 80;
-- name: set_except_ids
SELECT id FROM t.customers EXCEPT SELECT customer_id FROM t.orders;
-- name: set_intersect_ids
SELECT id FROM t.customers INTERSECT SELECT customer_id FROM t.orders;
-- name: set_union_types
SELECT i2 AS x FROM t.nums UNION SELECT i8 FROM t.nums;
-- name: set_union_int_numeric
SELECT i4 AS x FROM t.nums WHERE i4 < 10 UNION ALL SELECT e FROM t.nums WHERE e < 1;
-- name: set_union_varchar_text
SELECT v FROM t.words UNION SELECT c::text FROM t.words;
-- name: set_union_bpchar_varchar
SELECT kind FROM t.accounts UNION SELECT number FROM t.accounts;
-- name: set_union_numeric_scales
SELECT amount FROM t.orders WHERE id < 1020 UNION ALL SELECT tax FROM t.orders WHERE id < 1020;
-- name: set_union_date_ts
SELECT due AS x FROM t.orders WHERE id < 1010 UNION SELECT shipped FROM t.orders WHERE id < 1010;
-- name: set_union_filter_above
SELECT * FROM (SELECT city AS x, 'c' AS k FROM t.customers UNION ALL SELECT category, 'p' FROM t.products) u WHERE x = 'Cafe' OR x LIKE 'Z%';
-- name: set_union_distinct_filter_above
SELECT * FROM (SELECT city AS x FROM t.customers UNION SELECT category FROM t.products) u WHERE x < 'Z';
-- name: set_except_filter_above
SELECT * FROM (SELECT s FROM t.words EXCEPT SELECT w FROM t.words WHERE w > 'a') u WHERE s > 'A';
-- name: set_intersect_filter_above
SELECT * FROM (SELECT code AS x FROM t.customers INTERSECT SELECT customer_code FROM t.orders) u WHERE x = 'K03' OR x = 'k03';
-- name: set_ordered_limit
-- ordered
SELECT city AS x FROM t.customers UNION SELECT category FROM t.products ORDER BY x NULLS FIRST LIMIT 12;
-- name: set_branch_limits
-- ordered
(SELECT id FROM t.customers ORDER BY id LIMIT 3) UNION ALL (SELECT id FROM t.tickets ORDER BY id DESC LIMIT 3) ORDER BY id;
-- name: set_three
SELECT id FROM t.customers UNION SELECT customer_id FROM t.orders EXCEPT SELECT customer_id FROM t.tickets;
-- name: set_nested
SELECT id FROM t.customers EXCEPT (SELECT customer_id FROM t.orders UNION SELECT customer_id FROM t.tickets);
-- name: set_nulls
SELECT NULL::int AS x UNION SELECT customer_id FROM t.orders WHERE customer_id IS NULL;
-- name: set_aggregate_above
SELECT k, count(*) AS n, sum(a) AS s FROM (SELECT 'o' AS k, amount AS a FROM t.orders UNION ALL SELECT 'c', credit FROM t.customers) u GROUP BY k;
-- name: set_aggregate_text_above
SELECT x, count(*) AS n FROM (SELECT city AS x FROM t.customers UNION ALL SELECT category FROM t.products) u GROUP BY x;
-- name: set_join_above
SELECT u.id, c.city FROM (SELECT customer_id AS id FROM t.orders UNION SELECT customer_id FROM t.tickets) u JOIN t.customers c ON c.id = u.id;
-- name: set_bool
SELECT vip FROM t.customers UNION SELECT paid FROM t.orders;
-- name: set_unknown_literals
SELECT 'a' AS x, NULL AS y UNION ALL SELECT s, w FROM t.words WHERE id < 5;
-- name: set_except_case
SELECT lower(code) AS x FROM t.customers EXCEPT SELECT customer_code FROM t.orders;
-- name: set_floats
SELECT f8 FROM t.nums WHERE f8 > 0 INTERSECT SELECT score FROM t.customers;
-- name: set_distinct_rows
SELECT country, vip FROM t.customers INTERSECT SELECT currency::char(2), active FROM t.accounts;
-- name: set_rows_two_columns
SELECT city, country FROM t.customers WHERE vip EXCEPT SELECT city, country FROM t.customers WHERE NOT vip;
-- name: so_int_except
SELECT customer_id FROM t.orders EXCEPT SELECT customer_id FROM t.orders WHERE priority > 1;
-- name: so_int_intersect
SELECT customer_id, priority FROM t.orders INTERSECT SELECT customer_id, priority FROM t.orders WHERE priority < 3;
-- name: so_int_intersect_all
SELECT priority FROM t.orders INTERSECT ALL SELECT priority FROM t.orders WHERE priority < 4;
-- name: so_int_except_all
SELECT priority FROM t.orders EXCEPT ALL SELECT priority FROM t.orders WHERE paid;
-- name: so_text_union
SELECT status FROM t.orders WHERE id < 200 UNION SELECT status FROM t.orders WHERE paid;
-- name: so_text_except
SELECT status, channel FROM t.orders EXCEPT SELECT status, channel FROM t.orders WHERE id < 100;
-- name: so_nested_precedence
SELECT priority FROM t.orders WHERE id < 50 UNION (SELECT priority FROM t.orders WHERE paid INTERSECT SELECT priority FROM t.orders WHERE id > 100) EXCEPT SELECT priority FROM t.orders WHERE id = 3;
