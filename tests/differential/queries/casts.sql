-- name: cast_int_text
SELECT id, i4::text AS x, i8::text || '!' AS y FROM t.nums;
-- name: cast_float_text
SELECT id, f8::text AS x, f4::text AS y FROM t.nums;
-- name: cast_numeric_text
SELECT id, d::text AS x, e::text AS y FROM t.nums;
-- name: cast_numeric_int
SELECT id, e::int AS x FROM t.nums;
-- name: cast_numeric_half
SELECT d, d::numeric(38,0) AS a, round(d)::text AS b FROM t.nums WHERE d IN (1.5, 2.5, -2.5);
-- name: cast_float_int
SELECT id, f8::int AS x FROM t.nums WHERE f8 BETWEEN -1000 AND 1000;
-- name: cast_float_numeric
SELECT id, f8::numeric AS x, f8::numeric(10, 2) AS y FROM t.nums WHERE abs(f8) < 1000000;
-- name: cast_numeric_float
SELECT id, d::float8 AS x, e::real AS y FROM t.nums;
-- name: cast_int_float
SELECT id, i8::float8 AS x, i4::real AS y FROM t.nums;
-- name: cast_bool_text
SELECT id, b::text AS x, b::int AS y FROM t.nums;
-- name: cast_int_bool
SELECT id, i4::bool AS x FROM t.nums;
-- name: cast_text_varchar
SELECT id, s::varchar(3) AS x FROM t.words;
-- name: cast_text_bpchar
SELECT id, s::char(3) AS x, s::char(3) = 'a' AS y FROM t.words;
-- name: cast_bpchar_text
SELECT id, c::text AS x, length(c::text) AS n FROM t.words;
-- name: cast_varchar_compare
SELECT id FROM t.words WHERE s::varchar(3) = 'abc';
-- name: cast_text_int
SELECT id, s::int AS x FROM t.words WHERE s ~ '^ *-?[0-9]+$';
-- name: cast_text_numeric
SELECT id, s::numeric AS x FROM t.words WHERE s ~ '^[0-9]+(e[0-9])?$';
-- name: cast_text_float
SELECT id, s::float8 AS x FROM t.words WHERE s IN ('NaN', '1e3', '02');
-- name: cast_text_bool
SELECT id, s::bool AS x FROM t.words WHERE s IN ('t', 'true', 'TRUE', '1', '0', 'n');
-- name: cast_text_date
SELECT id, s::date AS x FROM t.words WHERE s = '2024-02-29';
-- name: cast_date_text
SELECT id, d::text AS x, d::timestamp AS y FROM t.moments;
-- name: cast_instant_text
SELECT id, tz::text AS x, ts::text AS y FROM t.moments;
-- name: cast_instant_date
SELECT id, tz::date AS x, ts::date AS y, tz::timestamp AS z FROM t.moments;
-- name: cast_ts_precision
SELECT id, ts::timestamp(0) AS a, ts::timestamp(3) AS b, tz::timestamptz(0) AS c FROM t.moments;
-- name: cast_ts_time
SELECT id, ts::time AS a, tod::time(0) AS b, tod::interval AS c FROM t.moments;
-- name: cast_uuid_text
SELECT id, ref::text AS x FROM t.customers WHERE ref::text LIKE 'f%';
-- name: cast_numeric_scale
SELECT id, amount::numeric(12, 1) AS a, tax::numeric(38, 2) AS b, (amount * 1)::numeric(20, 5) AS c FROM t.orders;
-- name: cast_numeric_negative_scale
SELECT id, amount::numeric(10, -2) AS a FROM t.orders WHERE amount < 100000;
-- name: cast_interval_text
SELECT id, (closed - opened)::text AS x FROM t.tickets;
-- name: cast_bytea_text
SELECT id, b::text AS x, encode(b, 'hex') AS y FROM t.words;
-- name: cast_implicit_union
SELECT 1 AS x UNION ALL SELECT 2.5 UNION ALL SELECT i2 FROM t.nums WHERE i2 = 7;
-- name: cast_date_to_timestamptz
SELECT id, d::timestamptz AS x FROM t.moments WHERE d > '2024-01-01' AND d < '2025-01-01';
-- name: cast_int_smallint
SELECT id, i4::smallint AS x FROM t.nums WHERE i4 BETWEEN -32768 AND 32767;
-- name: cast_numeric_bigint
SELECT id, d::bigint AS x FROM t.nums WHERE abs(d) < 1000000;
