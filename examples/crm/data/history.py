"""What the warehouse computed when it was last loaded: its customers by value, and which products go together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations, groupby
from typing import Any

from examples.crm.data.table import Table
from examples.crm.data.world import World

Row = tuple[Any, ...]
TOGETHER = 2  # customers who bought both, at least
SIMILAR = 30  # products that are kept of each product
_SIX = Decimal("0.000001")


def tables(world: World) -> dict[str, list[Table]]:
    """Of dwh."""
    return {"dwh": [_customers(world), _similar(world)]}


def _customers(world: World) -> Table:
    """Who bought before the boundary, with a tier by what was spent until then."""
    columns = {"customer_id": "int8!", "segment": "varchar(12)!", "region": "text", "tier": "varchar(6)!"}
    spent: dict[int, Decimal] = {}
    for order in world.orders:
        if order[2] < world.boundary and order[6] not in ("cancelled", "returned"):
            spent[order[1]] = spent.get(order[1], Decimal(0)) + order[5]
    places = {number: place for place, number in enumerate(sorted(spent, key=lambda one: (-spent[one], one)))}
    known = [row for row in world.customers if row[0] in spent]
    rows = [(row[0], row[4], row[3], _tier(places[row[0]] / len(places))) for row in known]
    return Table("customers", columns, "customer_id", rows)


def _tier(place: float) -> str:
    return "top" if place < 0.2 else "middle" if place < 0.6 else "low"


def _similar(world: World) -> Table:
    """Item-to-item: for each product those that most of the same customers bought, by the cosine of their buyers."""
    columns = {
        "pair_id": "int8!",
        "product_id": "int8!",
        "other_id": "int8!",
        "place": "int4!",
        "together": "int8!",
        "support": "numeric(10,6)!",
        "confidence": "numeric(10,6)!",
        "lift": "numeric(12,4)!",
        "cosine": "numeric(10,6)!",
    }
    bought: dict[int, set[int]] = {}
    for line in world.lines:
        if line[3] < world.boundary:
            bought.setdefault(line[2], set()).add(line[4])
    buyers = Counter(product for products in bought.values() for product in products)
    together: Counter[tuple[int, int]] = Counter()
    for products in bought.values():
        together.update(combinations(sorted(products), 2))
    both = [*together.items(), *(((b, a), count) for (a, b), count in together.items())]
    pairs = [(a, b, count, _cosine(count, buyers[a] * buyers[b])) for (a, b), count in both if count >= TOGETHER]
    rows = [(number, *row) for number, row in enumerate(_nearest(pairs, buyers, len(bought)), 1)]
    return Table("similar_products", columns, "pair_id", rows)


def _cosine(together: int, product: int) -> Decimal:
    return (together / Decimal(product).sqrt()).quantize(_SIX)


def _nearest(pairs: list[tuple[int, int, int, Decimal]], buyers: Counter[int], customers: int) -> Iterator[Row]:
    pairs.sort(key=lambda pair: (pair[0], -pair[3], -pair[2], pair[1]))
    for product, found in groupby(pairs, key=lambda pair: pair[0]):
        for place, (_, other, count, cosine) in zip(range(1, SIMILAR + 1), found, strict=False):
            support = (Decimal(count) / customers).quantize(_SIX)
            confidence = (Decimal(count) / buyers[product]).quantize(_SIX)
            lift = (Decimal(count * customers) / (buyers[product] * buyers[other])).quantize(Decimal("0.0001"))
            yield product, other, place, count, support, confidence, lift, cosine
