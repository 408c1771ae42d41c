-- name: having_count
SELECT customer_id, count(*) AS n FROM t.orders GROUP BY customer_id HAVING count(*) > 4;
-- name: having_key
SELECT status, count(*) AS n FROM t.orders GROUP BY status HAVING status = 'open';
-- name: having_key_range
SELECT status, count(*) AS n FROM t.orders GROUP BY status HAVING status < 'a';
-- name: having_sum
SELECT customer_id, sum(amount) AS s FROM t.orders GROUP BY customer_id HAVING sum(amount) > 1000;
-- name: having_other_aggregate
SELECT channel FROM t.orders GROUP BY channel HAVING max(amount) > 5000 AND min(placed) < '2023-07-01 00:00:00+00';
-- name: having_without_group
SELECT count(*) AS n FROM t.orders HAVING count(*) > 10;
-- name: having_without_group_false
-- empty
SELECT count(*) AS n FROM t.orders HAVING count(*) < 10;
-- name: having_null_key
SELECT status, count(*) AS n FROM t.orders GROUP BY status HAVING status IS NULL OR count(*) > 30;
-- name: having_avg
SELECT city, avg(credit) AS a FROM t.customers GROUP BY city HAVING avg(credit) > 0;
-- name: having_count_distinct
SELECT city, count(DISTINCT country) AS n FROM t.customers GROUP BY city HAVING count(DISTINCT country) >= 5;
-- name: having_subquery
SELECT customer_id, sum(amount) AS s FROM t.orders GROUP BY customer_id HAVING sum(amount) > (SELECT avg(amount) * 10 FROM t.orders);
-- name: having_bool
SELECT channel, count(*) AS n FROM t.orders GROUP BY channel HAVING bool_or(paid) AND NOT bool_and(paid);
-- name: having_where
SELECT city, count(*) AS n FROM t.customers WHERE vip GROUP BY city HAVING count(*) > 2 AND city >= 'M';
-- name: having_join
SELECT c.city, sum(o.amount) AS s FROM t.customers c LEFT JOIN t.orders o ON o.customer_id = c.id GROUP BY c.city HAVING sum(o.amount) IS NULL OR sum(o.amount) > 100;
-- name: having_derived_filter
SELECT * FROM (SELECT customer_id, count(*) AS n, max(status) AS m FROM t.orders GROUP BY customer_id) x WHERE n > 2 AND customer_id < 50 AND m > 'c';
-- name: having_duplicates
SELECT s, count(*) AS n FROM t.words GROUP BY s HAVING count(*) > 1;
-- name: having_duplicates_lower
SELECT lower(s) AS l, count(DISTINCT s) AS n FROM t.words GROUP BY 1 HAVING count(DISTINCT s) > 1;
-- name: having_exists
SELECT customer_id, count(*) AS n FROM t.tickets k GROUP BY customer_id HAVING EXISTS (SELECT 1 FROM t.accounts a WHERE a.customer_id = k.customer_id);
