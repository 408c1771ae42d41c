-- name: v.order_facts
SELECT o.id AS order_id, o.customer_id AS cust, o.status, lower(o.status) AS status_lower, o.amount, o.tax,
       coalesce(o.amount, 0) + coalesce(round(o.tax, 2), 0) AS gross, o.placed, o.placed::date AS placed_on,
       o.channel, o.paid, o.priority
FROM t.orders o
WHERE o.status IS DISTINCT FROM 'returned';

-- name: v.order_totals
SELECT cust, count(*) AS orders, sum(amount) AS amount, max(placed) AS last_placed, min(status) AS least_status
FROM v.order_facts
WHERE cust IS NOT NULL
GROUP BY cust;

-- name: v.customer_360
SELECT c.id, c.code, c.name, c.email, c.city, c.country, c.vip, c.created, coalesce(x.orders, 0) AS orders,
       x.amount, x.last_placed, k.open_tickets
FROM t.customers c
LEFT JOIN v.order_totals x ON x.cust = c.id
LEFT JOIN (SELECT customer_id, count(*) AS open_tickets FROM t.tickets WHERE closed IS NULL GROUP BY customer_id) k
       ON k.customer_id = c.id;

-- name: v.ranked
SELECT id, code, city, amount, rank() OVER (PARTITION BY city ORDER BY amount DESC NULLS LAST) AS place
FROM v.customer_360;

-- name: v.open_tickets
SELECT k.id AS ticket, k.customer_id, k."Subject Line" AS subject, k.severity, k.opened,
       coalesce(k.assignee, 'nobody') AS assignee, k.state
FROM t.tickets k
WHERE k.closed IS NULL AND k.severity >= 2;

-- name: v.urgent
SELECT ticket AS id, upper(subject) AS subject, customer_id AS "Customer Id", opened AT TIME ZONE 'America/New_York' AS opened_ny
FROM v.open_tickets
WHERE severity > 3 OR assignee = 'ann';

-- name: v.line_items
SELECT l.order_id, l.line_no, l.sku, p.title, p.category, l.qty, l.unit_price,
       l.qty * l.unit_price AS total, l.qty * l.unit_price * (1 - coalesce(l.discount, 0)) AS net
FROM t.order_lines l
JOIN t.products p ON p.sku = l.sku;

-- name: v.recent
SELECT * FROM t.orders WHERE placed >= '2024-06-01 00:00:00+00' OR placed IS NULL;

-- name: v.old
SELECT * FROM t.orders WHERE placed < '2024-06-01 00:00:00+00';

-- name: v.all_orders
SELECT 'hot' AS part, recent.* FROM v.recent
UNION ALL
SELECT 'cold' AS part, old.* FROM v.old;

-- name: v.month_sales
SELECT date_trunc('month', placed) AS month, channel, count(*) AS n, sum(amount) AS amount
FROM v.all_orders
GROUP BY 1, 2;

-- name: v.people
SELECT id::bigint AS id, 'customer' AS source, name::text AS label FROM t.customers
UNION
SELECT id, 'event', "user" FROM t.events
UNION ALL
SELECT id, 'ticket', assignee FROM t.tickets;

-- name: v.flags
SELECT w.id, w.s, w.s = 'a' AS is_a, w.s LIKE 'a%' AS like_a, w.s < 'b' AS below_b, 1 AS one, coalesce(w.w, '?') AS w
FROM t.words w;

-- name: v.distinct_cities
SELECT DISTINCT ON (city) city, id, name FROM t.customers ORDER BY city, id DESC;

-- name: v.top_orders
SELECT id, customer_id, amount, placed FROM t.orders ORDER BY amount DESC NULLS LAST, id LIMIT 25;
