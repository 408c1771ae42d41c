"""Rules over live views: what is decided about one customer, why, and how a rule is changed while the server runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
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

SPREAD = """\
SELECT decision, rule, count(*) AS customers
FROM crm.decisions
WHERE chosen
GROUP BY decision, rule
ORDER BY decision, customers DESC, rule"""


def questions(oracle: Oracle) -> list[Question]:
    """About one customer; then about all."""
    found = oracle.execute(CUSTOMER.encode()).fetchone()
    customer = int(found[0]) if found else 1
    return [
        Sql(
            "What is decided about the customer on the line",
            f"Credit, next offer, risk and service for customer {customer}, by rules/crm/decisions.yml: the rule that is "
            "chosen, its reasons, and the facts that it saw. Each source is asked for this customer alone.",
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
            "A rule that is wrong, and mended, while the server runs",
            "A typing error in a rule about churn takes that decision away, and each answer says so; the others go on.",
            lambda desk, _: _mistake(desk, customer),
        ),
        Sql(
            "How often each rule is chosen",
            "All customers at once: every rule evaluated for each of them.",
            SPREAD,
        ),
    ]


async def _mistake(desk: Desk, customer: int) -> str:
    file = desk.folder / "rules" / "crm" / "decisions.yml"
    right = await asyncio.to_thread(file.read_text, "utf-8")
    try:
        wrong = right.replace("when: days_silent > 365", "when: days_silnt > 365")
        during = await _after(desk, file, wrong, customer, {"churn"})
    finally:
        after = await _after(desk, file, right, customer, set())
    decisions = await _decisions(desk, customer)
    rows = [(what, ", ".join(sorted(left)), said) for what, left, said in (("wrong", *during), ("mended", *after))]
    desk.console.print(table(("the rule is", "decided", "said with the answer"), rows))
    if "churn" in during[0] or "churn" not in decisions or during[0] | {"churn"} != decisions:
        return f"decided with the mistake: {sorted(during[0])}; without: {sorted(decisions)}"
    return "" if "not decided is churn" in during[1] and not after[1] else f"said: {during[1]!r}, then {after[1]!r}"


async def _after(desk: Desk, file: Path, text: str, customer: int, missing: set[str]) -> tuple[set[str], str]:
    """The decisions once the server has read the file anew, and what is said with them."""
    await asyncio.to_thread(file.write_text, text, "utf-8")
    await desk.reload()
    return await _decisions(desk, customer), await _said(desk)


async def _decisions(desk: Desk, customer: int) -> set[str]:
    async with psycopg.AsyncRawCursor(desk.connection) as cursor:
        await cursor.execute(b"SELECT DISTINCT decision FROM crm.decisions WHERE customer_id = $1", (customer,))
        return {row[0] for row in await cursor.fetchall()}


async def _said(desk: Desk) -> str:
    async with psycopg.AsyncRawCursor(desk.connection) as cursor:
        await cursor.execute(b"SELECT source, why FROM vdw.provenance() WHERE missing")
        return "; ".join(f"{source}: {why}" for source, why in await cursor.fetchall())
