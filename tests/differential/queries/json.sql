-- name: json_arrow
SELECT id, payload -> 'k' AS a, payload ->> 'k' AS b FROM t.events;
-- name: json_filter_text
SELECT id FROM t.events WHERE payload ->> 'k' = 'a';
-- name: json_filter_null
SELECT id FROM t.events WHERE payload ->> 'z' IS NULL AND payload ? 'z';
-- name: json_number_text
SELECT id, payload ->> 'k' AS k FROM t.events WHERE payload ->> 'k' IN ('1', '1.5');
-- name: json_contains
SELECT id FROM t.events WHERE payload @> '{"k": 1}';
-- name: json_keys
SELECT key, count(*) AS n FROM t.events, jsonb_object_keys(payload) key GROUP BY key;
-- name: json_path
SELECT id, payload #>> '{k,n}' AS n, jsonb_path_query_first(payload, '$.k[1]') AS x FROM t.events;
-- name: json_typeof
SELECT jsonb_typeof(payload -> 'k') AS t, count(*) AS n FROM t.events GROUP BY 1;
-- name: json_whole
SELECT id, payload FROM t.events WHERE id < 200;
-- name: json_equality
SELECT x.id, y.id AS y FROM t.events x JOIN t.events y ON x.payload = y.payload AND x.id < y.id WHERE x.customer_id < 3 AND y.customer_id < 3;
-- name: json_group
SELECT payload, count(*) AS n FROM t.events GROUP BY payload;
-- name: json_text_column
SELECT id, meta::jsonb ->> 'p' AS p, meta::json ->> 'é' AS e FROM t.tickets WHERE meta IS NOT NULL;
-- name: json_text_column_raw
SELECT id, meta FROM t.tickets WHERE meta LIKE '%"p": 1%';
-- name: json_array_elements
SELECT k.id, e FROM t.tickets k, jsonb_array_elements(k.meta::jsonb -> 'l') e WHERE k.id < 60;
-- name: json_cast_number
SELECT sum((payload ->> 'k')::numeric) AS s FROM t.events WHERE jsonb_typeof(payload -> 'k') = 'number';
-- name: json_build
SELECT id, jsonb_build_object('city', city, 'vip', vip, 'credit', credit, 'born', born) AS j FROM t.customers WHERE id < 30;
-- name: json_row
SELECT row_to_json(x) AS j FROM (SELECT id, code, created, score FROM t.customers WHERE id < 20) x;
-- name: json_agg_nested
SELECT c.id, (SELECT coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'a', o.amount) ORDER BY o.id), '[]') FROM t.orders o WHERE o.customer_id = c.id) AS orders FROM t.customers c WHERE c.id < 25;
-- name: json_set
SELECT id, jsonb_set(payload, '{k}', '"new"') AS a, payload - 'k' AS b, payload || '{"q": 1}' AS c FROM t.events WHERE id < 140;
-- name: json_exists
SELECT id FROM t.events WHERE jsonb_path_exists(payload, '$.k ? (@ > 1)');
-- name: json_table
SELECT e.id, j.k FROM t.events e, JSON_TABLE(e.payload, '$' COLUMNS (k text PATH '$.k')) j WHERE e.id < 140;
