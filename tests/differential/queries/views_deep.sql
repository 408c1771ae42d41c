-- name: view_facts
SELECT * FROM v.order_facts;
-- name: view_facts_filter
SELECT order_id, gross FROM v.order_facts WHERE cust = 1 AND status_lower = 'open';
-- name: view_facts_date
SELECT order_id, placed_on FROM v.order_facts WHERE placed_on = '2024-03-10';
-- name: view_totals
SELECT * FROM v.order_totals;
-- name: view_totals_key
SELECT * FROM v.order_totals WHERE cust = 2;
-- name: view_totals_aggregate_filter
SELECT cust, orders FROM v.order_totals WHERE orders > 3;
-- name: view_360
SELECT * FROM v.customer_360;
-- name: view_360_point
SELECT * FROM v.customer_360 WHERE id = 1;
-- name: view_360_columns
SELECT id, name FROM v.customer_360 WHERE country = 'DE';
-- name: view_360_filter_right
SELECT id, orders, amount FROM v.customer_360 WHERE amount > 1000;
-- name: view_360_null_right
SELECT id FROM v.customer_360 WHERE open_tickets IS NULL AND orders = 0;
-- name: view_360_group
SELECT city, sum(amount) AS s, sum(orders) AS n FROM v.customer_360 GROUP BY city;
-- name: view_360_top
-- ordered
SELECT id, amount FROM v.customer_360 ORDER BY amount DESC NULLS LAST, id LIMIT 10;
-- name: view_ranked
SELECT * FROM v.ranked WHERE place = 1;
-- name: view_ranked_city
SELECT * FROM v.ranked WHERE city = 'Paris';
-- name: view_urgent
SELECT * FROM v.urgent;
-- name: view_urgent_filter
SELECT id, "Customer Id" FROM v.urgent WHERE subject LIKE 'LOGIN%' AND opened_ny >= '2024-01-01';
-- name: view_lines
SELECT * FROM v.line_items;
-- name: view_lines_join
SELECT f.order_id, f.status, i.sku, i.net FROM v.order_facts f JOIN v.line_items i ON i.order_id = f.order_id WHERE i.total > 10;
-- name: view_lines_category
SELECT category, sum(net) AS net FROM v.line_items GROUP BY category;
-- name: view_people
SELECT * FROM v.people WHERE label = 'ann' OR label = 'a';
-- name: view_people_source
SELECT source, count(*) AS n FROM v.people GROUP BY source;
-- name: view_people_pruned
SELECT id, label FROM v.people WHERE source = 'ticket';
-- name: view_flags
SELECT * FROM v.flags;
-- name: view_flags_filter
SELECT id, s FROM v.flags WHERE is_a OR below_b;
-- name: view_flags_outer
SELECT c.id, f.one, f.w FROM t.customers c LEFT JOIN v.flags f ON f.s = c.name;
-- name: view_flags_outer_null
SELECT c.id FROM t.customers c LEFT JOIN v.flags f ON f.s = c.name WHERE f.one IS NULL;
-- name: view_distinct_cities
SELECT * FROM v.distinct_cities;
-- name: view_distinct_cities_filter
SELECT * FROM v.distinct_cities WHERE id > 100;
-- name: view_top_orders
SELECT * FROM v.top_orders WHERE customer_id IS NOT NULL;
-- name: view_top_orders_join
SELECT x.id, c.name FROM v.top_orders x LEFT JOIN t.customers c ON c.id = x.customer_id;
-- name: view_over_views
SELECT a.id, a.orders, u.subject FROM v.customer_360 a JOIN v.urgent u ON u."Customer Id" = a.id WHERE a.orders > 0;
-- name: view_search_path
SELECT count(*) AS n FROM v.customer_360 x JOIN v.ranked y USING (id) WHERE y.place < 3;
-- name: view_star_and_alias
SELECT x.*, 1 AS one FROM v.order_totals x WHERE x.least_status IS NULL;
-- name: view_whole_row
SELECT x FROM v.order_totals x WHERE cust < 10;
