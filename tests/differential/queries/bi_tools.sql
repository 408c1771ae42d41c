-- name: superset_table_chart
SELECT status AS status, COUNT(*) AS count FROM t.orders WHERE placed >= TO_TIMESTAMP('2024-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') AND placed < TO_TIMESTAMP('2024-07-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') GROUP BY status ORDER BY count DESC LIMIT 1000;
-- name: superset_time_series
SELECT DATE_TRUNC('month', placed) AS __timestamp, channel AS channel, SUM(amount) AS "SUM(amount)" FROM t.orders JOIN (SELECT channel AS channel__, SUM(amount) AS mme_inner__ FROM t.orders GROUP BY channel ORDER BY mme_inner__ DESC NULLS LAST, channel__ LIMIT 3) AS series_limit ON channel = channel__ GROUP BY DATE_TRUNC('month', placed), channel ORDER BY "SUM(amount)" DESC LIMIT 10000;
-- name: superset_week_grain
SELECT DATE_TRUNC('week', due) AS due, COUNT(*) AS count FROM t.orders WHERE due >= TO_DATE('2023-12-01', 'YYYY-MM-DD') AND due < TO_DATE('2024-02-01', 'YYYY-MM-DD') GROUP BY DATE_TRUNC('week', due) LIMIT 50000;
-- name: superset_virtual_dataset
SELECT city AS city, SUM(s) AS "sum__s" FROM (SELECT c.city, o.amount AS s FROM t.customers c JOIN t.orders o ON o.customer_id = c.id) AS virtual_table WHERE city IN ('Paris', 'Zürich', 'Köln') GROUP BY city ORDER BY "sum__s" DESC LIMIT 100;
-- name: superset_filter_values
SELECT DISTINCT city AS city FROM t.customers LIMIT 10000;
-- name: superset_big_number
SELECT COUNT(DISTINCT customer_id) AS "COUNT_DISTINCT(customer_id)" FROM t.orders WHERE ((status NOT IN ('returned', ''))) LIMIT 50000;
-- name: superset_like_search
SELECT id AS id, name AS name, email AS email FROM t.customers WHERE name LIKE '%a%' OR email ILIKE '%ANN%' LIMIT 1000;
-- name: superset_null_filter
SELECT "Subject Line" AS "Subject Line", count(*) AS count FROM t.tickets WHERE closed IS NULL GROUP BY "Subject Line" LIMIT 1000;
-- name: superset_post_aggregation
SELECT channel AS channel, sum(amount)/NULLIF(count(*), 0) AS ratio FROM t.orders GROUP BY channel ORDER BY ratio DESC LIMIT 100;
-- name: metabase_count
SELECT COUNT(*) AS "count" FROM "t"."orders";
-- name: metabase_by_month
-- ordered
SELECT DATE_TRUNC('month', "t"."orders"."placed") AS "placed", COUNT(*) AS "count" FROM "t"."orders" GROUP BY DATE_TRUNC('month', "t"."orders"."placed") ORDER BY DATE_TRUNC('month', "t"."orders"."placed") ASC;
-- name: metabase_join
SELECT "Customers"."city" AS "Customers__city", SUM("t"."orders"."amount") AS "sum" FROM "t"."orders" LEFT JOIN "t"."customers" AS "Customers" ON "t"."orders"."customer_id" = "Customers"."id" WHERE "t"."orders"."paid" = TRUE GROUP BY "Customers"."city" ORDER BY "Customers"."city" ASC;
-- name: metabase_day_of_week
SELECT CAST(extract(dow from "t"."orders"."placed") AS integer) + 1 AS "placed", COUNT(*) AS "count" FROM "t"."orders" GROUP BY CAST(extract(dow from "t"."orders"."placed") AS integer) + 1;
-- name: metabase_nested
SELECT "source"."city" AS "city", AVG("source"."n") AS "avg" FROM (SELECT "t"."customers"."city" AS "city", "t"."customers"."country" AS "country", COUNT(*) AS "n" FROM "t"."customers" GROUP BY "t"."customers"."city", "t"."customers"."country") AS "source" WHERE "source"."n" > 1 GROUP BY "source"."city";
-- name: metabase_raw_rows
SELECT "t"."customers"."id" AS "id", "t"."customers"."code" AS "code", "t"."customers"."name" AS "name", "t"."customers"."created" AS "created" FROM "t"."customers" WHERE ("t"."customers"."city" = 'Paris') AND ("t"."customers"."created" >= timestamp with time zone '2023-06-01 00:00:00.000+00:00') LIMIT 2000;
-- name: metabase_bin
SELECT (FLOOR((("t"."orders"."amount" - 0.0) / 1000.0)) * 1000.0) + 0.0 AS "amount", COUNT(*) AS "count" FROM "t"."orders" GROUP BY (FLOOR((("t"."orders"."amount" - 0.0) / 1000.0)) * 1000.0) + 0.0;
-- name: metabase_contains
SELECT COUNT(*) AS "count" FROM "t"."customers" WHERE (LOWER("t"."customers"."name") LIKE '%ab%');
-- name: metabase_not_empty
SELECT COUNT(*) AS "count" FROM "t"."customers" WHERE ("t"."customers"."city" IS NOT NULL) AND (("t"."customers"."city" <> '') OR ("t"."customers"."city" IS NULL));
-- name: metabase_custom_expression
SELECT CASE WHEN "t"."tickets"."severity" > 3 THEN 'high' ELSE 'low' END AS "level", COUNT(DISTINCT "t"."tickets"."customer_id") AS "customers" FROM "t"."tickets" GROUP BY CASE WHEN "t"."tickets"."severity" > 3 THEN 'high' ELSE 'low' END;
-- name: tableau_basic
SELECT "orders"."channel" AS "channel", SUM("orders"."amount") AS "sum:amount:ok" FROM "t"."orders" "orders" GROUP BY 1;
-- name: tableau_cast_text
SELECT CAST("customers"."city" AS TEXT) AS "city", COUNT(DISTINCT "customers"."id") AS "ctd:id:ok" FROM "t"."customers" "customers" INNER JOIN "t"."orders" "orders" ON ("customers"."id" = "orders"."customer_id") GROUP BY 1;
-- name: tableau_date_parts
SELECT CAST(TRUNC(EXTRACT(YEAR FROM "orders"."placed")) AS INTEGER) AS "yr:placed:ok", CAST(TRUNC(EXTRACT(QUARTER FROM "orders"."placed")) AS INTEGER) AS "qr:placed:ok", COUNT(1) AS "cnt" FROM "t"."orders" "orders" GROUP BY 1, 2;
-- name: tableau_top_filter
SELECT "orders"."customer_id" AS "customer_id", SUM("orders"."amount") AS "s" FROM "t"."orders" "orders" INNER JOIN (SELECT "orders"."customer_id" AS "customer_id", SUM("orders"."amount") AS "x__alias__0" FROM "t"."orders" "orders" WHERE "orders"."customer_id" IS NOT NULL GROUP BY 1 ORDER BY 2 DESC NULLS LAST, 1 LIMIT 5) "t0" ON ("orders"."customer_id" = "t0"."customer_id") GROUP BY 1;
-- name: tableau_having_dummy
SELECT SUM("orders"."amount") AS "TEMP(a)", COUNT("orders"."amount") AS "TEMP(b)" FROM "t"."orders" "orders" HAVING (COUNT(1) > 0);
-- name: tableau_null_safe_join
SELECT "t0"."city" AS "city", "t1"."n" AS "n" FROM (SELECT "customers"."city" AS "city" FROM "t"."customers" "customers" GROUP BY 1) "t0" LEFT JOIN (SELECT "products"."category" AS "category", COUNT(1) AS "n" FROM "t"."products" "products" GROUP BY 1) "t1" ON (("t0"."city" = "t1"."category") OR (("t0"."city" IS NULL) AND ("t1"."category" IS NULL)));
-- name: tableau_domain
SELECT "orders"."status" AS "status" FROM "t"."orders" "orders" GROUP BY 1 ORDER BY 1 ASC;
-- name: tableau_limit_one
SELECT COUNT(*) AS n FROM (SELECT * FROM "t"."orders" LIMIT 1) x;
-- name: tableau_min_max
SELECT MAX("orders"."placed") AS "TEMP(max)", MIN("orders"."placed") AS "TEMP(min)" FROM "t"."orders" "orders" HAVING (COUNT(1) > 0);
-- name: powerbi_preview
SELECT COUNT(*) AS n FROM (select "$Table"."id" as "id", "$Table"."code" as "code", "$Table"."balance" as "balance" from "t"."customers" "$Table" limit 1000) x;
-- name: powerbi_group
select "rows"."country" as "country", sum(cast("rows"."credit" as decimal)) as "a0" from (select "_"."country", "_"."credit" from "t"."customers" "_" where "_"."vip" = true) "rows" group by "country";
-- name: powerbi_direct_query
select "semijoin1"."c1" as "c1", "basetable0"."a0" as "a0" from (select "t1"."city" as "c1", count("t2"."id") as "a0" from ("t"."orders" "t2" left outer join "t"."customers" "t1" on ("t2"."customer_id" = "t1"."id")) group by "t1"."city") "basetable0" inner join ((select 'Paris' as "c1") union all (select 'Zurich' as "c1") union all (select null as "c1")) "semijoin1" on (("semijoin1"."c1" = "basetable0"."c1" or "semijoin1"."c1" is null and "basetable0"."c1" is null)) limit 1000001;
-- name: powerbi_top_n
-- ordered
select "_"."id", "_"."name", "_"."credit" from "t"."customers" "_" where ("_"."credit" is not null) and ("_"."credit" > 0) order by "_"."credit" desc, "_"."id" limit 11 offset 2;
-- name: powerbi_null_compare
select "_"."id" from "t"."customers" "_" where ("_"."city" = 'Paris' and "_"."city" is not null or "_"."country" is null);
-- name: looker_dimension
SELECT (DATE(o.placed)) AS "orders.created_date", c.city AS "customers.city", COALESCE(SUM(o.amount), 0) AS "orders.total" FROM t.orders AS o LEFT JOIN t.customers AS c ON o.customer_id = c.id WHERE ((o.placed >= (TIMESTAMP '2024-03-01') AND o.placed < (TIMESTAMP '2024-04-01'))) GROUP BY (DATE(o.placed)), 2 ORDER BY 1 DESC LIMIT 500;
-- name: grafana_time_group
SELECT floor(extract(epoch from placed)/86400)*86400 AS "time", count(*) AS value FROM t.orders WHERE placed BETWEEN '2024-03-01T00:00:00Z' AND '2024-03-31T23:59:59Z' GROUP BY 1;
-- name: excel_all_columns
SELECT "t"."accounts".* FROM "t"."accounts" WHERE "t"."accounts"."active" = true;
