-- name: ord_text
-- ordered
SELECT s FROM t.words ORDER BY s, id;
-- name: ord_text_desc
-- ordered
SELECT s, id FROM t.words ORDER BY s DESC, id;
-- name: ord_text_limit
-- ordered
SELECT s, id FROM t.words ORDER BY s, id LIMIT 15;
-- name: ord_text_desc_limit
-- ordered
SELECT s, id FROM t.words ORDER BY s DESC NULLS LAST, id LIMIT 10;
-- name: ord_text_nulls_first
-- ordered
SELECT s, id FROM t.words ORDER BY s NULLS FIRST, id LIMIT 20;
-- name: ord_text_offset
-- ordered
SELECT s, id FROM t.words ORDER BY s, id OFFSET 60 LIMIT 20;
-- name: ord_bpchar
-- ordered
SELECT c, id FROM t.words ORDER BY c, id;
-- name: ord_varchar_limit
-- ordered
SELECT v, id FROM t.words ORDER BY v, id LIMIT 25;
-- name: ord_number_limit
-- ordered
SELECT id, amount FROM t.orders ORDER BY amount, id LIMIT 10;
-- name: ord_number_desc_limit
-- ordered
SELECT id, amount FROM t.orders ORDER BY amount DESC, id LIMIT 40;
-- name: ord_number_desc_nulls_last
-- ordered
SELECT id, amount FROM t.orders ORDER BY amount DESC NULLS LAST, id LIMIT 10;
-- name: ord_nulls_first_limit
-- ordered
SELECT id, rank FROM t.customers ORDER BY rank NULLS FIRST, id LIMIT 30;
-- name: ord_float_nan
-- ordered
SELECT day, currency, rate FROM t.rates ORDER BY rate, day, currency;
-- name: ord_float_nan_limit
-- ordered
SELECT day, currency, rate FROM t.rates ORDER BY rate DESC NULLS LAST, day, currency LIMIT 12;
-- name: ord_bool
-- ordered
SELECT vip, id FROM t.customers ORDER BY vip, id;
-- name: ord_bool_desc_limit
-- ordered
SELECT vip, id FROM t.customers ORDER BY vip DESC, id LIMIT 20;
-- name: ord_instant_limit
-- ordered
SELECT id, placed FROM t.orders ORDER BY placed DESC NULLS LAST, id LIMIT 12;
-- name: ord_date
-- ordered
SELECT id, d FROM t.moments ORDER BY d, id;
-- name: ord_time
-- ordered
SELECT id, tod FROM t.moments ORDER BY tod DESC, id LIMIT 40;
-- name: ord_uuid
-- ordered
SELECT id, ref FROM t.customers ORDER BY ref, id LIMIT 20;
-- name: ord_bytea
-- ordered
SELECT id, b FROM t.words ORDER BY b, id LIMIT 40;
-- name: ord_expression
-- ordered
SELECT id, s FROM t.words ORDER BY lower(s), s, id LIMIT 40;
-- name: ord_length
-- ordered
SELECT id, s FROM t.words ORDER BY length(s) DESC NULLS LAST, id LIMIT 15;
-- name: ord_position
-- ordered
SELECT city, count(*) FROM t.customers GROUP BY city ORDER BY 2 DESC, 1;
-- name: ord_alias
-- ordered
SELECT id, amount * 2 AS dbl FROM t.orders ORDER BY dbl DESC NULLS LAST, id LIMIT 7;
-- name: ord_hidden_column
-- ordered
SELECT name FROM t.customers ORDER BY credit DESC NULLS LAST, id LIMIT 10;
-- name: ord_two_directions
-- ordered
SELECT country, city, id FROM t.customers ORDER BY country DESC, city ASC NULLS FIRST, id DESC LIMIT 60;
-- name: ord_filter_limit
-- ordered
SELECT id, s FROM t.words WHERE s = 'a' OR s > 'b' ORDER BY id LIMIT 5;
-- name: ord_text_filter_limit
-- ordered
SELECT id, city FROM t.customers WHERE city = 'Zurich' ORDER BY id LIMIT 3;
-- name: ord_like_limit
-- ordered
SELECT id, s FROM t.words WHERE s LIKE 'A%' ORDER BY id LIMIT 4;
-- name: ord_limit_zero
-- empty
SELECT id FROM t.orders ORDER BY id LIMIT 0;
-- name: ord_limit_all
-- ordered
SELECT id FROM t.tickets ORDER BY id LIMIT ALL OFFSET 180;
-- name: ord_limit_null
-- ordered
SELECT id FROM t.tickets WHERE id > 185 ORDER BY id LIMIT NULL;
-- name: ord_offset_beyond
-- empty
SELECT id FROM t.orders ORDER BY id OFFSET 100000;
-- name: ord_with_ties
-- ordered
SELECT severity, id FROM (SELECT severity, id FROM t.tickets ORDER BY severity NULLS FIRST FETCH FIRST 5 ROWS WITH TIES) x ORDER BY severity NULLS FIRST, id;
-- name: ord_join_limit
-- ordered
SELECT c.id, o.id AS o, o.amount FROM t.customers c JOIN t.orders o ON o.customer_id = c.id ORDER BY o.amount DESC NULLS LAST, o.id LIMIT 10;
-- name: ord_collate
-- ordered
SELECT s, id FROM t.words ORDER BY s COLLATE "C" DESC, id LIMIT 20;
-- name: ord_using_operator
-- ordered
SELECT id, rank FROM t.customers ORDER BY rank USING >, id LIMIT 20;
-- name: ord_limit_count
SELECT count(*) AS n FROM (SELECT id FROM t.orders LIMIT 25) x;
-- name: ord_limit_fits_all
SELECT id FROM t.accounts LIMIT 5000;
-- name: ord_set_operation_text
-- ordered
SELECT s FROM t.words UNION ALL SELECT city FROM t.customers ORDER BY 1 DESC NULLS LAST LIMIT 30;
-- name: ord_constant_column
SELECT count(*) AS n FROM (SELECT 2147483647 AS c0 FROM t.customers ORDER BY 1 NULLS FIRST OFFSET 140) q;
-- name: ord_constant_in_a_branch
(SELECT 2147483647 AS c0 FROM t.customers ORDER BY 1 NULLS FIRST OFFSET 140) UNION ALL SELECT qty FROM t.order_lines;
-- name: ord_constant_with_ties
SELECT 5 AS k, city FROM t.customers ORDER BY 1 FETCH FIRST 2 ROWS WITH TIES;
