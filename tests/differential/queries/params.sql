-- name: par_point
-- params: [["int4", 5]]
SELECT id, name, city FROM t.customers WHERE id = $1;
-- name: par_null
-- params: [["int4", null]]
-- empty
SELECT id FROM t.customers WHERE id = $1;
-- name: par_text
-- params: [["text", "a"]]
SELECT id, s FROM t.words WHERE s = $1;
-- name: par_text_blank
-- params: [["text", "a "]]
SELECT id, s FROM t.words WHERE s = $1;
-- name: par_text_range
-- params: [["text", "A"], ["text", "b"]]
SELECT id, s FROM t.words WHERE s > $1 AND s <= $2;
-- name: par_like
-- params: [["text", "a%"]]
SELECT id, s FROM t.words WHERE s LIKE $1;
-- name: par_like_underscore
-- params: [["text", "a\\_b"]]
SELECT id, s FROM t.words WHERE s LIKE $1;
-- name: par_ilike
-- params: [["text", "%É%"]]
SELECT id, s FROM t.words WHERE s ILIKE $1;
-- name: par_concat_like
-- params: [["text", "ab"]]
SELECT id, s FROM t.words WHERE s LIKE '%' || $1 || '%';
-- name: par_any
-- params: [["_int4", [1, 2, 3, null, 77]]]
SELECT id, city FROM t.customers WHERE id = ANY ($1);
-- name: par_any_text
-- params: [["_text", ["a", "ss", "", "É", "x\"y", "a\\b"]]]
SELECT id, s FROM t.words WHERE s = ANY ($1);
-- name: par_in
-- params: [["int4", 1], ["int4", 4], ["int4", 9]]
SELECT o.id, c.name FROM t.orders o JOIN t.customers c ON c.id = o.customer_id WHERE c.id IN ($1, $2, $3);
-- name: par_numeric
-- params: [["numeric", "100.00"]]
SELECT id, amount FROM t.orders WHERE amount = $1;
-- name: par_numeric_long
-- params: [["numeric", "12345678901234567.8901234567"]]
SELECT id, d FROM t.nums WHERE d >= $1;
-- name: par_float
-- params: [["float8", 0.3]]
SELECT id, f8 FROM t.nums WHERE f8 = $1;
-- name: par_bigint
-- params: [["int8", 9007199254740993]]
SELECT id, i8 FROM t.nums WHERE i8 = $1;
-- name: par_bool
-- params: [["bool", true]]
SELECT id, vip FROM t.customers WHERE vip = $1;
-- name: par_date
-- params: [["date", "2024-02-29"]]
SELECT id, due FROM t.orders WHERE due = $1;
-- name: par_instants
-- params: [["timestamptz", "2024-03-10 06:59:59.999999+00"], ["timestamptz", "2024-03-10 07:00:00+00"]]
SELECT id, tz FROM t.moments WHERE tz BETWEEN $1 AND $2;
-- name: par_timestamp
-- params: [["timestamp", "2024-01-01 00:00:00"]]
SELECT id, ts FROM t.moments WHERE ts >= $1;
-- name: par_interval
-- params: [["interval", "10 days"]]
SELECT id FROM t.tickets WHERE closed - opened > $1;
-- name: par_uuid
-- params: [["uuid", "00000000-0000-0000-0000-000000000000"]]
SELECT count(*) AS n FROM t.customers WHERE ref > $1;
-- name: par_limit_offset
-- params: [["int8", 7], ["int8", 3]]
-- ordered
SELECT id, amount FROM t.orders ORDER BY id LIMIT $1 OFFSET $2;
-- name: par_select_value
-- params: [["text", "x"], ["int4", 3]]
SELECT $1::text AS a, $2::int + 1 AS b, id FROM t.customers WHERE id < 3;
-- name: par_twice
-- params: [["text", "open"]]
SELECT id, status FROM t.orders WHERE status = $1 OR lower(status) = $1;
-- name: par_null_or
-- params: [["text", null]]
SELECT id FROM t.customers WHERE ($1::text IS NULL OR city = $1) AND id < 10;
-- name: par_null_or_given
-- params: [["text", "Paris"]]
SELECT id FROM t.customers WHERE ($1::text IS NULL OR city = $1);
-- name: par_case
-- params: [["numeric", "100"]]
SELECT id, CASE WHEN amount > $1 THEN 'big' ELSE 'small' END AS x FROM t.orders;
-- name: par_arithmetic
-- params: [["int4", 7]]
SELECT id, i4 % $1 AS m FROM t.nums WHERE i4::bigint + $1 < 100 AND i4 > -1000;
-- name: par_having
-- params: [["int8", 3]]
SELECT customer_id, count(*) AS n FROM t.orders GROUP BY customer_id HAVING count(*) > $1;
-- name: par_group_by
-- params: [["text", "month"]]
SELECT date_trunc($1, placed) AS p, count(*) AS n FROM t.orders GROUP BY 1;
-- name: par_cte
-- params: [["int4", 30], ["text", "open"]]
WITH x AS (SELECT * FROM t.orders WHERE customer_id < $1) SELECT id FROM x WHERE status = $2;
-- name: par_view
-- params: [["int4", 2]]
SELECT * FROM v.customer_360 WHERE id = $1;
-- name: par_subquery
-- params: [["int2", 5]]
SELECT id FROM t.customers WHERE id IN (SELECT customer_id FROM t.tickets WHERE severity = $1);
-- name: par_bpchar
-- params: [["bpchar", "DE"]]
SELECT id, country FROM t.customers WHERE country = $1;
-- name: par_bytea_length
-- params: [["int4", 2]]
SELECT id, b FROM t.words WHERE length(b) = $1;
-- name: par_jsonb
-- params: [["jsonb", "{\"k\": 1}"]]
SELECT id FROM t.events WHERE payload @> $1;
-- name: par_distinct_from
-- params: [["text", null]]
SELECT id FROM t.words WHERE s IS NOT DISTINCT FROM $1;
-- name: par_many
-- params: [["int4", 1], ["text", "Paris"], ["bool", false], ["date", "2024-01-01"], ["numeric", "0"]]
SELECT id FROM t.customers WHERE id > $1 AND (city = $2 OR vip = $3 OR born > $4 OR credit < $5);
-- name: par_not_any_of_nothing
-- params: [["_int4", null]]
-- empty
SELECT id FROM t.customers WHERE NOT (id = ANY ($1));
-- name: par_any_of_nothing_is_unknown
-- params: [["_int4", null]]
SELECT id, (id = ANY ($1)) IS NULL AS b FROM t.customers;
-- name: par_not_any_text_of_nothing
-- params: [["_text", null]]
-- empty
SELECT id FROM t.customers WHERE NOT (city = ANY ($1));
-- name: par_not_any_of_empty
-- params: [["_text", []]]
SELECT id FROM t.customers WHERE NOT (city = ANY ($1));
