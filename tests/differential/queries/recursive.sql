-- name: rec_counter
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i, (SELECT count(*) FROM t.orders o WHERE o.customer_id = i) AS c FROM n;
-- name: rec_managers
WITH RECURSIVE up(id, boss, depth) AS (SELECT id, manager_id, 0 FROM t.customers WHERE id > 100 UNION ALL SELECT up.id, c.manager_id, depth + 1 FROM up JOIN t.customers c ON c.id = up.boss WHERE depth < 4) SELECT id, max(depth) AS d, count(*) AS n FROM up GROUP BY id;
-- name: rec_reachable
WITH RECURSIVE r(id) AS (SELECT id FROM t.customers WHERE id = 50 UNION SELECT c.manager_id FROM r JOIN t.customers c ON c.id = r.id WHERE c.manager_id IS NOT NULL) SELECT id FROM r;
-- name: rec_reports
WITH RECURSIVE d(id) AS (SELECT 1 UNION SELECT c.id FROM d JOIN t.customers c ON c.manager_id = d.id) SELECT count(*) AS n, min(id), max(id) FROM d;
-- name: rec_path
WITH RECURSIVE p(id, path) AS (SELECT id, ARRAY[id] FROM t.customers WHERE id IN (3, 4) UNION ALL SELECT c.id, path || c.id FROM p JOIN t.customers c ON c.manager_id = p.id WHERE NOT c.id = ANY (path) AND cardinality(path) < 3) SELECT id, path FROM p;
-- name: rec_calendar
WITH RECURSIVE days(d) AS (SELECT date '2024-02-27' UNION ALL SELECT d + 1 FROM days WHERE d < '2024-03-03') SELECT d, count(o.id) AS n FROM days LEFT JOIN t.orders o ON o.due = d GROUP BY d;
-- name: rec_cycle_clause
WITH RECURSIVE g(id) AS (SELECT id FROM t.customers WHERE id = 7 UNION ALL SELECT c.manager_id FROM g JOIN t.customers c ON c.id = g.id WHERE c.manager_id IS NOT NULL) CYCLE id SET looped USING path SELECT id, looped FROM g;
-- name: rec_search_clause
-- ordered
WITH RECURSIVE g(id, depth) AS (SELECT id, 0 FROM t.customers WHERE id = 2 UNION ALL SELECT c.id, depth + 1 FROM g JOIN t.customers c ON c.manager_id = g.id WHERE depth < 2) SEARCH BREADTH FIRST BY id SET ord SELECT id, depth FROM g ORDER BY ord;
-- name: rec_with_aggregate_after
WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i AS severity, count(k.id) AS n FROM n LEFT JOIN t.tickets k ON k.severity = i GROUP BY i;
-- name: rec_text
WITH RECURSIVE x(s) AS (SELECT 'a' UNION ALL SELECT s || 'b' FROM x WHERE length(s) < 4) SELECT x.s, w.id FROM x JOIN t.words w ON w.s = x.s;
-- name: rec_filter_root
WITH RECURSIVE n(root, id, depth) AS (SELECT c.id, c.id, 1 FROM t.customers c UNION ALL SELECT n.root, o.priority::int, n.depth + 1 FROM n JOIN t.orders o ON o.customer_id = n.id WHERE n.depth < 3) SELECT * FROM n WHERE root = 7;
-- name: rec_filter_changed
WITH RECURSIVE n(root, id) AS (SELECT c.id, c.rank::int FROM t.customers c WHERE c.id < 20 UNION SELECT n.root, o.priority::int FROM n JOIN t.orders o ON o.customer_id = n.id) SELECT * FROM n WHERE id = 2;
