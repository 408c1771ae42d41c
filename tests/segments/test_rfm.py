"""RFM, lifetimes' figures and quintiles in SQL against plain Python, on random purchases with ties and gaps."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from api.project import Runtime, open_project
from examples.crm import build, data
from examples.crm.cdnow import Purchase
from federation.session import Session

pytestmark = pytest.mark.slow

Order = tuple[int, dt.date, Decimal, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few different days and amounts: nearly everybody is tied with somebody."""
    random = Random(5)
    start = dt.date(1997, 1, 1)
    days = [start + dt.timedelta(days=i) for i in (0, 1, 2, 6, 7, 8, 40, 200, 400, 545)]
    purchases = [
        Purchase(customer, random.choice(days), random.randint(1, 3), Decimal(random.choice((0, 5, 5, 5, 11))))
        for customer in range(1, 90)
        for _ in range(random.choice((1, 1, 1, 2, 5)))
    ]
    made = tmp_path_factory.mktemp("rfm")
    build.write(made, data.build([*purchases, Purchase(1, days[-1], 1, Decimal(5))]))
    return made


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[str, Any]:
    """The orders, and what the views say as of several days."""

    async def run() -> dict[str, Any]:
        async with open_project(folder) as runtime:
            orders = await rows(runtime, "SELECT customer_id, ordered_on, amount, status FROM sales.orders")
            last = max(order[1] for order in orders)
            found: dict[str, Any] = {"orders": orders}
            for days in (0, 145, 338, 539):
                day = last - dt.timedelta(days=days)
                found[f"{day}"] = {
                    "rfm": await rows(
                        runtime,
                        "SELECT customer_id, recency_days, frequency, monetary, r, f, m, tiles "
                        f"FROM segmentation.rfm_at WHERE as_of = date '{day}'",
                    ),
                    "lifetimes": await rows(
                        runtime,
                        "SELECT unit, customer_id, frequency, recency, age, monetary_value "
                        f"FROM segmentation.lifetimes_at WHERE as_of = date '{day}'",
                    ),
                }
            return found

    return asyncio.run(run())


async def rows(runtime: Runtime, sql: str) -> list[tuple[Any, ...]]:
    answer = await runtime.engine.query(sql, Session("vdw"))
    return [tuple(row.values()) for row in (await answer.table()).to_pylist()]


def asked(answers: dict[str, Any]) -> Iterator[tuple[dt.date, Any]]:
    for day, found in answers.items():
        if day != "orders":
            yield dt.date.fromisoformat(day), found


def quintile(values: list[Any], value: Any) -> int:
    return 1 + 5 * sum(other < value for other in values) // len(values)


def test_rfm_and_its_quintiles(answers: dict[str, Any]) -> None:
    for day, found in asked(answers):
        bought: dict[int, list[Order]] = defaultdict(list)
        for order in answers["orders"]:
            if order[1] <= day and order[3] not in ("cancelled", "returned"):
                bought[order[0]].append(order)
        figures = {
            who: ((day - max(o[1] for o in of)).days, len(of), sum(o[2] for o in of)) for who, of in bought.items()
        }
        columns = [
            [-f[0] for f in figures.values()],
            [f[1] for f in figures.values()],
            [f[2] for f in figures.values()],
        ]
        wanted = {
            who: (*f, *(quintile(column, value) for column, value in zip(columns, (-f[0], f[1], f[2]), strict=True)))
            for who, f in figures.items()
        }
        got = {who: (days, orders, Decimal(spent), *scores) for who, days, orders, spent, *scores, _ in found["rfm"]}
        assert got == wanted
        for place, column in ((1, 4), (2, 5), (3, 6)):  # who has the same value has the same quintile
            assert len({row[column] for row in found["rfm"] if row[place] == found["rfm"][0][place]}) == 1
        tiles = [int(row[7].split("-")[1]) for row in found["rfm"]]
        assert max(map(tiles.count, range(1, 6))) - min(map(tiles.count, range(1, 6))) <= 1  # as even as can be


def test_frequency_recency_age_and_monetary_value(answers: dict[str, Any]) -> None:
    for day, found in asked(answers):
        wanted = {}
        for unit, length in (("D", 1), ("W", 7)):

            def period(of: dt.date, length: int = length) -> dt.date:
                return of - dt.timedelta(days=of.weekday() if length == 7 else 0)

            spent: dict[int, dict[dt.date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
            for who, on, amount, _ in answers["orders"]:
                if period(on) <= period(day):
                    spent[who][period(on)] += amount
            for who, of in spent.items():
                first, *others = sorted(of)
                mean = sum(of[one] for one in others) / len(others) if others else Decimal(0)
                last = max(of)
                wanted[unit, who] = (
                    len(others), (last - first).days // length, (period(day) - first).days // length, round(mean, 9)
                )  # fmt: skip
        got = {(row[0], row[1]): (*row[2:5], round(Decimal(row[5]), 9)) for row in found["lifetimes"]}
        assert got == wanted
