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
