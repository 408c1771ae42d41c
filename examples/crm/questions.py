"""The questions of the tour."""

from __future__ import annotations

from examples.crm.tour import Graphql, Oracle, Question, Sql

LOOKUP = """\
SELECT full_name, email, region, company,
       orders_placed, lifetime_value, last_order_on, open_tickets, satisfaction
FROM customers.customer_360
WHERE customer_id = $1"""

DASHBOARD = """\
SELECT region, customers, buyers, revenue, round(revenue / buyers, 2) AS per_buyer
FROM sales.revenue_by_region
ORDER BY revenue DESC"""

NESTED = """\
query ($id: BigInt!) {
  customersCustomer360ByKey(customerId: $id) {
    fullName
    lifetimeValue
    orders(orderBy: [{placedAt: desc}, {orderId: desc}], limit: 3) {
      orderId orderedOn amount origin
    }
    complaints(where: {priority: {_lte: 3}}, orderBy: [{ticketId: asc}]) {
      subject status priority
    }
  }
}"""

NESTED_SQL = """\
SELECT json_build_object('customersCustomer360ByKey', json_build_object(
    'fullName', c.full_name,
    'lifetimeValue', c.lifetime_value::text,
    'orders', (SELECT coalesce(json_agg(json_build_object('orderId', o.order_id::text, 'orderedOn', o.ordered_on,
                   'amount', o.amount::text, 'origin', o.origin)
                   ORDER BY o.placed_at DESC, o.order_id DESC), '[]')
               FROM (SELECT * FROM sales.orders WHERE customer_id = $1
                     ORDER BY placed_at DESC, order_id DESC LIMIT 3) o),
    'complaints', (SELECT coalesce(json_agg(json_build_object('subject', t.subject, 'status', t.status,
                       'priority', t.priority) ORDER BY t.ticket_id), '[]')
                   FROM support.complaints t
                   WHERE t.customer_id = $1 AND t.priority <= 3)))
FROM customers.customer_360 c
WHERE c.customer_id = $1"""

BUSY = "SELECT customer_id FROM support.complaints GROUP BY customer_id ORDER BY count(*) DESC, customer_id LIMIT 1"


def questions(oracle: Oracle) -> list[Question]:
    """All of them, about the customer with most complaints."""
    found = oracle.execute(BUSY).fetchone()
    customer = found[0] if found else 1
    return [
        Sql(
            "A lookup by key, over four sources",
            f"Who is customer {customer}? An application asks the view customers.customer_360 in SQL, $1 = {customer}.",
            LOOKUP,
            (customer,),
        ),
        Sql(
            "A dashboard's query, over the live shop and the warehouse",
            "What is each region worth? A BI tool asks in SQL.",
            DASHBOARD,
        ),
        Graphql(
            "A GraphQL query, nested",
            f"The same customer with the latest orders and with complaints, $id = {customer}. All of it is one plan.",
            NESTED,
            {"id": str(customer)},
            NESTED_SQL,
        ),
    ]
