"""Reviews of products by those who bought them: live in the shop, older ones in the warehouse."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any

from examples.crm.data.table import Table
from examples.crm.data.world import World

Row = tuple[Any, ...]

_SHARE = 0.09  # of the lines that are reviewed
_WORDS = {1: "Awful", 2: "Weak", 3: "Fair", 4: "Good", 5: "Wonderful"}


def tables(world: World) -> dict[str, list[Table]]:
    """Of shop and dwh."""
    rows = _reviews(world, world.random("reviews"))
    old = [row for row in rows if row[4] < world.boundary]
    return {"shop": [_table(rows[len(old) :])], "dwh": [_table(old)]}


def _reviews(world: World, random: Random) -> list[Row]:
    """By day. A product has a quality of its own, which for some gets better or worse with time."""
    begin = min(world.first.values())
    length = max(1, (world.today - begin).days)
    quality = {row[0]: (random.uniform(2.2, 4.7), random.choice((0.0, 0.0, 0.0, 0.8, -1.6))) for row in world.products}
    found: list[Row] = []
    for _, order, customer, day, product, *_ in world.lines:
        if random.random() < _SHARE:
            written = day + dt.timedelta(days=random.randint(3, 30))
            level, drift = quality[product]
            stars = round(random.gauss(level + drift * (written - begin).days / length, 0.8))
            if written < world.today:
                found.append((product, customer, order, written, max(1, min(5, stars))))
    found.sort(key=lambda row: (row[3], row[2], row[0]))
    return [(number, *row, _WORDS[row[4]] if random.random() < 0.7 else None) for number, row in enumerate(found, 1)]


def _table(rows: list[Row]) -> Table:
    columns = {
        "review_id": "int8!",
        "product_id": "int8!",
        "customer_id": "int8!",
        "order_id": "int8!",
        "reviewed_on": "date!",
        "stars": "int4!",
        "title": "varchar(60)",
    }
    return Table("reviews", columns, "review_id", rows, ("product_id", "customer_id"))
