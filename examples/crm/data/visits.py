"""What visitors of the web shop do: clicks up to the order, wish lists, preferences; older clicks added up by month."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from random import Random
from typing import Any

from examples.crm.data.table import Table
from examples.crm.data.world import GENRES, World

Row = tuple[Any, ...]

LIVE_DAYS = 30  # clicks of so many days before today are in the shop, older ones added up in the warehouse
_LOOKING = 4  # visits without an order for each with one


def tables(world: World) -> dict[str, list[Table]]:
    """Of shop, and the history of clicks of dwh."""
    random = world.random("visits")
    visits = _visits(world, random)
    return {
        "shop": [
            _visit_table(visits),
            _click_table(visits),
            _wish_table(world, random),
            _preference_table(world, random),
        ],
        "dwh": [_month_table(world, random)],
    }


def since(world: World) -> dt.date:
    """The first day of the live clicks."""
    return world.today - dt.timedelta(days=LIVE_DAYS)


def _visits(world: World, random: Random) -> list[tuple[Row, list[Row]]]:
    """Visits with their clicks, by instant: every order came of one, and several times as many led to none."""
    begin = since(world)
    bought: dict[int, list[int]] = defaultdict(list)
    for _, order, _, day, product, *_ in world.lines:
        if day >= begin:
            bought[order].append(product)
    products = [row[0] for row in world.products]
    found: list[tuple[Row, list[Row]]] = []
    for order in (row for row in world.orders if row[2] >= begin):
        found.append(_buying(order, bought[order[0]], products, random))
        found += [_looking(world, products, random) for _ in range(_LOOKING)]
    return sorted(found, key=lambda one: one[0][2])


def _buying(order: Row, bought: list[int], products: list[int], random: Random) -> tuple[Row, list[Row]]:
    """((customer, day, instant), clicks of (product, kind, order)); within the day of the order, so that days agree."""
    number, customer, day, placed = order[:4]
    clicks: list[Row] = [(random.choice(products), "view", None) for _ in range(random.randrange(3))]
    for product in bought:
        clicks += [(product, "view", None), (product, "cart", None)]
    clicks += [(None, "checkout", None), (None, "order", number)]
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    started = max(midnight, placed - dt.timedelta(seconds=45 * len(clicks)))
    return (customer, day, started.replace(microsecond=0)), clicks


def _looking(world: World, products: list[int], random: Random) -> tuple[Row, list[Row]]:
    """A visit without an order, by somebody who may not have signed in; most leave before the basket."""
    day = since(world) + dt.timedelta(days=random.randrange(LIVE_DAYS + 1))
    customer = None if random.random() < 0.4 else random.choice(world.customers)[0]
    clicks: list[Row] = [(random.choice(products), "view", None) for _ in range(random.choice((1, 1, 2, 3)))]
    if random.random() < 0.2:
        clicks.append((clicks[-1][0], "cart", None))
        if random.random() < 0.4:
            clicks.append((None, "checkout", None))
    return (customer, day, world.moment(day, random)), clicks


def _visit_table(visits: list[tuple[Row, list[Row]]]) -> Table:
    columns = {
        "visit_id": "int8!",
        "customer_id": "int8",  # NULL: not signed in
        "visited_on": "date!",
        "started_at": "timestamptz!",
    }
    rows: list[Row] = [(number, *visit) for number, (visit, _) in enumerate(visits, 1)]
    return Table("visits", columns, "visit_id", rows, ("customer_id", "visited_on"))


def _click_table(visits: list[tuple[Row, list[Row]]]) -> Table:
    columns = {
        "click_id": "int8!",
        "visit_id": "int8!",
        "product_id": "int8",
        "kind": "varchar(10)!",  # view, cart, checkout, order
        "order_id": "int8",
    }
    clicks = [(number, *click) for number, (_, of) in enumerate(visits, 1) for click in of]
    rows: list[Row] = [(number, *click) for number, click in enumerate(clicks, 1)]
    references = {"visit_id": ("visits", "visit_id")}
    return Table("clicks", columns, "click_id", rows, ("visit_id", "product_id"), references)


def _wish_table(world: World, random: Random) -> Table:
    columns = {
        "wish_id": "int8!",
        "customer_id": "int8!",
        "product_id": "int8!",
        "wished_on": "date!",
        "bought_on": "date",
    }
    rows: list[Row] = []
    popular = [row[4] for row in world.lines] or [row[0] for row in world.products]
    for customer, *_, signed_up, _, _ in world.customers:
        if random.random() < 0.12:
            for product in sorted({random.choice(popular) for _ in range(random.randint(1, 3))}):
                day = signed_up + dt.timedelta(days=random.randrange((world.today - signed_up).days + 1))
                bought = day + dt.timedelta(days=random.randrange(60)) if random.random() < 0.3 else None
                rows.append(
                    (len(rows) + 1, customer, product, day, bought if bought and bought <= world.today else None)
                )
    return Table("wishes", columns, "wish_id", rows, ("customer_id", "product_id"))


def _preference_table(world: World, random: Random) -> Table:
    """What customers say that they like: one genre or two each, of those who say anything."""
    columns = {
        "preference_id": "int8!",
        "customer_id": "int8!",
        "genre": "varchar(12)!",
        "said_on": "date!",
    }
    rows: list[Row] = []
    for customer, *_, signed_up, _, _ in world.customers:
        if random.random() < 0.15:
            for genre in random.sample(GENRES, random.choice((1, 1, 2))):
                rows.append((len(rows) + 1, customer, genre, signed_up))
    return Table("preferences", columns, "preference_id", rows, ("customer_id",))


def _month_table(world: World, random: Random) -> Table:
    """A row a customer and month before the live clicks, those of visitors unknown without a customer."""
    found: dict[tuple[dt.date, int], list[int]] = {}
    for _, customer, day, *_ in world.orders:
        if day < since(world):
            sums = found.setdefault((day.replace(day=1), customer), [0, 0, 0, 0, 0])
            views, carts = random.randint(1, 6), random.randint(1, 3)
            for index, more in enumerate((1, views + carts, carts, 1, 1)):
                sums[index] += more
    rows: list[Row] = [(month, customer, *sums) for (month, customer), sums in sorted(found.items())]
    for month, buyers in sorted(Counter(month for month, _ in found).items()):
        visits = 1 + buyers * _LOOKING
        rows.append((month, None, visits, visits * 7 // 4, visits // 5, visits // 12, 0))
    columns = {
        "row_id": "int8!",
        "month": "date!",
        "customer_id": "int8",
        "visits": "int4!",
        "views": "int4!",
        "carts": "int4!",
        "checkouts": "int4!",
        "orders": "int4!",
    }
    rows.sort(key=lambda row: (row[0], row[1] or 0))
    return Table("click_months", columns, "row_id", [(number, *row) for number, row in enumerate(rows, 1)])
