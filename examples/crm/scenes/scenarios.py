"""Three scenarios of real-time analytics: live facts, history applied live, and both; how old the data of each is."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import RawCursor

from examples.crm.printing import table
from examples.crm.tour import Desk, Graphql, Live, Oracle, Question, Sql

TITLE = "Three scenarios of real-time analytics"

# Who came back today, and has a history besides; where nobody did yet, who has most of a history.
CALLER = """
SELECT c.customer_id
FROM stores.receipts c
JOIN sales.order_lines l ON l.customer_id = c.customer_id
LEFT JOIN desk.today t ON t.customer_id = c.customer_id AND t.kind = 'till return'
WHERE c.state = 'closed'
GROUP BY c.customer_id
ORDER BY count(t.reference) > 0 DESC, count(DISTINCT l.product_id) BETWEEN 4 AND 30 DESC, c.customer_id
LIMIT 1"""

CALL = """\
SELECT full_name, segment, balance, credit_limit, credit_left, overdue,
       purchases_today, purchased_today, returns_today, refunds_today, last_event_at, open_tickets
FROM desk.caller
WHERE customer_id = $1"""

OFFERS = """\
query ($id: BigInt!) {
  deskCallerByKey(customerId: $id) {
    fullName
    creditLeft
    events(orderBy: [{happenedAt: asc}, {kind: asc}, {reference: asc}]) { kind amount state }
    crossSell(orderBy: [{score: desc}, {productId: asc}], limit: 3) { title artist score becauseOf available }
  }
}"""

OFFERS_SQL = """\
SELECT json_build_object('deskCallerByKey', json_build_object(
    'fullName', c.full_name,
    'creditLeft', c.credit_left::text,
    'events', (SELECT coalesce(json_agg(json_build_object('kind', t.kind, 'amount', t.amount::text, 'state', t.state)
                  ORDER BY t.happened_at, t.kind, t.reference), '[]')
              FROM desk.today t WHERE t.customer_id = $1),
    'crossSell', (SELECT coalesce(json_agg(json_build_object('title', o.title, 'artist', o.artist,
                      'score', o.score::text, 'becauseOf', o.because_of::text, 'available', o.available)
                      ORDER BY o.score DESC, o.product_id), '[]')
                  FROM (SELECT * FROM desk.cross_sell WHERE customer_id = $1
                        ORDER BY score DESC, product_id LIMIT 3) o)))
FROM desk.caller c
WHERE c.customer_id = $1"""

# Where something can be given, and not enough for all.
SCARCE = """
SELECT product_id
FROM desk.allocation
GROUP BY product_id
ORDER BY sum(granted) > 0 AND sum(short) > 0 DESC, count(*) BETWEEN 6 AND 14 DESC, product_id
LIMIT 1"""

QUEUE = """\
SELECT place, customer_id, points, held, quantity, granted, short, whole_on, available
FROM desk.allocation
WHERE product_id = $1
ORDER BY place"""

AT_THE_TILL = (
    "SELECT customer_id FROM desk.till_offers GROUP BY customer_id ORDER BY count(*) DESC, customer_id LIMIT 1"
)

DISCOUNTS = """\
SELECT line_id, unit_price, unit_cost, margin_share, on_shelf, shelf_target, wanted, floor_price, offer_price, discount
FROM desk.till_offers
WHERE customer_id = $1
ORDER BY line_id"""

RETURNS = "SELECT returns_today, refunds_today FROM desk.caller WHERE customer_id = $1"
SEEN = "SELECT read_at FROM vdw.provenance() WHERE source = 'stores'"
PROVENANCE = """\
SELECT source, origin, round(extract(epoch FROM age)::numeric, 1), class, rows, statements
FROM vdw.provenance() ORDER BY source"""
REFUSED = "refused"  # in the place of an origin
TURNS = 300  # at most, of asking again


def questions(oracle: Oracle) -> list[Question]:
    """About one customer on the line, one scarce product, and one customer at a till."""
    caller, product, buyer = (_one(oracle, text) for text in (CALLER, SCARCE, AT_THE_TILL))
    return [
        Sql(
            "Live facts only: a customer calls about a return",
            f"Customer {caller} is on the line: today's purchases and returns, balance and credit from CRM, billing, "
            "web shop, tills and ticketing, to the second. The warehouse is not asked.",
            CALL,
            (caller,),
        ),
        Live(
            "A disc comes back at the till while the customer is on the line",
            "The till writes a return. Who asks for live data sees it at once; everybody else within a second (the ttl "
            "that billing and the stores grant).",
            _until_seen(caller),
        ),
        Graphql(
            "History applied live: what to offer to the customer on the line",
            "The warehouse's co-purchases and the habits of the customer's segment, less what the customer has by now, "
            "with today's stock.",
            OFFERS,
            {"id": str(caller)},
            OFFERS_SQL,
        ),
        Sql(
            "Both: who gets what is short",
            f"Product {product} goes down the queue of those who wait, by loyalty, lifetime value, policy and the "
            "situation now: exactly what is available, and not one disc more.",
            QUEUE,
            (product,),
        ),
        Sql(
            "Both: a discount on the spot",
            f"Customer {buyer} stands at a till: what may be given by the historic margin and the shelf, never below "
            "the margin's floor.",
            DISCOUNTS,
            (buyer,),
        ),
        Live(
            "How old each scenario's data is",
            "After each answer vdw.provenance() tells of every source; SET vdw.max_age says what is young enough.",
            _side_by_side(caller, product),
        ),
    ]


def _one(oracle: Oracle, text: str) -> int:
    found = oracle.execute(text.encode()).fetchone()
    return int(found[0]) if found else 1


async def _ask(desk: Desk, text: str, *params: Any) -> list[tuple[Any, ...]]:
    async with psycopg.AsyncRawCursor(desk.connection) as cursor:
        await cursor.execute(text.encode(), params)
        return await cursor.fetchall()


def _until_seen(customer: int) -> Callable[[Desk, Oracle], Awaitable[str]]:
    async def run(desk: Desk, oracle: Oracle) -> str:
        before = await _ask(desk, RETURNS, customer)
        await asyncio.to_thread(take_back, desk.folder, oracle, customer)
        with RawCursor(oracle) as cursor:
            wanted = cursor.execute(RETURNS.encode(), (customer,)).fetchall()
        written, started = dt.datetime.now(dt.UTC), time.perf_counter()
        live = await _ask(desk, f"/* vdw: max_age=live */ {RETURNS}", customer)
        at_once = time.perf_counter() - started
        plain, turns = await _ask(desk, RETURNS, customer), 1
        while (await _ask(desk, SEEN))[0][0] < written and turns < TURNS:
            await asyncio.sleep(0.05)
            plain, turns = await _ask(desk, RETURNS, customer), turns + 1
        rows = [("before", *before[0]), (f"with max_age=live, {at_once * 1000:.0f} ms later", *live[0])]
        desk.console.print(table(("asked", "returns today", "refunds today"), [*rows, (f"asked {turns} x", *plain[0])]))
        return "" if before != wanted and live == plain == wanted else f"{live}, then {plain}, expected {wanted}"

    return run


def take_back(folder: Path, oracle: Oracle, customer: int) -> int:
    """A till writes a return of the customer's latest receipt, now; the oracle learns of it too. Gives its number."""
    file = (folder / "data" / "stores.db").resolve()
    with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        (number,) = connection.execute("SELECT max(return_id) + 1 FROM returns").fetchone()
        receipt, store, product, price = connection.execute(
            "SELECT r.receipt_id, r.store_id, l.product_id, l.unit_price FROM receipts r JOIN receipt_lines l "
            "USING (receipt_id) WHERE r.customer_id = ? AND r.state = 'closed' ORDER BY r.sold_at DESC, l.line_id",
            (customer,),
        ).fetchone()
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        row = (number, receipt, store, customer, product, 1, f"{price:.2f}", now.date().isoformat())
        end = (now.isoformat(sep=" "), "scratched", "refunded")
        connection.execute(f"INSERT INTO returns VALUES ({', '.join('?' * 11)})", (*row, *end))
    oracle.execute("INSERT INTO stores.returns VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", (*row, *end))
    return int(number)


def _side_by_side(customer: int, product: int) -> Callable[[Desk, Oracle], Awaitable[str]]:
    asked = (
        ("live facts", CALL, customer),
        ("history applied live", "SELECT product_id, score FROM desk.cross_sell WHERE customer_id = $1", customer),
        ("both", QUEUE, product),
    )

    async def run(desk: Desk, _: Oracle) -> str:
        rows, faults = [], []
        ages: dict[str, Any] = {}  # of the warehouse's data, by scenario
        for bound in (None, 3600, 1):
            said = "(none)" if bound is None else f"{bound}s"
            await desk.connection.execute(f"SET vdw.max_age = '{'' if bound is None else said}'".encode())
            for scenario, text, value in asked:
                told = await _told(desk, text, value)
                rows += [(said, scenario, *row) for row in told]
                if bound is None:
                    ages[scenario] = next((row[2] for row in told if row[0] == "dwh"), None)
                old = bound is not None and ages[scenario] is not None and ages[scenario] > bound
                if (told[0][1] == REFUSED) != old:
                    faults.append(f"{scenario} with max_age {said}: {told[0][0]}")
        await desk.connection.execute("RESET vdw.max_age")
        names = ("max_age", "scenario", "source", "origin", "age (s)", "class", "rows", "statements")
        desk.console.print(table(names, rows, frozenset({4, 6, 7})))
        if ages["live facts"] is not None or None in (ages["history applied live"], ages["both"]):
            faults.append(f"the warehouse's part: {ages}")
        return "; ".join(faults)

    return run


async def _told(desk: Desk, text: str, value: int) -> list[tuple[Any, ...]]:
    """A row for each source of the answer; one with the error where there is none that is young enough."""
    try:
        await _ask(desk, text, value)
    except psycopg.DatabaseError as error:
        if error.sqlstate != "72000":
            raise
        return [(error.diag.message_primary, REFUSED, None, None, None, None)]
    return await _ask(desk, PROVENANCE)
