-- name: arr_column
SELECT id, ints, tags FROM t.exotic;
-- name: arr_contains
SELECT id FROM t.exotic WHERE ints @> ARRAY[1];
-- name: arr_overlap
SELECT id FROM t.exotic WHERE tags && ARRAY['a', 'b'];
-- name: arr_any
SELECT id FROM t.exotic WHERE 3 = ANY (ints);
-- name: arr_equality
SELECT x.id, y.id AS y FROM t.exotic x JOIN t.exotic y ON x.ints = y.ints AND x.id < y.id WHERE x.id < 12;
-- name: arr_subscript
SELECT id, ints[1] AS a, ints[2:3] AS b, array_length(ints, 1) AS n, cardinality(tags) AS c FROM t.exotic;
-- name: arr_unnest
SELECT id, i FROM t.exotic, unnest(ints) i;
-- name: arr_unnest_select
SELECT id, unnest(tags) AS tag FROM t.exotic;
-- name: arr_concat
SELECT id, ints || 9 AS a, array_append(tags, 'z') AS b, array_to_string(tags, '|', '-') AS c FROM t.exotic;
-- name: arr_order
-- ordered
SELECT ints, id FROM t.exotic ORDER BY ints, id;
-- name: arr_group
SELECT ints, count(*) AS n FROM t.exotic GROUP BY ints;
-- name: arr_literal_join
SELECT c.id, c.city FROM t.customers c WHERE c.id = ANY ('{1,2,3,NULL,500}'::int[]);
-- name: arr_build
SELECT id, ARRAY[city, code, name::text] AS a FROM t.customers WHERE id < 30;
-- name: arr_position
SELECT id, array_position(ints, 3) AS p, array_remove(ints, 1) AS r FROM t.exotic;
-- name: arr_aggregate_two
SELECT vip, array_agg(DISTINCT country ORDER BY country) AS a FROM t.customers GROUP BY vip;
-- name: arr_slice_of_aggregate
SELECT customer_id, (array_agg(id ORDER BY placed DESC NULLS LAST, id))[1:2] AS last FROM t.orders GROUP BY customer_id;
