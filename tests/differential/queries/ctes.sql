-- name: cte_plain
WITH x AS (SELECT id, city FROM t.customers WHERE vip) SELECT * FROM x WHERE city = 'Paris';
-- name: cte_twice
WITH x AS (SELECT customer_id, sum(amount) AS s FROM t.orders GROUP BY customer_id) SELECT a.customer_id, a.s FROM x a WHERE a.s > (SELECT avg(s) FROM x);
-- name: cte_joined_with_itself
WITH x AS (SELECT id, city FROM t.customers WHERE rank > 5) SELECT a.id, b.id AS b FROM x a JOIN x b ON a.city = b.city AND a.id < b.id;
-- name: cte_chain
WITH a AS (SELECT * FROM t.orders WHERE paid), b AS (SELECT customer_id, count(*) AS n FROM a GROUP BY customer_id), c AS (SELECT * FROM b WHERE n > 1) SELECT c.n, k.name FROM c JOIN t.customers k ON k.id = c.customer_id;
-- name: cte_materialized
WITH x AS MATERIALIZED (SELECT * FROM t.orders) SELECT id, amount FROM x WHERE status = 'open';
-- name: cte_not_materialized
WITH x AS NOT MATERIALIZED (SELECT * FROM t.orders) SELECT id FROM x WHERE customer_id = 1 UNION ALL SELECT id FROM x WHERE customer_id = 2;
-- name: cte_column_names
WITH x(a, b) AS (SELECT id, code FROM t.customers) SELECT a FROM x WHERE b = 'K01';
-- name: cte_shadows_table
WITH customers AS (SELECT 1 AS id, 'me' AS name) SELECT c.id, c.name, count(*) AS n FROM customers c JOIN t.orders o ON o.customer_id = c.id GROUP BY c.id, c.name;
-- name: cte_unused
WITH unused AS (SELECT * FROM t.events) SELECT count(*) AS n FROM t.tickets;
-- name: cte_nested
WITH x AS (WITH y AS (SELECT id, amount FROM t.orders WHERE amount > 10) SELECT * FROM y WHERE amount < 200) SELECT count(*) AS n, sum(amount) AS s FROM x;
-- name: cte_in_subquery
SELECT id FROM t.customers WHERE id IN (WITH x AS (SELECT customer_id FROM t.tickets WHERE severity > 3) SELECT customer_id FROM x);
-- name: cte_union
WITH a AS (SELECT city AS x FROM t.customers), b AS (SELECT category AS x FROM t.products) SELECT x FROM a UNION SELECT x FROM b;
-- name: cte_funnel
WITH views AS (SELECT customer_id, min(at) AS t FROM t.events WHERE kind = 'view' GROUP BY 1), buys AS (SELECT customer_id, min(at) AS t FROM t.events WHERE kind = 'purchase' GROUP BY 1) SELECT count(*) AS viewers, count(b.t) AS buyers, count(*) FILTER (WHERE b.t > v.t) AS converted FROM views v LEFT JOIN buys b USING (customer_id);
-- name: cte_cohort
WITH firsts AS (SELECT customer_id, date_trunc('month', min(placed)) AS cohort FROM t.orders WHERE customer_id IS NOT NULL GROUP BY customer_id) SELECT f.cohort, date_trunc('month', o.placed) AS m, count(DISTINCT o.customer_id) AS n FROM firsts f JOIN t.orders o ON o.customer_id = f.customer_id GROUP BY 1, 2;
-- name: cte_limit
-- ordered
WITH top AS (SELECT id, customer_id, amount FROM t.orders ORDER BY amount DESC NULLS LAST, id LIMIT 10) SELECT top.*, c.name FROM top LEFT JOIN t.customers c ON c.id = top.customer_id ORDER BY amount DESC, top.id;
-- name: cte_filters_of_two_consumers
WITH o AS (SELECT id, status, amount FROM t.orders) SELECT 'a' AS k, count(*) AS n FROM o WHERE status = 'open' UNION ALL SELECT 'b', count(*) FROM o WHERE amount > 100;
-- name: cte_deep
WITH a AS (SELECT id, customer_id, amount FROM t.orders), b AS (SELECT *, amount * 1.19 AS gross FROM a), c AS (SELECT *, gross - amount AS vat FROM b), d AS (SELECT customer_id, sum(vat) AS vat FROM c GROUP BY customer_id) SELECT * FROM d WHERE customer_id BETWEEN 1 AND 20;
