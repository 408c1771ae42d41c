-- name: sj_count_bug_having_zero
SELECT c.id FROM t.customers c WHERE (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id) < 2 ORDER BY c.id;
-- name: sj_count_bug_expression
SELECT c.id, (SELECT coalesce(sum(o.amount), 0) + count(*) * 10 FROM t.orders o WHERE o.customer_id = c.id) AS x FROM t.customers c;
-- name: sj_count_bug_nested_derived
SELECT c.id, (SELECT n + 1 FROM (SELECT count(*) AS n FROM t.orders o WHERE o.customer_id = c.id) z) AS x FROM t.customers c;
-- name: sj_count_filter
SELECT c.id, (SELECT count(*) FILTER (WHERE o.paid) FROM t.orders o WHERE o.customer_id = c.id) AS x FROM t.customers c;
-- name: sj_count_distinct
SELECT c.id, (SELECT count(DISTINCT o.status) FROM t.orders o WHERE o.customer_id = c.id) AS x FROM t.customers c;
-- name: sj_aggregate_having_alone
SELECT c.id, (SELECT sum(o.amount) FROM t.orders o WHERE o.customer_id = c.id HAVING count(*) > 2) AS x FROM t.customers c;
-- name: sj_exists_aggregate_having
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT sum(o.amount) FROM t.orders o WHERE o.customer_id = c.id HAVING count(*) = 0);
-- name: sj_not_exists_aggregate
-- empty
SELECT c.id FROM t.customers c WHERE NOT EXISTS (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id);
-- name: sj_in_aggregate
SELECT c.id FROM t.customers c WHERE c.rank IN (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id);
-- name: sj_not_in_aggregate
SELECT c.id, c.rank NOT IN (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id HAVING count(*) > 1) AS x FROM t.customers c;
-- name: sj_is_null
SELECT c.id, (SELECT sum(o.amount) FROM t.orders o WHERE o.customer_id = c.id) IS NULL AS x FROM t.customers c;
-- name: sj_case_arms
SELECT c.id, CASE WHEN c.vip THEN (SELECT max(o.amount) FROM t.orders o WHERE o.customer_id = c.id) ELSE (SELECT min(o.amount) FROM t.orders o WHERE o.customer_id = c.id) END AS x FROM t.customers c;
-- name: sj_array_agg
SELECT c.id, (SELECT array_agg(o.id ORDER BY o.id DESC) FROM t.orders o WHERE o.customer_id = c.id) AS x FROM t.customers c;
-- name: sj_not_in_null_inner
-- empty
SELECT c.id FROM t.customers c WHERE c.id NOT IN (SELECT o.customer_id FROM t.orders o);
-- name: sj_not_in_null_inner_removed
SELECT c.id FROM t.customers c WHERE c.id NOT IN (SELECT o.customer_id FROM t.orders o WHERE o.customer_id IS NOT NULL);
-- name: sj_not_in_null_both
SELECT o.id FROM t.orders o WHERE o.priority NOT IN (SELECT c.rank FROM t.customers c WHERE c.rank <> 1);
-- name: sj_not_in_empty
SELECT o.id FROM t.orders o WHERE o.priority NOT IN (SELECT c.rank FROM t.customers c WHERE c.id < 0);
-- name: sj_in_value_three_valued
SELECT o.id, o.priority IN (SELECT c.rank FROM t.customers c) AS a, o.priority NOT IN (SELECT c.rank FROM t.customers c WHERE c.id < 4) AS b FROM t.orders o;
-- name: sj_in_value_correlated
SELECT c.id, c.rank IN (SELECT o.priority FROM t.orders o WHERE o.customer_id = c.id) AS a FROM t.customers c;
-- name: sj_not_in_correlated
SELECT c.id FROM t.customers c WHERE c.rank NOT IN (SELECT o.priority FROM t.orders o WHERE o.customer_id = c.id);
-- name: sj_in_correlated_is_null
SELECT c.id FROM t.customers c WHERE (c.rank IN (SELECT o.priority FROM t.orders o WHERE o.customer_id = c.id)) IS NULL;
-- name: sj_in_or
SELECT c.id FROM t.customers c WHERE c.city = 'Paris' OR c.id IN (SELECT o.customer_id FROM t.orders o WHERE o.amount > 500) OR NOT EXISTS (SELECT 1 FROM t.tickets k WHERE k.customer_id = c.id);
-- name: sj_in_case
SELECT c.id, CASE WHEN c.rank IN (SELECT k.severity FROM t.tickets k WHERE k.customer_id = c.id) THEN 'in' WHEN c.rank NOT IN (SELECT k.severity FROM t.tickets k WHERE k.customer_id = c.id) THEN 'out' ELSE 'unknown' END AS x FROM t.customers c;
-- name: sj_row_in
SELECT c.id FROM t.customers c WHERE (c.id, c.rank) IN (SELECT o.customer_id, o.priority FROM t.orders o);
-- name: sj_row_not_in
SELECT c.id, (c.id, c.rank) NOT IN (SELECT o.customer_id, o.priority FROM t.orders o WHERE o.id < 30) AS x FROM t.customers c;
-- name: sj_row_in_correlated
SELECT c.id, (c.rank, c.city) IN (SELECT o.priority, o.status FROM t.orders o WHERE o.customer_id = c.id) AS x FROM t.customers c;
-- name: sj_any_less
SELECT c.id, c.rank < ANY (SELECT o.priority FROM t.orders o WHERE o.customer_id = c.id) AS a, c.rank >= ALL (SELECT o.priority FROM t.orders o WHERE o.customer_id = c.id) AS b FROM t.customers c;
-- name: sj_all_where
SELECT c.id FROM t.customers c WHERE c.rank <= ALL (SELECT o.priority FROM t.orders o WHERE o.customer_id = c.id);
-- name: sj_all_not_equal
SELECT c.id FROM t.customers c WHERE c.rank <> ALL (SELECT o.priority FROM t.orders o WHERE o.customer_id = c.id);
-- name: sj_text_in
SELECT c.id, c.city IN (SELECT a.city FROM t.customers a WHERE a.vip) AS x FROM t.customers c;
-- name: sj_text_semi
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_code = c.code AND o.status = 'open');
-- name: sj_text_anti
SELECT c.id FROM t.customers c WHERE NOT EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_code = c.code);
-- name: sj_word_semi
SELECT w.id FROM t.words w WHERE EXISTS (SELECT 1 FROM t.customers c WHERE c.city = w.s);
-- name: sj_word_anti
SELECT w.id, w.s FROM t.words w WHERE NOT EXISTS (SELECT 1 FROM t.customers c WHERE c.city = w.s);
-- name: sj_exists_inequality
SELECT o.id FROM t.orders o WHERE EXISTS (SELECT 1 FROM t.orders p WHERE p.customer_id = o.customer_id AND p.id > o.id AND p.amount > o.amount);
-- name: sj_not_exists_inequality
SELECT o.id FROM t.orders o WHERE NOT EXISTS (SELECT 1 FROM t.orders p WHERE p.customer_id = o.customer_id AND p.id <> o.id AND p.amount >= o.amount);
-- name: sj_exists_outer_only
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT 1 FROM t.orders o WHERE c.vip AND o.customer_id = c.id);
-- name: sj_not_exists_outer_only
SELECT c.id FROM t.customers c WHERE NOT EXISTS (SELECT 1 FROM t.orders o WHERE c.vip AND o.customer_id = c.id);
-- name: sj_exists_limit
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT o.id FROM t.orders o WHERE o.customer_id = c.id ORDER BY o.id LIMIT 1);
-- name: sj_exists_limit_zero
-- empty
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT o.id FROM t.orders o WHERE o.customer_id = c.id LIMIT 0);
-- name: sj_exists_offset
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT o.id FROM t.orders o WHERE o.customer_id = c.id OFFSET 2);
-- name: sj_exists_distinct
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT DISTINCT o.status FROM t.orders o WHERE o.customer_id = c.id);
-- name: sj_exists_union
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT o.id FROM t.orders o WHERE o.customer_id = c.id AND o.amount > 900 UNION ALL SELECT k.id FROM t.tickets k WHERE k.customer_id = c.id AND k.severity = 5);
-- name: sj_in_union
SELECT c.id, c.rank IN (SELECT o.priority FROM t.orders o WHERE o.customer_id = c.id UNION SELECT k.severity FROM t.tickets k WHERE k.customer_id = c.id) AS x FROM t.customers c;
-- name: sj_count_union_all
SELECT c.id, (SELECT count(*) FROM (SELECT o.id FROM t.orders o WHERE o.customer_id = c.id UNION ALL SELECT k.id FROM t.tickets k WHERE k.customer_id = c.id) z) AS x FROM t.customers c;
-- name: sj_count_except
SELECT c.id, (SELECT count(*) FROM (SELECT o.priority FROM t.orders o WHERE o.customer_id = c.id EXCEPT SELECT k.severity FROM t.tickets k WHERE k.customer_id = c.id) z) AS x FROM t.customers c;
-- name: sj_count_intersect_all
SELECT c.id, (SELECT count(*) FROM (SELECT o.priority FROM t.orders o WHERE o.customer_id = c.id INTERSECT ALL SELECT k.severity FROM t.tickets k WHERE k.customer_id = c.id) z) AS x FROM t.customers c;
-- name: sj_three_deep
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_id = c.id AND EXISTS (SELECT 1 FROM t.order_lines l WHERE l.order_id = o.id AND EXISTS (SELECT 1 FROM t.products p WHERE p.sku = l.sku AND p.price > 10)));
-- name: sj_three_deep_scalar
SELECT c.id, (SELECT sum((SELECT count(*) FROM t.order_lines l WHERE l.order_id = o.id AND l.qty > (SELECT min(x.qty) FROM t.order_lines x WHERE x.order_id = o.id))) FROM t.orders o WHERE o.customer_id = c.id) AS n FROM t.customers c;
-- name: sj_deep_reads_outermost
SELECT c.id, (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id AND EXISTS (SELECT 1 FROM t.tickets k WHERE k.customer_id = c.id AND k.severity = o.priority)) AS n FROM t.customers c;
-- name: sj_deep_not_exists_outermost
SELECT c.id, (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id AND NOT EXISTS (SELECT 1 FROM t.tickets k WHERE k.customer_id = c.id AND k.severity = o.priority)) AS n FROM t.customers c;
-- name: sj_deep_exists_outermost
SELECT c.id FROM t.customers c WHERE EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_id = c.id AND EXISTS (SELECT 1 FROM t.tickets k WHERE k.customer_id = c.id AND k.severity = o.priority));
-- name: sj_deep_scalar_outermost
SELECT c.id, (SELECT max(o.amount) FROM t.orders o WHERE o.customer_id = c.id AND o.priority > (SELECT avg(k.severity) FROM t.tickets k WHERE k.customer_id = c.id)) AS n FROM t.customers c;
-- name: sj_having
SELECT o.customer_id, sum(o.amount) AS s FROM t.orders o GROUP BY o.customer_id HAVING sum(o.amount) > (SELECT avg(p.amount) FROM t.orders p WHERE p.customer_id = o.customer_id) * 2;
-- name: sj_having_exists
SELECT o.status, count(*) AS n FROM t.orders o GROUP BY o.status HAVING EXISTS (SELECT 1 FROM t.tickets k WHERE k.state = o.status AND k.severity > 1);
-- name: sj_order_by
SELECT c.id FROM t.customers c ORDER BY (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id) DESC, c.id LIMIT 7;
-- name: sj_group_by
SELECT (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id) AS n, count(*) AS customers FROM t.customers c GROUP BY 1;
-- name: sj_aggregate_argument
SELECT c.city, sum((SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id)) AS n FROM t.customers c GROUP BY c.city;
-- name: sj_window_argument
SELECT c.id, rank() OVER (ORDER BY (SELECT count(*) FROM t.orders o WHERE o.customer_id = c.id) DESC) AS r FROM t.customers c;
-- name: sj_join_on_inner
SELECT c.id, k.id AS k FROM t.customers c JOIN t.tickets k ON k.customer_id = c.id AND EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_id = c.id AND o.priority = k.severity);
-- name: sj_join_on_left_right
SELECT c.id, k.id AS k FROM t.customers c LEFT JOIN t.tickets k ON k.customer_id = c.id AND EXISTS (SELECT 1 FROM t.orders o WHERE o.priority = k.severity AND o.amount > 700);
-- name: sj_join_on_left_left
SELECT c.id, k.id AS k FROM t.customers c LEFT JOIN t.tickets k ON k.customer_id = c.id AND EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_id = c.id);
-- name: sj_join_on_left_both
SELECT c.id, k.id AS k FROM t.customers c LEFT JOIN t.tickets k ON k.customer_id = c.id AND EXISTS (SELECT 1 FROM t.orders o WHERE o.customer_id = c.id AND o.priority = k.severity);
-- name: sj_join_on_full
SELECT c.id, k.id AS k FROM t.customers c FULL JOIN t.tickets k ON k.customer_id = c.id AND k.severity IN (SELECT o.priority FROM t.orders o) WHERE c.id < 30 OR c.id IS NULL;
-- name: sj_single_by_key
SELECT o.id, (SELECT c.name FROM t.customers c WHERE c.id = o.customer_id) AS x FROM t.orders o;
-- name: sj_single_by_key_constant
SELECT o.id, (SELECT 'yes' FROM t.customers c WHERE c.id = o.customer_id) AS x, (SELECT o.status FROM t.customers c WHERE c.id = o.customer_id AND c.vip) AS y FROM t.orders o;
-- name: sj_single_error
-- error: 21000
SELECT c.id, (SELECT o.id FROM t.orders o WHERE o.customer_id = c.id) AS x FROM t.customers c;
-- name: sj_single_error_not_reached
SELECT c.id, CASE WHEN c.id < 0 THEN (SELECT o.id FROM t.orders o WHERE o.customer_id = c.id) END AS x FROM t.customers c;
-- name: sj_single_fits
SELECT c.id, (SELECT o.id FROM t.orders o WHERE o.customer_id = c.id AND o.id = (SELECT max(x.id) FROM t.orders x WHERE x.customer_id = c.id)) AS x FROM t.customers c;
-- name: sj_single_uncorrelated_error
-- error: 21000
SELECT c.id, (SELECT o.id FROM t.orders o) AS x FROM t.customers c;
-- name: sj_single_uncorrelated_error_no_rows
-- empty
SELECT c.id, (SELECT o.id FROM t.orders o) AS x FROM t.customers c WHERE c.id < 0;
-- name: sj_single_where_error
-- error: 21000
SELECT c.id FROM t.customers c WHERE c.rank = (SELECT o.priority FROM t.orders o WHERE o.customer_id = c.id);
-- name: sj_latest
SELECT c.id, (SELECT o.placed FROM t.orders o WHERE o.customer_id = c.id ORDER BY o.placed DESC NULLS LAST LIMIT 1) AS last, (SELECT o.status FROM t.orders o WHERE o.customer_id = c.id ORDER BY o.id DESC LIMIT 1) AS status FROM t.customers c;
-- name: sj_latest_offset
SELECT c.id, (SELECT o.id FROM t.orders o WHERE o.customer_id = c.id ORDER BY o.id DESC OFFSET 1 LIMIT 1) AS second FROM t.customers c;
-- name: sj_latest_expression
SELECT c.id, (SELECT o.id::text || coalesce(c.city, '-') FROM t.orders o WHERE o.customer_id = c.id ORDER BY o.amount DESC NULLS LAST, o.id LIMIT 1) AS x FROM t.customers c;
-- name: sj_lateral_top
SELECT c.id, x.id AS o, x.n FROM t.customers c LEFT JOIN LATERAL (SELECT o.id, c.rank + 1 AS n FROM t.orders o WHERE o.customer_id = c.id ORDER BY o.id LIMIT 3 OFFSET 1) x ON true;
-- name: sj_lateral_on
SELECT c.id, x.id AS o FROM t.customers c LEFT JOIN LATERAL (SELECT o.id, o.priority FROM t.orders o WHERE o.customer_id = c.id) x ON x.priority = c.rank;
-- name: sj_lateral_left_constant
SELECT c.id, x.k, x.id IS NULL AS missing FROM t.customers c LEFT JOIN LATERAL (SELECT 1 AS k, o.id FROM t.orders o WHERE o.customer_id = c.id AND o.amount > 500) x ON true;
-- name: sj_lateral_aggregate_left
SELECT c.id, x.n, x.s FROM t.customers c LEFT JOIN LATERAL (SELECT count(*) AS n, sum(o.amount) AS s FROM t.orders o WHERE o.customer_id = c.id) x ON true;
-- name: sj_lateral_aggregate_on
SELECT c.id, x.n FROM t.customers c LEFT JOIN LATERAL (SELECT count(*) AS n FROM t.orders o WHERE o.customer_id = c.id) x ON x.n > 3;
-- name: sj_lateral_having
SELECT c.id, x.n FROM t.customers c CROSS JOIN LATERAL (SELECT count(*) AS n FROM t.orders o WHERE o.customer_id = c.id HAVING count(*) <> 2) x;
-- name: sj_lateral_group
SELECT c.id, x.status, x.n FROM t.customers c CROSS JOIN LATERAL (SELECT o.status, count(*) AS n FROM t.orders o WHERE o.customer_id = c.id GROUP BY o.status) x;
-- name: sj_lateral_window
SELECT c.id, x.id AS o, x.r FROM t.customers c CROSS JOIN LATERAL (SELECT o.id, rank() OVER (PARTITION BY o.status ORDER BY o.id) AS r, count(*) OVER () AS n FROM t.orders o WHERE o.customer_id = c.id) x WHERE x.n > 2;
-- name: sj_lateral_distinct
SELECT c.id, x.status FROM t.customers c CROSS JOIN LATERAL (SELECT DISTINCT o.status FROM t.orders o WHERE o.customer_id = c.id) x;
-- name: sj_lateral_distinct_on
SELECT c.id, x.status, x.id AS o FROM t.customers c CROSS JOIN LATERAL (SELECT DISTINCT ON (o.status) o.status, o.id FROM t.orders o WHERE o.customer_id = c.id ORDER BY o.status, o.id DESC) x;
-- name: sj_lateral_chain
SELECT c.id, x.m, y.id AS o FROM t.customers c CROSS JOIN LATERAL (SELECT max(o.amount) AS m FROM t.orders o WHERE o.customer_id = c.id) x LEFT JOIN LATERAL (SELECT o.id FROM t.orders o WHERE o.customer_id = c.id AND o.amount = x.m ORDER BY o.id LIMIT 1) y ON true;
-- name: sj_numeric_key
SELECT n.id, (SELECT count(*) FROM t.nums m WHERE m.d = n.d) AS x, (SELECT count(*) FROM t.nums m WHERE m.e = n.d) AS y, (SELECT count(*) FROM t.nums m WHERE m.f8 = n.f8) AS z, (SELECT count(*) FROM t.nums m WHERE m.i2 = n.i8) AS w FROM t.nums n;
-- name: sj_cross_types
SELECT c.id, (SELECT count(*) FROM t.tickets k WHERE k.severity = c.id) AS a, EXISTS (SELECT 1 FROM t.tickets k WHERE k.severity = c.rank::numeric) AS b FROM t.customers c;
-- name: sj_division_guarded
SELECT c.id, CASE WHEN c.rank > 0 THEN (SELECT sum(100 / (o.priority - o.priority)) FROM t.orders o WHERE o.customer_id = c.id AND o.id < 0) END AS x FROM t.customers c;
-- name: sj_volatile_stays
SELECT count(*) AS n FROM t.customers c WHERE (SELECT count(*) + (random() * 0)::int FROM t.orders o WHERE o.customer_id = c.id) >= 0;
-- name: sj_uncorrelated_max
SELECT o.id FROM t.orders o WHERE o.amount = (SELECT max(x.amount) FROM t.orders x WHERE x.status = 'open');
-- name: sj_uncorrelated_twice
SELECT o.id, o.amount - (SELECT avg(x.amount) FROM t.orders x) AS d FROM t.orders o WHERE o.amount > (SELECT avg(x.amount) FROM t.orders x);
-- name: sj_not_distinct_count
SELECT c.id, (SELECT count(*) FROM t.customers d WHERE d.rank IS NOT DISTINCT FROM c.rank AND d.vip) AS n FROM t.customers c;
-- name: sj_correlated_in_projection
SELECT c.id, (SELECT max(o.amount) - c.rank FROM t.orders o WHERE o.customer_id = c.id) AS x, (SELECT max(o.amount - c.rank) FROM t.orders o WHERE o.customer_id = c.id) AS y FROM t.customers c;
-- name: sj_left_join_inside
SELECT c.id, (SELECT count(l.sku) FROM t.orders o LEFT JOIN t.order_lines l ON l.order_id = o.id WHERE o.customer_id = c.id) AS a, (SELECT count(l.sku) FROM t.orders o LEFT JOIN t.order_lines l ON l.order_id = o.id AND l.qty > c.rank WHERE o.customer_id = c.id) AS b FROM t.customers c WHERE c.id < 40;
-- name: sj_view_inside
SELECT c.id, (SELECT x.orders FROM v.order_totals x WHERE x.cust = c.id) AS n FROM t.customers c;
-- name: sj_exists_view
SELECT c.id FROM v.customer_360 c WHERE EXISTS (SELECT 1 FROM v.all_orders o WHERE o.customer_id = c.id AND o.amount > 800);
-- name: sj_cte_inside
WITH big AS (SELECT * FROM t.orders WHERE amount > 300) SELECT c.id, (SELECT count(*) FROM big b WHERE b.customer_id = c.id) AS n FROM t.customers c WHERE c.id IN (SELECT customer_id FROM big);
-- name: sj_recursive_beside
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6) SELECT n.i, (SELECT count(*) FROM t.tickets k WHERE k.severity = n.i) AS c FROM n WHERE EXISTS (SELECT 1 FROM t.orders o WHERE o.priority = n.i);
