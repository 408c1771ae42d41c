-- name: case_simple
SELECT id, CASE status WHEN 'open' THEN 1 WHEN 'closed' THEN 2 ELSE 0 END AS x FROM t.orders;
-- name: case_searched_null
SELECT id, CASE WHEN vip THEN 'y' WHEN NOT vip THEN 'n' END AS x FROM t.customers;
-- name: case_types
SELECT id, CASE WHEN i4 > 0 THEN i2 ELSE e END AS x FROM t.nums;
-- name: case_text_types
SELECT id, CASE WHEN id % 2 = 0 THEN c ELSE v END AS x FROM t.words;
-- name: case_guard_division
SELECT id, CASE WHEN i4 = 0 THEN NULL ELSE 1000 / i4 END AS x FROM t.nums;
-- name: case_in_where
SELECT id FROM t.customers WHERE CASE WHEN country = 'DE' THEN vip ELSE rank > 8 END;
-- name: case_in_aggregate
SELECT sum(CASE WHEN status = 'open' THEN amount ELSE 0 END) AS a, sum(CASE WHEN status ILIKE 'open' THEN 1 ELSE 0 END) AS b FROM t.orders;
-- name: coalesce_text
SELECT id, coalesce(s, w, '?') AS x FROM t.words;
-- name: coalesce_filter
SELECT id FROM t.customers WHERE coalesce(city, '') = '';
-- name: coalesce_numeric
SELECT id, coalesce(amount, tax, 0) AS x FROM t.orders WHERE amount IS NULL;
-- name: coalesce_bpchar
SELECT id, coalesce(kind, 'none') AS x FROM t.accounts;
-- name: nullif_text
SELECT id, nullif(status, '') AS x, nullif(status, 'OPEN') AS y FROM t.orders;
-- name: nullif_number
SELECT id, 100 / nullif(i4, 0) AS x FROM t.nums;
-- name: greatest_least
SELECT id, greatest(i2, i4, NULL) AS g, least(i2, i4) AS l FROM t.nums;
-- name: greatest_text
SELECT id, greatest(s, w) AS g, least(s, w) AS l FROM t.words;
-- name: greatest_filter
SELECT id FROM t.nums WHERE greatest(i2, i4) > 100;
-- name: boolean_logic
SELECT id, b AND i4 > 0 AS a, b OR i4 > 0 AS o, NOT b AS n, b IS DISTINCT FROM (i4 > 0) AS d FROM t.nums;
-- name: boolean_values
SELECT id, s = 'a' AS eq, s <> 'a' AS ne, s IS NULL AS nu, s > 'B' AS gt FROM t.words;
-- name: case_nested
SELECT id, CASE WHEN amount IS NULL THEN CASE WHEN paid THEN 'odd' ELSE 'none' END WHEN amount > 100 THEN 'big' ELSE 'small' END AS x FROM t.orders;
-- name: case_constant_fold
SELECT id, CASE WHEN 1 = 1 THEN 'a' ELSE (1 / id)::text END AS x FROM t.customers WHERE id < 4;
-- name: coalesce_lazy
SELECT id, coalesce(id, 1 / (id - id)) AS x FROM t.customers WHERE id < 6;
-- name: case_group_order
-- ordered
SELECT CASE WHEN city IN ('Paris', 'paris') THEN 'P' WHEN city LIKE 'Z%' THEN 'Z' ELSE 'x' END AS k, count(*) AS n FROM t.customers GROUP BY 1 ORDER BY n DESC, k;
