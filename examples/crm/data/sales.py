"""Orders with their lines, live in the shop and older in the warehouse, and the ERP's products."""

from __future__ import annotations

from typing import Any

from examples.crm.data import network, visits
from examples.crm.data.table import Table
from examples.crm.data.world import World

LOADED = ("orders", "order_lines", "reviews", "campaign_contacts", "partner_deliveries")  # up to the boundary


def tables(world: World) -> dict[str, list[Table]]:
    """Of shop, dwh and erp."""
    old = sum(row[2] < world.boundary for row in world.orders)  # both are sorted by day
    old_lines = sum(row[3] < world.boundary for row in world.lines)
    loads = [(name, world.boundary) for name in LOADED]
    loads += [("clicks", visits.since(world)), ("daily_usage", network.local_midnight(world.now).date())]
    return {
        "shop": [_orders(world.orders[old:]), _lines(world.lines[old_lines:])],
        "dwh": [
            _orders(world.orders[:old]),
            _lines(world.lines[:old_lines]),
            _cohorts(world),
            Table("loads", {"table_name": "text!", "loaded_until": "date!"}, "table_name", loads),
        ],
        "erp": [_products(world)],
    }


def _orders(rows: list[tuple[Any, ...]]) -> Table:
    columns = {
        "order_id": "int8!",
        "customer_id": "int8!",
        "ordered_on": "date!",
        "placed_at": "timestamptz!",
        "items": "int4!",
        "amount": "numeric(10,2)!",
        "status": "varchar(10)!",
    }
    return Table("orders", columns, "order_id", rows, ("customer_id", "ordered_on"))


def _lines(rows: list[tuple[Any, ...]]) -> Table:
    columns = {
        "line_id": "int8!",
        "order_id": "int8!",
        "customer_id": "int8!",
        "ordered_on": "date!",
        "product_id": "int8!",
        "quantity": "int4!",
        "amount": "numeric(10,2)!",  # paid for the line; an order's lines add up to its amount
    }
    return Table("order_lines", columns, "line_id", rows, ("order_id", "customer_id", "product_id", "ordered_on"))


def _cohorts(world: World) -> Table:
    known = sorted((customer, day) for customer, day in world.first.items() if day < world.boundary)
    rows = [(customer, day.replace(day=1), day) for customer, day in known]
    columns = {"customer_id": "int8!", "cohort": "date!", "first_order_on": "date!"}
    return Table("cohorts", columns, "customer_id", rows)


def _products(world: World) -> Table:
    columns = {
        "product_id": "int8!",
        "title": "varchar(80)!",
        "artist": "varchar(60)!",
        "genre": "varchar(12)!",
        "list_price": "numeric(10,2)!",
        "unit_cost": "numeric(10,2)!",
        "supplier_id": "int8!",
        "released_on": "date!",
        "status": "varchar(12)!",
    }
    return Table("products", columns, "product_id", world.products, ("genre", "supplier_id"))
