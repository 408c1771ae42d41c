"""Three scenarios of real-time analytics: what answers promise, computed a second time by hand; and what is live."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.project import Runtime, open_project
from examples.crm import build, data
from examples.crm.data import history
from examples.crm.oracle import holding
from examples.crm.scenes.scenarios import take_back
from federation.session import Session
from tests.test_example import NOW, invented

SESSION = Session(user="analyst", timeout=60)
LIVE = "/* vdw: max_age=live, dwh=1d */ "
# What does not grow with customers and orders: policies, products, loads; and what is counted by group there.
CATALOGUES = re.compile(r'"(policy|deliveries|loads)" AS|GROUP BY')
BOUND = re.compile(r'"(customer_id|receipt_id)" = \d|IN \(SELECT (value|UNNEST|JSON_EXTRACT)')
Row = dict[str, Any]


@dataclass
class Stand:
    """The served example with few customers, and one PostgreSQL that holds the same."""

    folder: Path
    made: dict[str, list[data.Table]]
    oracle: psycopg.Connection[Any]
    runner: asyncio.Runner
    runtime: Runtime

    def ask(self, text: str) -> list[Row]:
        """Rows as they are typed."""

        async def run() -> list[Row]:
            result = await self.runtime.engine.query(text, SESSION)
            rows: list[Row] = (await result.table()).to_pylist()
            numbers = [name for name, kind in result.columns if kind.name == "numeric"]
            for row in rows:  # Arrow has them as PostgreSQL's text
                row.update({name: row[name] and Decimal(row[name]) for name in numbers})
            return rows

        return self.runner.run(run())

    def sent(self, text: str) -> list[str]:
        """The statements that the sources are sent for it."""
        prepared = self.runner.run(self.runtime.engine.prepare(text, SESSION))
        return ["".join(map(str, fragment.text.parts)) for fragment in prepared.plan.fragments]

    def truth(self, text: str) -> list[Row]:
        with self.oracle.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(text.encode()).fetchall()

    def rows(self, source: str, table: str) -> list[Row]:
        """A table as it was built."""
        found = next(one for one in self.made[source] if one.name == table)
        return [dict(zip(found.columns, row, strict=True)) for row in found.rows]

    def write(self, source: str, text: str) -> None:
        """What a system of its own writes into its database; the oracle learns of it too."""
        file = self.folder / "data" / f"{source}.db"
        with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection, connection:
            connection.execute(text.replace(f"{source}.", ""))
        self.oracle.execute(text.encode())


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder, made = tmp_path_factory.mktemp("scenarios"), data.build(invented(), NOW)
    build.write(folder, made)
    with holding(folder) as oracle, asyncio.Runner() as runner:
        opened = open_project(folder)
        runtime = runner.run(opened.__aenter__())
        yield Stand(folder, made, oracle, runner, runtime)
        runner.run(opened.__aexit__(None, None, None))


def test_a_few_customers_are_looked_up_as_one_postgresql_would(stand: Stand) -> None:
    for view in ("caller", "account", "today", "returns", "cross_sell", "leads", "my_place", "till_offers"):
        wanted = f"SELECT DISTINCT customer_id FROM desk.{view} WHERE customer_id % 3 = 0 ORDER BY 1 LIMIT 3"
        customers = [row["customer_id"] for row in stand.truth(wanted)]
        assert customers
        for customer in customers:
            text = f"SELECT * FROM desk.{view} WHERE customer_id = {customer}"
            assert sorted(map(_told, stand.ask(text))) == sorted(map(_told, stand.truth(text))), text


def _told(row: Row) -> str:
    instants = {name: one.astimezone(dt.UTC) for name, one in row.items() if isinstance(one, dt.datetime)}
    return repr({**row, **instants})


def test_exactly_what_is_available_is_given_in_the_order_of_points(stand: Stand) -> None:
    stock = {row["product_id"]: row for row in stand.rows("erp", "stock")}
    queues = defaultdict(list)
    for row in stand.ask("SELECT * FROM desk.allocation ORDER BY product_id, place"):
        queues[row["product_id"]].append(row)
    waiting = Counter(row["product_id"] for row in stand.rows("shop", "reservations") if row["state"] == "waiting")
    assert {product: len(queue) for product, queue in queues.items()} == dict(waiting)
    given = set()
    for product, queue in queues.items():
        available = max(stock[product]["on_hand"] - stock[product]["allocated"] - stock[product]["safety"], 0)
        left = available
        for row in queue:
            assert row["granted"] == min(left, row["quantity"]) == row["quantity"] - row["short"]
            left -= row["granted"]
        granted = sum(row["granted"] for row in queue)
        assert granted == min(available, sum(row["quantity"] for row in queue))
        order = [(row["held"], -row["points"], row["reserved_at"], row["reservation_id"]) for row in queue]
        assert order == sorted(order)
        given.add((granted > 0, any(row["short"] for row in queue)))
    assert given >= {(True, True), (False, True)}  # some have too little, some nothing


def test_who_waits_is_told_the_day_on_which_deliveries_reach_the_place(stand: Stand) -> None:
    coming = defaultdict(list)
    for row in stand.rows("erp", "deliveries"):
        if row["state"] != "received":
            coming[row["product_id"]].append((row["expected_on"], row["delivery_id"], row["quantity"]))
    ahead: Counter[int] = Counter()
    told = set()
    for row in stand.ask("SELECT * FROM desk.allocation ORDER BY product_id, place"):
        ahead[row["product_id"]] += row["quantity"]
        missing, day = ahead[row["product_id"]] - row["available"], None
        if missing > 0:
            for expected, _, quantity in sorted(coming[row["product_id"]]):
                missing -= quantity
                if missing <= 0:
                    day = expected
                    break
        assert row["whole_on"] == day
        told.add(day is None)
    assert told == {True, False}


def test_the_points_follow_the_policy(stand: Stand) -> None:
    policy = {row["name"]: row["value"] for row in stand.rows("crm", "policy")}
    segments = {row["customer_id"]: row["segment"] for row in stand.rows("crm", "customers")}
    seen = set()
    for row in stand.ask("SELECT * FROM desk.waiting"):
        loyal = policy["allocation.loyalty"] * min(row["year_orders"] / policy["allocation.full_orders"], Decimal(1))
        worth = policy["allocation.value"] * min(row["lifetime_value"] / policy["allocation.full_value"], Decimal(1))
        business = segments[row["customer_id"]] == "business"
        days = (NOW.date() - row["reserved_at"].date()).days
        waited = policy["allocation.waiting"] * days / 7
        owed = policy["allocation.complaint"] if row["open_complaints"] else Decimal(0)
        assert abs(row["points_loyalty"] - loyal) <= Decimal("0.005")
        assert abs(row["points_value"] - worth) <= Decimal("0.005")
        assert row["points_policy"] == (policy["allocation.business"] if business else 0)
        assert abs(row["points_situation"] - owed - waited) <= Decimal("0.005")
        seen |= {("business", business), ("complaint", bool(row["open_complaints"])), ("held", row["held"])}
    assert len(seen) == 6


def test_no_discount_breaks_the_floor_of_the_margin(stand: Stand) -> None:
    stand.write("crm", "UPDATE crm.policy SET value = 0.12 WHERE name = 'discount.floor'")
    before = _offers(stand, Decimal("0.12"))
    stand.write("crm", "UPDATE crm.policy SET value = 0.60 WHERE name = 'discount.floor'")
    after = _offers(stand, Decimal("0.60"))
    assert before.keys() == after.keys()
    assert any(before[line]["offer_price"] < after[line]["offer_price"] for line in before)
    stand.write("crm", "UPDATE crm.policy SET value = 0.12 WHERE name = 'discount.floor'")


def _offers(stand: Stand, floor: Decimal) -> dict[int, Row]:
    rows = {row["line_id"]: row for row in stand.ask(f"{LIVE}SELECT * FROM desk.till_offers")}
    assert rows
    for row in rows.values():
        least = (row["unit_cost"] * (1 + floor)).quantize(Decimal("0.01"), ROUND_CEILING)
        assert row["floor_price"] == least
        assert row["offer_price"] >= min(least, row["unit_price"])
        assert row["offer_price"] <= row["unit_price"]
        assert row["discount"] == row["unit_price"] - row["offer_price"]
        assert row["discount"] <= row["unit_price"] * Decimal("0.20") + Decimal("0.01")
    return rows


def test_co_purchase_is_what_counting_by_hand_gives(stand: Stand) -> None:
    stand.write("crm", "UPDATE crm.policy SET value = 2 WHERE name = 'cross_sell.together'")
    bought = defaultdict(set)
    for row in stand.rows("dwh", "order_lines"):
        bought[row["customer_id"]].add(row["product_id"])
    buyers: Counter[int] = Counter(product for products in bought.values() for product in products)
    together = Counter((a, b) for products in bought.values() for a in products for b in products if a != b)
    found = stand.ask(f"{LIVE}SELECT * FROM desk.bought_together")
    assert {(row["product_id"], row["other_id"]): row["together"] for row in found} == {
        pair: count for pair, count in together.items() if count >= 2
    }
    for row in found:
        a, b, both = buyers[row["product_id"]], buyers[row["other_id"]], Decimal(row["together"])
        assert (row["buyers"], row["other_buyers"]) == (a, b)
        for name, value in (
            ("support", both / len(bought)),
            ("confidence", both / a),
            ("cosine", both / Decimal(a * b).sqrt()),
        ):
            assert abs(row[name] - value) < Decimal("0.000001")
        assert abs(row["lift"] - both * len(bought) / (a * b)) < Decimal("0.0001")
    stand.write("crm", "UPDATE crm.policy SET value = 5 WHERE name = 'cross_sell.together'")


def test_the_warehouse_keeps_the_nearest_of_these(stand: Stand) -> None:
    stand.write("crm", "UPDATE crm.policy SET value = 2 WHERE name = 'cross_sell.together'")
    rows = stand.ask(
        f"{LIVE}SELECT * FROM desk.bought_together ORDER BY product_id, cosine DESC, together DESC, other_id"
    )
    kept = {(row["product_id"], row["other_id"]): row for row in stand.rows("dwh", "similar_products")}
    nearest = [
        (place, row)
        for _, of in groupby(rows, key=lambda row: row["product_id"])
        for place, row in enumerate(of, 1)
        if place <= history.SIMILAR
    ]
    assert len(kept) == len(nearest) > 100
    for place, row in nearest:
        own = kept[row["product_id"], row["other_id"]]
        assert (own["place"], own["together"]) == (place, row["together"])
        assert all(own[name] == row[name] for name in ("support", "confidence", "lift", "cosine"))
    stand.write("crm", "UPDATE crm.policy SET value = 5 WHERE name = 'cross_sell.together'")


def test_nothing_is_offered_that_the_customer_has_or_waits_for(stand: Stand) -> None:
    stand.write("crm", "UPDATE crm.policy SET value = 2 WHERE name = 'cross_sell.together'")
    offered = {(row["customer_id"], row["product_id"]) for row in stand.ask(f"{LIVE}SELECT * FROM desk.cross_sell")}
    lines = [*stand.rows("dwh", "order_lines"), *stand.rows("shop", "order_lines")]
    has = {(row["customer_id"], row["product_id"]) for row in lines}
    cards = {row["receipt_id"]: row["customer_id"] for row in stand.rows("stores", "receipts")}
    has |= {(cards[row["receipt_id"]], row["product_id"]) for row in stand.rows("stores", "receipt_lines")}
    waits = {
        (row["customer_id"], row["product_id"])
        for row in stand.rows("shop", "reservations")
        if row["state"] == "waiting"
    }
    gone = {row["product_id"] for row in stand.rows("erp", "products") if row["status"] == "discontinued"}
    assert len(offered) > 1000
    assert not offered & (has | waits)
    assert not {product for _, product in offered} & gone
    stand.write("crm", "UPDATE crm.policy SET value = 5 WHERE name = 'cross_sell.together'")


def test_a_lookup_reads_no_table_whole(stand: Stand) -> None:
    """Every statement to a table that grows names the customer, or keys; what groups sends a row a group."""
    customer = stand.truth("SELECT customer_id FROM desk.today WHERE kind = 'till return' ORDER BY 1 LIMIT 1")[0]
    for view in ("caller", "account", "today", "returns", "cross_sell", "my_place", "till_offers", "profitability"):
        sent = stand.sent(f"SELECT * FROM desk.{view} WHERE customer_id = {customer['customer_id']}")
        growing = [text for text in sent if not CATALOGUES.search(text)]
        assert growing
        assert [text for text in growing if not BOUND.search(text)] == [], view


def test_a_return_at_the_till_is_seen_at_once(stand: Stand) -> None:
    (found,) = stand.truth("SELECT min(customer_id) AS id FROM stores.receipts WHERE state = 'closed'")
    text = f"SELECT returns_today, refunds_today FROM desk.caller WHERE customer_id = {found['id']}"
    before = stand.ask(text)
    number = take_back(stand.folder, stand.oracle, found["id"])
    live = stand.ask(LIVE + text)
    assert live == stand.truth(text)
    assert live[0]["returns_today"] == before[0]["returns_today"] + 1
    detail = f"{LIVE}SELECT state FROM desk.returns WHERE channel = 'store' AND return_id = {number}"
    assert stand.ask(detail) == [{"state": "refunded"}]


def test_while_the_tills_are_down_the_desk_is_told_the_rest(stand: Stand) -> None:
    (found,) = stand.truth("SELECT min(customer_id) AS id FROM desk.today WHERE kind = 'till purchase'")
    text = f"SELECT balance, purchases_today FROM desk.caller WHERE customer_id = {found['id']}"
    stand.runner.run(stand.runtime.control.disable("source", "stores", "a test", "eve"))
    try:
        rest = stand.ask(LIVE + text)
    finally:
        stand.runner.run(stand.runtime.control.enable("source", "stores"))
    (whole,) = stand.truth(text)
    (web,) = stand.truth(
        f"SELECT count(*) AS n FROM desk.today WHERE kind = 'web order' AND customer_id = {found['id']}"
    )
    assert rest == [{"balance": whole["balance"], "purchases_today": web["n"]}] != [whole]
    assert stand.ask(LIVE + text) == [whole]
