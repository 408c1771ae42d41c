"""The shops' tables: stores, what their tills sold and took back, sales in progress, and what is on the shelves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

from examples.crm.data.names import REGIONS
from examples.crm.data.table import Table
from examples.crm.data.world import World

Row = tuple[Any, ...]
CITIES = ("Harborside", "Old Mill", "Station Square", "Cathedral", "University", "Riverside", "Airport", "Northgate")
DAYS = 30  # that the tills keep
SALES = 60  # a day, all stores together
IN_PROGRESS = 12  # sales at this moment
BACK_TODAY = 15  # discs that came back today, at least
REASONS = ("scratched", "wrong album", "was a present", "not liked")


def tables(world: World) -> dict[str, list[Table]]:
    """Of stores."""
    random = world.random("stores")
    receipts = list(_receipts(world, random))
    prices = {product[0]: product[4] for product in world.products}
    lines: list[Row] = []
    for receipt in receipts:
        for product in random.sample(sorted(prices), random.choice((1, 1, 2, 3))):
            quantity = random.choice((1, 1, 1, 2))
            lines.append((len(lines) + 1, receipt[0], product, quantity, prices[product], prices[product] * quantity))
    totals: dict[int, Decimal] = {}
    for line in lines:
        totals[line[1]] = totals.get(line[1], Decimal(0)) + line[5]
    receipts = [(*receipt[:6], totals[receipt[0]], receipt[6]) for receipt in receipts]
    returns = list(_returns(receipts, lines, world, random))
    return {"stores": [_stores(random), *_sales(receipts, lines, returns), _shelves(world, random)]}


def _receipts(world: World, random: Random) -> Iterator[Row]:
    """Without their totals. Buyers with a card are mostly those who buy in the web shop too."""
    buyers = world.buyers
    number = 0
    for ago in range(DAYS, -1, -1):
        day = world.today - dt.timedelta(days=ago)
        for sold in sorted(world.moment(day, random) for _ in range(SALES)):
            number += 1
            customer = random.choice(buyers) if random.random() < 0.7 else None
            yield number, random.randint(1, len(CITIES)), random.randint(1, 4), customer, day, sold, "closed"
    for _ in range(IN_PROGRESS):
        number += 1
        begun = max(world.now - dt.timedelta(seconds=random.randrange(20, 400)), _midnight(world.today))
        customer = random.choice(buyers)
        yield number, random.randint(1, len(CITIES)), random.randint(1, 4), customer, world.today, begun, "open"


def _returns(receipts: list[Row], lines: list[Row], world: World, random: Random) -> Iterator[Row]:
    """Of some lines one disc, days later; and some today."""
    sold = {receipt[0]: receipt for receipt in receipts if receipt[7] == "closed"}
    old = [line for line in lines if line[1] in sold and sold[line[1]][4] < world.today]
    chosen = sorted(random.sample(old, len(old) // 12), key=lambda line: line[0])
    with_card = [line[0] for line in chosen if sold[line[1]][3]]
    today = set(random.sample(with_card, min(BACK_TODAY, len(with_card))))
    number = 0
    for line in chosen:
        receipt = sold[line[1]]
        day = world.today if line[0] in today else receipt[4] + dt.timedelta(days=random.randrange(1, 9))
        if day > world.today:
            continue
        number += 1
        at, reason = world.moment(day, random), random.choice(REASONS)
        state = random.choice(("refunded", "refunded", "inspection"))
        yield number, line[1], receipt[1], receipt[3], line[2], 1, line[4], day, at, reason, state


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def _stores(random: Random) -> Table:
    columns = {"store_id": "int8!", "name": "varchar(40)!", "region": "varchar(10)!", "opened_on": "date!"}
    opened = [dt.date(1990, 1, 1) + dt.timedelta(days=random.randrange(9000)) for _ in CITIES]
    rows = [(i, name, REGIONS[i % len(REGIONS)], opened[i - 1]) for i, name in enumerate(CITIES, 1)]
    return Table("stores", columns, "store_id", rows)


def _sales(receipts: list[Row], lines: list[Row], returns: list[Row]) -> list[Table]:
    sold = {
        "receipt_id": "int8!",
        "store_id": "int8!",
        "till": "int4!",
        "customer_id": "int8",  # who showed a card
        "business_date": "date!",
        "sold_at": "timestamptz!",
        "total": "numeric(10,2)!",
        "state": "varchar(8)!",
    }
    line = {
        "line_id": "int8!",
        "receipt_id": "int8!",
        "product_id": "int8!",
        "quantity": "int4!",
        "unit_price": "numeric(10,2)!",
        "amount": "numeric(10,2)!",
    }
    back = {
        "return_id": "int8!",
        "receipt_id": "int8!",
        "store_id": "int8!",
        "customer_id": "int8",
        "product_id": "int8!",
        "quantity": "int4!",
        "refund": "numeric(10,2)!",
        "business_date": "date!",
        "returned_at": "timestamptz!",
        "reason": "varchar(20)!",
        "state": "varchar(12)!",
    }
    of_receipt = {"receipt_id": ("receipts", "receipt_id")}
    at_store = {"store_id": ("stores", "store_id")}
    return [
        Table("receipts", sold, "receipt_id", receipts, ("customer_id", "business_date", "state"), at_store),
        Table("receipt_lines", line, "line_id", lines, ("receipt_id", "product_id"), of_receipt),
        Table("returns", back, "return_id", returns, ("customer_id", "business_date", "receipt_id"), of_receipt),
    ]


def _shelves(world: World, random: Random) -> Table:
    """Discs on each store's shelf, and how many it should have."""
    columns = {
        "shelf_id": "int8!",
        "store_id": "int8!",
        "product_id": "int8!",
        "on_shelf": "int4!",
        "target": "int4!",
    }
    rows: list[Row] = []
    for store in range(1, len(CITIES) + 1):
        for product in world.products:
            target = random.choice((2, 3, 5, 8))
            rows.append((len(rows) + 1, store, product[0], random.randrange(target * 3), target))
    return Table("shelf_stock", columns, "shelf_id", rows, ("store_id", "product_id"))
