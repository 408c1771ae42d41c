"""Rules over live views: what is decided about one customer, why, and what a complaint changes while they wait."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import json
import sqlite3
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import RawCursor

from examples.crm.printing import table
from examples.crm.tour import Desk, Graphql, Live, Oracle, Question, Sql

TITLE = "Rules over live views"

# Somebody about whom much is to be said: many rules fire, of all four decisions.
CUSTOMER = """
SELECT customer_id FROM crm.decisions
GROUP BY customer_id
ORDER BY count(DISTINCT decision) DESC, count(*) DESC, customer_id
LIMIT 1"""

DECIDED = """\
SELECT decision, rule, outcome, priority, reasons, facts
FROM crm.decisions
WHERE customer_id = $1 AND chosen
ORDER BY decision"""

WHY = """\
SELECT rule, priority, state, chosen_rule, failed, reasons
FROM crm.decisions_why
WHERE customer_id = $1 AND decision = 'next_offer'
ORDER BY priority DESC"""

AGENT = """\
query ($id: BigInt!) {
  customersFactsByKey(customerId: $id) {
    segment
    creditLeft
    decisions(where: {chosen: {_eq: true}}, orderBy: {decision: asc}) { decision rule outcome reasons }
  }
}"""

AGENT_SQL = """\
SELECT json_build_object('customersFactsByKey', json_build_object(
    'segment', f.segment,
    'creditLeft', f.credit_left::text,
    'decisions', (SELECT coalesce(json_agg(json_build_object('decision', d.decision, 'rule', d.rule,
                      'outcome', d.outcome, 'reasons', d.reasons) ORDER BY d.decision), '[]')
                  FROM crm.decisions d WHERE d.customer_id = $1 AND d.chosen)))
FROM customers.facts f
WHERE f.customer_id = $1"""

CHOSEN = """\
SELECT decision, rule, outcome
FROM crm.decisions
WHERE customer_id = $1 AND chosen AND decision IN ('next_offer', 'sla')
ORDER BY decision"""

# Somebody with an offer, and nothing open.
CALM = """
SELECT customer_id FROM crm.decisions d JOIN customers.facts f USING (customer_id)
WHERE d.decision = 'next_offer' AND d.chosen AND f.open_tickets = 0
ORDER BY customer_id
LIMIT 1"""

SPREAD = """\
SELECT decision, rule, count(*) AS customers
FROM crm.decisions
WHERE chosen
GROUP BY decision, rule
ORDER BY decision, customers DESC, rule"""


def questions(oracle: Oracle) -> list[Question]:
    """About one customer; then about all."""
    customer, calm = (_one(oracle, text) for text in (CUSTOMER, CALM))
    return [
        Sql(
            "What is decided about the customer on the line",
            f"Credit, next offer, risk and service for customer {customer}, by rules/crm/decisions.yml: the rule that "
            "is chosen, its reasons, and the facts that it saw. Each source is asked for this customer alone.",
            DECIDED,
            (customer,),
        ),
        Sql(
            "Why this offer, and no other",
            "Every rule about the next offer: chosen, outranked, or failed, and at which condition. "
            f"`vdw why crm.decisions customer_id={customer}` tells the same with the facts' ages.",
            WHY,
            (customer,),
        ),
        Graphql(
            "The same for an application",
            "Facts and decisions in one GraphQL query.",
            AGENT,
            {"id": str(customer)},
            AGENT_SQL,
        ),
        Live(
            "The customer complains while on the line",
            "Ticketing writes the complaint. Who asks for live data is told at once to make good before anything is "
            "offered, and GET /why tells the rules, the conditions, and how old each fact is.",
            _complains(calm),
        ),
        Sql(
            "How often each rule is chosen",
            "All customers at once: every rule evaluated for each of them.",
            SPREAD,
        ),
    ]


def _one(oracle: Oracle, text: str) -> int:
    found = oracle.execute(text.encode()).fetchone()
    return int(found[0]) if found else 1


def _complains(customer: int) -> Callable[[Desk, Oracle], Awaitable[str]]:
    async def run(desk: Desk, oracle: Oracle) -> str:
        before = await _chosen(desk, customer)
        await asyncio.to_thread(complain, desk.folder, oracle, customer)
        after = await _chosen(desk, customer)
        with RawCursor(oracle) as cursor:
            wanted = cursor.execute(CHOSEN.encode(), (customer,)).fetchall()
        told = await asyncio.to_thread(_why, desk, customer)
        offer = next(one for one in told["decisions"] if one["decision"] == "next_offer")
        rows = [(when, *row) for when, found in (("before", before), ("after", after)) for row in found]
        desk.console.print(table(("asked", "decision", "rule", "outcome"), rows))
        rules = [
            (one["rule"], one["state"], "; ".join([*one["failed"], *one["reasons"]]))
            for one in offer["rules"]
            if one["state"] != "not in force"
        ]
        desk.console.print(table(("next offer", "state", "why"), rules))
        facts = {name: told["facts"][name] for name in offer["rules"][0]["facts"]}
        ages = [(name, fact["value"], ", ".join(fact["origins"]), fact["age"]) for name, fact in facts.items()]
        desk.console.print(table(("fact", "value", "made of", "age (s)"), ages, frozenset({3})))
        if after != wanted or before == after:
            return f"{before}, then {after}, expected {wanted}"
        return "" if offer["chosen"]["rule"] == "make_good" and ages else f"/why says {offer['chosen']}"

    return run


async def _chosen(desk: Desk, customer: int) -> list[tuple[Any, ...]]:
    async with psycopg.AsyncRawCursor(desk.connection) as cursor:
        await cursor.execute(f"/* vdw: max_age=live, dwh=3650d */ {CHOSEN}".encode(), (customer,))
        return await cursor.fetchall()


def complain(folder: Path, oracle: Oracle, customer: int) -> None:
    """Ticketing writes a complaint of the customer, now; the oracle learns of it too."""
    file = (folder / "data" / "tickets.db").resolve()
    now = dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat(sep=" ")
    with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        (number,) = connection.execute("SELECT max(ticket_id) + 1 FROM tickets").fetchone()
        row = (number, customer, None, "complaint", "Charged twice", "open", 2, now, None, None)
        connection.execute(f"INSERT INTO tickets VALUES ({', '.join('?' * len(row))})", row)
    oracle.execute(f"INSERT INTO tickets.tickets VALUES ({', '.join(['%s'] * len(row))})".encode(), row)


def _why(desk: Desk, customer: int) -> dict[str, Any]:
    """What HTTP says of it."""
    server = desk.server
    request = urllib.request.Request(f"{server.url}/why/crm.decisions?customer_id={customer}")
    word = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
    request.add_header("Authorization", f"Basic {word}")
    request.add_header("Vdw-Max-Age", "live, dwh=3650d")
    with urllib.request.urlopen(request, timeout=60) as response:
        return dict(json.load(response))
