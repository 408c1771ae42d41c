-- name: time_eq_instant
SELECT id, tz FROM t.moments WHERE tz = '2024-03-10 07:00:00+00' OR tz = '2024-03-31 01:00:00+00';
-- name: time_instant_zone_literal
SELECT id, tz FROM t.moments WHERE tz >= '2024-11-03 01:30:00 America/New_York' AND tz < '2024-11-03 03:00:00-05';
-- name: time_instant_range
SELECT id, placed FROM t.orders WHERE placed >= '2024-03-10 00:00:00+00' AND placed < '2024-04-01 00:00:00+00';
-- name: time_between_inclusive
SELECT id, tz FROM t.moments WHERE tz BETWEEN '2023-12-31 23:59:59.999999+00' AND '2024-01-01 00:00:00+00';
-- name: time_date_eq
SELECT id, d FROM t.moments WHERE d = '2024-02-29';
-- name: time_date_in
SELECT id, d FROM t.moments WHERE d IN ('2024-02-29', '2000-02-29', '1970-01-01');
-- name: time_date_range
SELECT id, due FROM t.orders WHERE due > '2024-02-28' AND due <= '2024-03-01';
-- name: time_ts_literal
SELECT id, ts FROM t.moments WHERE ts = '2024-01-01';
-- name: time_ts_micros
SELECT id, ts FROM t.moments WHERE ts > '2023-12-31 23:59:59.9999985';
-- name: time_ts_rounding_seventh_digit
SELECT id, ts FROM t.moments WHERE ts = '2024-01-01 00:00:00.0000005' OR ts = '2024-01-01 00:00:00.0000012';
-- name: time_instant_to_date
SELECT id, tz, tz::date AS d FROM t.moments WHERE tz::date = '2024-03-10';
-- name: time_zone_date
SELECT id, tz FROM t.moments WHERE (tz AT TIME ZONE 'America/New_York')::date = '2024-03-09';
-- name: time_trunc_month_eq
SELECT id, placed FROM t.orders WHERE date_trunc('month', placed) = '2024-03-01 00:00:00+00';
-- name: time_trunc_week
SELECT id, placed, date_trunc('week', placed) AS w FROM t.orders WHERE date_trunc('week', placed) = '2024-03-04 00:00:00+00';
-- name: time_trunc_week_date
SELECT id, d, date_trunc('week', d) AS w FROM t.moments WHERE d >= '2020-12-01' AND d < '2022-01-01';
-- name: time_extract_year
SELECT id, due FROM t.orders WHERE extract(year FROM due) = 2024 AND extract(month FROM due) = 2;
-- name: time_extract_dow
SELECT id, d FROM t.moments WHERE extract(dow FROM d) = 0;
-- name: time_extract_week
SELECT id, d, extract(week FROM d) AS w, extract(isoyear FROM d) AS y FROM t.moments WHERE extract(week FROM d) IN (1, 52, 53);
-- name: time_date_part_hour
SELECT id, tz FROM t.moments WHERE date_part('hour', tz) = 23;
-- name: time_plus_interval
SELECT id, placed FROM t.orders WHERE placed + interval '1 day' > '2024-11-04 05:00:00+00';
-- name: time_minus_interval_const
SELECT id, placed FROM t.orders WHERE placed >= timestamptz '2024-03-31 12:00:00+00' - interval '24 hours' AND placed < timestamptz '2024-03-31 12:00:00+00';
-- name: time_month_end_arithmetic
SELECT id, d, d + interval '1 month' AS m FROM t.moments WHERE d + interval '1 month' = '2024-02-29';
-- name: time_date_plus_int
SELECT id, d + 1 AS next FROM t.moments WHERE d + 1 = '2024-03-01';
-- name: time_date_minus_date
SELECT id, due - date '2024-01-31' AS days FROM t.orders WHERE due - date '2024-01-31' BETWEEN 0 AND 60;
-- name: time_is_null
SELECT id FROM t.orders WHERE placed IS NULL;
-- name: time_null_aware_range
SELECT id FROM t.orders WHERE NOT (placed >= '2024-02-01 00:00:00+00');
-- name: time_range_or_null
SELECT id FROM t.orders WHERE placed >= '2024-06-01 00:00:00+00' OR placed IS NULL;
-- name: time_tod_eq
SELECT id, tod FROM t.moments WHERE tod = '23:59:59.999999' OR tod < '01:30';
-- name: time_ts_vs_date
SELECT id, ts, d FROM t.moments WHERE ts >= d;
-- name: time_ts_vs_tz
SELECT id, ts, tz FROM t.moments WHERE ts < tz;
-- name: time_column_compare
SELECT id, opened, closed FROM t.tickets WHERE closed - opened > interval '10 days';
-- name: time_interval_days_vs_month
SELECT id FROM t.tickets WHERE closed - opened = interval '1 month' OR closed - opened > interval '1 month';
-- name: time_overlaps
SELECT id FROM t.tickets WHERE (opened, closed) OVERLAPS (timestamptz '2024-03-01 00:00:00+00', timestamptz '2024-04-01 00:00:00+00');
-- name: time_far_past
SELECT id, tz, d FROM t.moments WHERE tz < '1970-01-01 00:00:00+00' OR d < '1600-01-01';
-- name: time_far_future
SELECT id, d FROM t.moments WHERE d = '9999-12-31' OR tz > '2100-01-01 00:00:00+00';
-- name: time_infinity
SELECT id, d FROM t.exotic WHERE d = 'infinity' OR d < '0001-01-01';
-- name: time_infinity_compare
SELECT id FROM t.orders WHERE due < 'infinity' AND placed > '-infinity' AND id < 1100;
-- name: time_epoch
SELECT id, extract(epoch FROM tz) AS e FROM t.moments WHERE extract(epoch FROM tz) < 0;
-- name: time_date_not_in
SELECT id, born FROM t.customers WHERE born NOT IN ('2024-02-29', '2024-01-01') AND born > '2024-01-01';
-- name: time_at_utc
SELECT id, shipped FROM t.orders WHERE shipped AT TIME ZONE 'UTC' > placed;
-- name: time_at_berlin
SELECT id, ts, ts AT TIME ZONE 'Europe/Berlin' AS b FROM t.moments WHERE ts >= '2024-03-31' AND ts < '2024-04-01';
-- name: time_text_cast_filter
SELECT id FROM t.moments WHERE tz::text LIKE '2024-03-%';
-- name: time_to_char_filter
SELECT id, due FROM t.orders WHERE to_char(due, 'YYYY-MM') = '2024-02';
-- name: time_leap_check
SELECT id, born FROM t.customers WHERE extract(day FROM born) = 29 AND extract(month FROM born) = 2;
-- name: time_quarter
SELECT id, placed FROM t.orders WHERE extract(quarter FROM placed) = 1 AND placed > '2024-01-15 00:00:00+00';
-- name: time_seconds_fraction
SELECT id, extract(second FROM tz) AS s FROM t.moments WHERE extract(second FROM tz) > 59;
