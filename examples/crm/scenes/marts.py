"""Four data marts: campaigns that pay, a customer across all marts, what changes did to products, partners' limits."""

from __future__ import annotations

from examples.crm.tour import Graphql, Oracle, Question, Sql

TITLE = "Four virtual data marts"

CAMPAIGNS = """\
SELECT g.name, d.channel, c.contacts, c.conversion_rate, c.cost_per_acquisition, c.return_on_cost
FROM interaction_mart.campaign_channel c
JOIN interaction_mart.dim_campaign g ON g.campaign_id = c.campaign_id
JOIN conformed.dim_channel d ON d.channel_id = c.channel_id
WHERE g.starts_on > current_date - 120 AND c.contacts > 0
ORDER BY c.return_on_cost DESC NULLS LAST, c.campaign_id, c.channel_id
LIMIT 8"""

CUSTOMER = """\
query ($id: BigInt!) {
  conformedDimCustomerByKey(customerId: $id) {
    fullName
    summary { orders revenue recencyDays favouriteGenre visits wishes csat }
    contacts(orderBy: [{contactedOn: desc}, {contactId: desc}], limit: 3) {
      contactedOn opened ordered campaign { name state } channel { channel }
    }
    purchases(orderBy: [{orderedOn: desc}, {lineId: desc}], limit: 3) {
      orderedOn units product { title partner performance { stars returnRate } }
    }
  }
}"""

CUSTOMER_SQL = """\
SELECT json_build_object('conformedDimCustomerByKey', json_build_object(
    'fullName', c.full_name,
    'summary', (SELECT json_build_object('orders', s.orders::text, 'revenue', s.revenue::text,
                    'recencyDays', s.recency_days, 'favouriteGenre', s.favourite_genre, 'visits', s.visits::text,
                    'wishes', s.wishes::text, 'csat', s.csat::text)
                FROM customer_mart.customer_summary s WHERE s.customer_id = $1),
    'contacts', (SELECT coalesce(json_agg(json_build_object('contactedOn', k.contacted_on, 'opened', k.opened,
                     'ordered', k.ordered, 'campaign', json_build_object('name', g.name, 'state', g.state),
                     'channel', json_build_object('channel', d.channel))
                     ORDER BY k.contacted_on DESC, k.contact_id DESC), '[]')
                 FROM (SELECT * FROM interaction_mart.fact_contact WHERE customer_id = $1
                       ORDER BY contacted_on DESC, contact_id DESC LIMIT 3) k
                 JOIN interaction_mart.dim_campaign g ON g.campaign_id = k.campaign_id
                 JOIN conformed.dim_channel d ON d.channel_id = k.channel_id),
    'purchases', (SELECT coalesce(json_agg(json_build_object('orderedOn', l.ordered_on, 'units', l.units,
                      'product', json_build_object('title', p.title, 'partner', p.partner, 'performance',
                          (SELECT json_build_object('stars', f.stars::text, 'returnRate', f.return_rate::text)
                           FROM product_mart.product_performance f WHERE f.product_id = l.product_id)))
                      ORDER BY l.ordered_on DESC, l.line_id DESC), '[]')
                  FROM (SELECT * FROM customer_mart.fact_purchase WHERE customer_id = $1
                        ORDER BY ordered_on DESC, line_id DESC LIMIT 3) l
                  JOIN conformed.dim_product p ON p.product_id = l.product_id)))
FROM conformed.dim_customer c
WHERE c.customer_id = $1"""

# Somebody with a lot to tell in each of the marts.
KNOWN = """
SELECT k.customer_id
FROM interaction_mart.fact_contact k
JOIN customer_mart.customer_value v ON v.customer_id = k.customer_id
GROUP BY k.customer_id
ORDER BY least(count(*), 5) + least(max(v.orders), 5) DESC, k.customer_id
LIMIT 1"""

CHANGES = """\
SELECT title, kind, effective_on, old_price, new_price, weekly_before, weekly_after, units_effect,
       return_rate_before, return_rate_after
FROM product_mart.change_effect
WHERE effective_on > current_date - 240 AND weeks_after = 8 AND units_before >= 16
ORDER BY units_effect DESC, event_id
LIMIT 8"""

PARTNERS = """\
SELECT s.name, s.fill_rate, s.on_time_rate, s.lead_days, s.promised_lead_days, s.overdue,
       c.owed, c.credit_limit, c.credit_used
FROM partner_mart.scorecard s
JOIN partner_mart.credit_position c ON c.partner_id = s.partner_id
ORDER BY c.credit_used DESC NULLS LAST, s.partner_id
LIMIT 8"""


def questions(oracle: Oracle) -> list[Question]:
    """One for each mart."""
    found = oracle.execute(KNOWN.encode()).fetchone()
    customer = found[0] if found else 1
    return [
        Sql(
            "Customer interaction: which campaigns pay",
            "Contacts and responses live from marketing, older ones added up by the warehouse; orders from the shop.",
            CAMPAIGNS,
        ),
        Graphql(
            "Customer: one of them, across all marts",
            f"Figures, contacts and purchases of $id = {customer}, with the products' reviews and suppliers. One plan.",
            CUSTOMER,
            {"id": str(customer)},
            CUSTOMER_SQL,
        ),
        Sql(
            "Product: what changes did",
            "Discs a week in the eight weeks before and after a change in the ERP, over the shop and the warehouse.",
            CHANGES,
        ),
        Sql(
            "Partner: who delivers, and how much credit is left",
            "Deliveries since the contract and open invoices, from purchasing and the warehouse.",
            PARTNERS,
        ),
    ]
