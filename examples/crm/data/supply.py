"""What is short and who waits for it: the ERP's stock and deliveries, the web shop's reservations, baskets, returns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from random import Random
from typing import Any

from examples.crm.data.table import Table
from examples.crm.data.world import World

Row = tuple[Any, ...]
SCARCE = 60  # products for which people wait
WAITING = (10, 40)  # reservations for one of them
BASKETS = 900
WEB_RETURNS_TODAY = 12
REASONS = ("scratched", "wrong album", "too late", "changed my mind")


def tables(world: World) -> dict[str, list[Table]]:
    """Of erp and shop."""
    random = world.random("supply")
    scarce = sorted(product[0] for product in random.sample(world.products, SCARCE))
    buyers = world.buyers
    baskets = [_basket(number, random.choice(buyers), world, random) for number in range(1, BASKETS + 1)]
    return {
        "erp": [_stock(scarce, world, random), _deliveries(scarce, world, random)],
        "shop": [
            _reservations(scarce, buyers, world, random),
            _baskets(baskets),
            _basket_lines(baskets, world, random),
            _returns(world, random),
        ],
    }


def _stock(scarce: list[int], world: World, random: Random) -> Table:
    """Of what is scarce little or nothing can be promised: what is there less what is promised and kept back."""
    columns = {
        "product_id": "int8!",
        "on_hand": "int4!",
        "allocated": "int4!",
        "safety": "int4!",
        "counted_at": "timestamptz!",
    }
    rows = []
    short = set(scarce)
    for product in world.products:
        allocated, safety = random.randrange(12), random.choice((0, 2, 4))
        free = random.choice((-3, 0, 2, 5, 9)) if product[0] in short else random.randrange(20, 200)
        counted = world.now - dt.timedelta(seconds=random.randrange(30, 3600))
        rows.append((product[0], max(0, allocated + safety + free), allocated, safety, counted))
    return Table("stock", columns, "product_id", rows)


def _deliveries(scarce: list[int], world: World, random: Random) -> Table:
    """Suppliers' deliveries of the last and the next weeks; every third is late."""
    columns = {
        "delivery_id": "int8!",
        "product_id": "int8!",
        "supplier_id": "int8!",
        "quantity": "int4!",
        "promised_on": "date!",
        "expected_on": "date!",
        "state": "varchar(10)!",
        "remark": "varchar(60)",
    }
    suppliers = {product[0]: product[6] for product in world.products}
    others = random.sample(sorted(set(suppliers) - set(scarce)), min(60, len(suppliers) - len(scarce)))
    rows: list[Row] = []
    for product in sorted([*scarce, *scarce, *others]):
        promised = world.today + dt.timedelta(days=random.randrange(-20, 25))
        late = random.random() < 0.35 or promised < world.today
        expected = promised + dt.timedelta(days=random.randrange(3, 15) if late else 0)
        arrived = expected <= world.today
        state = "received" if arrived else "delayed" if late else "on the way"
        remark = random.choice(("pressing plant", "customs", "carrier", None)) if state == "delayed" else None
        quantity = random.choice((5, 10, 20))
        rows.append((len(rows) + 1, product, suppliers[product], quantity, promised, expected, state, remark))
    return Table("deliveries", columns, "delivery_id", rows, ("product_id", "state"))


def _reservations(scarce: list[int], buyers: list[int], world: World, random: Random) -> Table:
    columns = {
        "reservation_id": "int8!",
        "customer_id": "int8!",
        "product_id": "int8!",
        "quantity": "int4!",
        "reserved_at": "timestamptz!",
        "channel": "varchar(6)!",
        "state": "varchar(10)!",
    }
    rows: list[Row] = []
    for product in scarce:
        for customer in sorted({random.choice(buyers) for _ in range(random.randint(*WAITING))}):
            at = world.moment(world.today - dt.timedelta(days=random.randrange(40)), random)
            state = random.choices(("waiting", "served", "cancelled"), (75, 18, 7))[0]
            quantity, channel = random.choice((1, 1, 1, 2, 3)), random.choice(("web", "phone", "store"))
            rows.append((len(rows) + 1, customer, product, quantity, at, channel, state))
    return Table("reservations", columns, "reservation_id", rows, ("customer_id", "product_id", "state"))


def _basket(number: int, customer: int, world: World, random: Random) -> Row:
    recent = min(int(random.expovariate(0.4)), 30)
    touched = world.moment(world.today - dt.timedelta(days=recent), random)
    state = "open" if recent < 2 else random.choice(("ordered", "left", "left"))
    return number, customer, touched.date(), touched, state


def _baskets(rows: list[Row]) -> Table:
    columns = {
        "basket_id": "int8!",
        "customer_id": "int8!",
        "touched_on": "date!",
        "touched_at": "timestamptz!",
        "state": "varchar(8)!",
    }
    return Table("baskets", columns, "basket_id", rows, ("customer_id", "touched_on"))


def _basket_lines(baskets: list[Row], world: World, random: Random) -> Table:
    columns = {"line_id": "int8!", "basket_id": "int8!", "product_id": "int8!", "quantity": "int4!"}
    rows: list[Row] = []
    for basket in baskets:
        for product in random.sample(world.products, random.choice((1, 2, 2, 4))):
            rows.append((len(rows) + 1, basket[0], product[0], random.choice((1, 1, 2))))
    references = {"basket_id": ("baskets", "basket_id")}
    return Table("basket_lines", columns, "line_id", rows, ("basket_id", "product_id"), references)


def _returns(world: World, random: Random) -> Table:
    """What customers of the web shop announced that they send back: returned orders, and some of today."""
    columns = {
        "return_id": "int8!",
        "order_id": "int8!",
        "customer_id": "int8!",
        "announced_on": "date!",
        "announced_at": "timestamptz!",
        "reason": "varchar(20)!",
        "refund": "numeric(10,2)!",
        "state": "varchar(10)!",
    }
    rows = [(number, *row) for number, row in enumerate(_announced(world, random), 1)]
    return Table("returns", columns, "return_id", rows, ("customer_id", "order_id", "announced_on"))


def _announced(world: World, random: Random) -> Iterator[Row]:
    live = [order for order in world.orders if order[2] >= world.boundary and order[5]]
    for order in live:
        if order[6] == "returned":
            day = min(order[2] + dt.timedelta(days=random.randrange(1, 20)), world.today)
            yield _return(order, day, random.choice(("received", "refunded")), world, random)
    shipped = [order for order in live if order[6] == "shipped"][-400:]
    for order in random.sample(shipped, min(WEB_RETURNS_TODAY, len(shipped))):
        yield _return(order, world.today, "announced", world, random)


def _return(order: Row, day: dt.date, state: str, world: World, random: Random) -> Row:
    at = max(world.moment(day, random), order[3]) if day == order[2] else world.moment(day, random)
    return order[0], order[1], day, at, random.choice(REASONS), order[5], state
