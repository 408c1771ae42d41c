-- name: id_customers
SELECT * FROM t.customers;
-- name: id_accounts
SELECT * FROM t.accounts;
-- name: id_products
SELECT * FROM t.products;
-- name: id_orders
SELECT * FROM t.orders;
-- name: id_order_lines
SELECT * FROM t.order_lines;
-- name: id_tickets
SELECT * FROM t.tickets;
-- name: id_events
SELECT * FROM t.events;
-- name: id_rates
SELECT * FROM t.rates;
-- name: id_words
SELECT * FROM t.words;
-- name: id_nums
SELECT * FROM t.nums;
-- name: id_moments
SELECT * FROM t.moments;
-- name: id_exotic
SELECT * FROM t.exotic;
-- name: id_row_not_null
SELECT id FROM t.customers WHERE (ROW(manager_id, city) IS NOT NULL) IS NOT TRUE;
-- name: id_not_row_null
SELECT id FROM t.customers WHERE NOT (ROW(manager_id, city) IS NULL);
-- name: id_not_row_not_null
SELECT id FROM t.customers WHERE NOT (ROW(manager_id, city) IS NOT NULL);
-- name: id_not_whole_row_not_null
SELECT c.id FROM t.customers c WHERE NOT (c IS NOT NULL);
-- name: id_whole_row_of_an_outer_join
SELECT c.id FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id AND o.status = 'open' WHERE o IS NOT NULL;
-- name: id_row_column_of_an_outer_join
SELECT d.id, d.o FROM (SELECT c.id, o FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id AND o.status = 'open') d;
-- name: id_row_column_counted
SELECT count(d.o), count(*) FROM (SELECT o FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id AND o.status = 'open') d;
-- name: id_row_column_null_test
SELECT d.id FROM (SELECT c.id, o FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id AND o.status = 'open') d WHERE d.o IS NULL;
-- name: id_row_column_s_field
SELECT d.id, (d.o).status FROM (SELECT c.id, o FROM t.customers c FULL JOIN t.orders o ON o.customer_id = c.id + 1) d;
-- name: id_row_column_of_a_cte
WITH d AS (SELECT c.id, o FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id AND o.status = 'open')
SELECT d.id, to_jsonb(d.o) -> 'status' FROM d;
