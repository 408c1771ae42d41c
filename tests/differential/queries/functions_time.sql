-- name: ff_trunc_all
SELECT id, date_trunc('hour', tz) AS h, date_trunc('day', tz) AS d, date_trunc('week', tz) AS w, date_trunc('month', tz) AS m, date_trunc('quarter', tz) AS q, date_trunc('year', tz) AS y FROM t.moments;
-- name: ff_trunc_ts
SELECT id, date_trunc('minute', ts) AS a, date_trunc('day', ts) AS b, date_trunc('decade', ts) AS c FROM t.moments;
-- name: ff_trunc_date
SELECT id, date_trunc('month', d) AS a, date_trunc('week', d)::date AS b FROM t.moments;
-- name: ff_extract_all
SELECT id, extract(year FROM tz) AS y, extract(month FROM tz) AS mo, extract(day FROM tz) AS d, extract(hour FROM tz) AS h, extract(minute FROM tz) AS mi, extract(second FROM tz) AS s FROM t.moments;
-- name: ff_extract_week
SELECT id, extract(week FROM d) AS w, extract(isoyear FROM d) AS iy, extract(dow FROM d) AS dw, extract(isodow FROM d) AS idw, extract(doy FROM d) AS doy, extract(quarter FROM d) AS q FROM t.moments;
-- name: ff_extract_parts
SELECT id, extract(milliseconds FROM ts) AS ms, extract(microseconds FROM ts) AS us, extract(century FROM ts) AS c, extract(epoch FROM ts) AS e FROM t.moments;
-- name: ff_date_part
SELECT id, date_part('epoch', tz) AS e, date_part('second', ts) AS s, date_part('dow', d) AS w FROM t.moments;
-- name: ff_plus_day_hours
SELECT id, tz + interval '1 day' AS a, tz + interval '24 hours' AS b, ts + interval '1 day' AS c FROM t.moments;
-- name: ff_zone_plus_day
SELECT id, (tz AT TIME ZONE 'America/New_York' + interval '1 day') AT TIME ZONE 'America/New_York' AS a FROM t.moments WHERE tz > '2024-01-01 00:00:00+00';
-- name: ff_month_ends
SELECT id, d + interval '1 month' AS a, d - interval '1 month' AS b, d + interval '1 year' AS c FROM t.moments WHERE d < '2025-01-01';
-- name: ff_date_int
SELECT id, d + 7 AS a, d - 1 AS b, d - date '2024-01-01' AS c FROM t.moments WHERE d < '2030-01-01';
-- name: ff_differences
SELECT id, tz - timestamptz '2024-01-01 00:00:00+00' AS a, ts - timestamp '2024-01-01' AS b FROM t.moments;
-- name: ff_age
SELECT id, age(timestamp '2024-03-31', ts) AS a, age(d) IS NULL AS b FROM t.moments;
-- name: ff_zones
SELECT id, tz AT TIME ZONE 'America/New_York' AS ny, tz AT TIME ZONE 'Europe/Berlin' AS b, tz AT TIME ZONE '+02' AS p FROM t.moments;
-- name: ff_zones_back
SELECT id, ts AT TIME ZONE 'America/New_York' AS ny, ts AT TIME ZONE 'UTC' AS u FROM t.moments;
-- name: ff_zone_day_group
SELECT (tz AT TIME ZONE 'America/New_York')::date AS d, count(*) AS n FROM t.moments GROUP BY 1;
-- name: ff_to_char
SELECT id, to_char(tz, 'YYYY-MM-DD HH24:MI:SS.US') AS a, to_char(d, 'Day DD Mon IYYY-IW') AS b, to_char(ts, 'Q D DDD') AS c FROM t.moments;
-- name: ff_to_date
SELECT id, to_date(to_char(d, 'DD/MM/YYYY'), 'DD/MM/YYYY') AS a FROM t.moments;
-- name: ff_to_timestamp
SELECT id, to_timestamp(id * 86400.5) AS a, to_timestamp('2024-02-29 12:00', 'YYYY-MM-DD HH24:MI') AS b FROM t.moments WHERE id < 10;
-- name: ff_make
SELECT id, make_date(2024, 1 + id % 12, 28) AS a, make_interval(days => id) AS b, make_timestamp(2024, 2, 29, 1, 2, 3.5) AS c FROM t.moments WHERE id < 15;
-- name: ff_justify
SELECT id, justify_interval(closed - opened) AS a, justify_days(closed - opened) AS b FROM t.tickets;
-- name: ff_interval_parts
SELECT id, extract(day FROM closed - opened) AS d, extract(epoch FROM closed - opened) / 3600 AS h FROM t.tickets;
-- name: ff_interval_columns
SELECT id, span, span * 2 AS b, span + interval '1 day' AS c FROM t.exotic;
-- name: ff_interval_group
SELECT count(*) AS n, max(extract(epoch FROM span)) AS e FROM t.exotic GROUP BY extract(epoch FROM span);
-- name: ff_date_bin
SELECT date_bin('15 days', placed, timestamptz '2024-01-01 00:00:00+00') AS b, count(*) AS n FROM t.orders GROUP BY 1;
-- name: ff_series
SELECT g::date AS day, count(o.id) AS n FROM generate_series(date '2024-02-26', date '2024-03-04', interval '1 day') g LEFT JOIN t.orders o ON o.due = g::date GROUP BY 1;
-- name: ff_time_arithmetic
SELECT id, tod + interval '2 hours' AS a, tod - time '01:00' AS b, d + tod AS c FROM t.moments WHERE d < '2030-01-01';
-- name: ff_now_is_stable
SELECT count(*) AS n FROM t.orders WHERE placed < now() AND now() = now() AND current_date >= '2024-01-01';
-- name: ff_now_relative
SELECT count(*) AS n FROM t.orders WHERE placed > now() - interval '1000 years' AND due < current_date + 400000;
-- name: ff_isfinite
SELECT id, d, isfinite(d) AS f FROM t.exotic;
-- name: ff_last_day
SELECT id, (date_trunc('month', d) + interval '1 month - 1 day')::date AS last FROM t.moments WHERE d > '2000-01-01' AND d < '2030-01-01';
-- name: ff_weekday_name_group
SELECT to_char(placed, 'Dy') AS day, count(*) AS n FROM t.orders GROUP BY 1;
