"""The partners' tables: who makes and supplies the discs, what they can do, what they were given, and their credit."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

from examples.crm.data.names import COMPANIES, COUNTRIES
from examples.crm.data.table import Table
from examples.crm.data.world import SUPPLIERS, World

Row = tuple[Any, ...]

KINDS = ("label", "distributor", "pressing plant")
_PAID_WITHIN = (14, 30, 45)  # terms in days


def tables(world: World) -> dict[str, list[Table]]:
    """Of partners, and the older deliveries of dwh."""
    random = world.random("partners")
    partners = _partners(world, random)
    lead = {row[0]: random.randint(4, 35) for row in partners}
    allocations = _allocations(world, random)
    deliveries = _deliveries(world, allocations, lead, random)
    live = [row for row in deliveries if row[3] >= world.boundary]
    return {
        "partners": [
            _partner_table(partners),
            _capability_table(_capabilities(world, allocations, lead, random)),
            _allocation_table(allocations),
            _delivery_table(live),
            _credit_table(partners, deliveries, world, random),
            _invoice_table(_invoices(deliveries, partners, world, random)),
        ],
        "dwh": [_history_table([row for row in deliveries if row[3] < world.boundary])],
    }


def _partners(world: World, random: Random) -> list[Row]:
    """(partner_id, name, kind, country, since, active, terms in days). One supplies nothing yet."""
    rows: list[Row] = []
    for number in range(1, SUPPLIERS + 2):
        name = f"{COMPANIES[number % len(COMPANIES)]} {('Pressing', 'Supply', 'Sound')[number % 3]} {number:02d}"
        since = world.today - dt.timedelta(days=random.randrange(700, 6000))
        kind, country = random.choice(KINDS), random.choice(COUNTRIES)
        rows.append((number, name, kind, country, since, random.random() < 0.93, random.choice(_PAID_WITHIN)))
    return rows


def _months(world: World) -> list[dt.date]:
    """The first days of the months of the data, the present one among them."""
    month, found = min(world.first.values()).replace(day=1), []
    while month <= world.today:
        found.append(month)
        month = (month + dt.timedelta(days=32)).replace(day=1)
    return found


def _allocations(world: World, random: Random) -> list[Row]:
    """(allocation_id, partner_id, product_id, genre, month, allocated): about what the product sells that month."""
    sold: dict[tuple[int, dt.date], int] = defaultdict(int)
    for _, _, _, day, product, quantity, _ in world.lines:
        sold[product, day.replace(day=1)] += quantity
    rows: list[Row] = []
    for month in _months(world):
        for product, _, _, genre, _, _, supplier, *_ in world.products:
            wanted = sold[product, month]
            if wanted or random.random() < 0.1:
                allocated = max(5, round(wanted * random.uniform(0.9, 1.5)))
                rows.append((len(rows) + 1, supplier, product, genre, month, allocated))
    return rows


def _capabilities(world: World, allocations: list[Row], lead: dict[int, int], random: Random) -> list[Row]:
    """What a partner can make a month, by genre: enough as a rule, too little for some."""
    usual: dict[tuple[int, str], list[int]] = defaultdict(list)
    by_month: dict[tuple[int, str, dt.date], int] = defaultdict(int)
    for _, partner, _, genre, month, allocated in allocations:
        by_month[partner, genre, month] += allocated
    for (partner, genre, _), allocated in by_month.items():
        usual[partner, genre].append(allocated)
    rows: list[Row] = []
    for (partner, genre), sums in sorted(usual.items()):
        capacity = max(10, round(sum(sums) / len(sums) * random.choice((0.8, 1.2, 1.5, 2.0))))
        until = world.today + dt.timedelta(days=random.randrange(-60, 900))
        rows.append((len(rows) + 1, partner, genre, capacity, lead[partner], until))
    return rows


def _deliveries(world: World, allocations: list[Row], lead: dict[int, int], random: Random) -> list[Row]:
    """(delivery_id, partner_id, product_id, ordered_on, promised_on, delivered_on, ordered, delivered, damaged, due):
    one for each allocation, in the order of their days. Some partners are late, some short."""
    late = {partner: random.choice((0.05, 0.1, 0.15, 0.45)) for partner in lead}
    short = {partner: random.choice((0.0, 0.05, 0.1, 0.3)) for partner in lead}
    cost = {row[0]: row[5] for row in world.products}
    found: list[Row] = []
    for _, partner, product, _, month, allocated in allocations:
        ordered = month + dt.timedelta(days=random.randrange(20))
        if ordered >= world.today:
            continue
        promised = ordered + dt.timedelta(days=lead[partner])
        slip = random.randint(1, 25) if random.random() < late[partner] else -random.randrange(4)
        arrived: dt.date | None = max(ordered + dt.timedelta(days=1), promised + dt.timedelta(days=slip))
        if arrived is None or arrived >= world.today:
            found.append((partner, product, ordered, promised, None, allocated, None, None, None))
            continue
        got = allocated - (random.randint(1, max(1, allocated // 3)) if random.random() < short[partner] else 0)
        damaged = sum(random.random() < 0.01 for _ in range(got))
        due = (got * cost[product]).quantize(Decimal("0.01"))
        found.append((partner, product, ordered, promised, arrived, allocated, got, damaged, due))
    found.sort(key=lambda row: (row[2], row[0], row[1]))
    return [(number, *row) for number, row in enumerate(found, 1)]


def _invoices(deliveries: list[Row], partners: list[Row], world: World, random: Random) -> list[Row]:
    """One for each partner and month of arrival, paid about when it is due, if it is due yet."""
    due: dict[tuple[dt.date, int], Decimal] = defaultdict(Decimal)
    for _, partner, _, _, _, arrived, *_, amount in deliveries:
        if arrived is not None:
            due[(arrived.replace(day=1) + dt.timedelta(days=32)).replace(day=1), partner] += amount
    terms = {row[0]: row[6] for row in partners}
    slow = {partner: random.choice((0, 0, 5, 20)) for partner in terms}
    rows: list[Row] = []
    for (issued, partner), amount in sorted(due.items()):
        until = issued + dt.timedelta(days=terms[partner])
        paid = until + dt.timedelta(days=random.randint(-6, 3) + slow[partner])
        if issued <= world.today:
            rows.append((len(rows) + 1, partner, issued, until, paid if paid < world.today else None, amount))
    return rows


def _partner_table(rows: list[Row]) -> Table:
    columns = {
        "partner_id": "int8!",
        "name": "varchar(60)!",
        "kind": "varchar(14)!",
        "country": "varchar(2)!",
        "partner_since": "date!",
        "active": "bool!",
        "terms_days": "int4!",
    }
    return Table("partners", columns, "partner_id", rows)


def _capability_table(rows: list[Row]) -> Table:
    columns = {
        "capability_id": "int8!",
        "partner_id": "int8!",
        "genre": "varchar(12)!",
        "monthly_capacity": "int4!",
        "lead_days": "int4!",
        "certified_until": "date!",
    }
    references = {"partner_id": ("partners", "partner_id")}
    return Table("capabilities", columns, "capability_id", rows, ("partner_id",), references)


def _allocation_table(rows: list[Row]) -> Table:
    columns = {
        "allocation_id": "int8!",
        "partner_id": "int8!",
        "product_id": "int8!",
        "genre": "varchar(12)!",
        "month": "date!",
        "allocated": "int4!",
    }
    references = {"partner_id": ("partners", "partner_id")}
    return Table("allocations", columns, "allocation_id", rows, ("partner_id", "product_id", "month"), references)


def _delivery_table(rows: list[Row]) -> Table:
    columns = {
        "delivery_id": "int8!",
        "partner_id": "int8!",
        "product_id": "int8!",
        "ordered_on": "date!",
        "promised_on": "date!",
        "delivered_on": "date",
        "ordered": "int4!",
        "delivered": "int4",
        "damaged": "int4",
        "amount": "numeric(12,2)",  # what is to be paid for it
    }
    return Table("deliveries", columns, "delivery_id", rows, ("partner_id", "product_id", "ordered_on"))


def _history_table(rows: list[Row]) -> Table:
    """Deliveries with the days that they took, which the warehouse works out when it loads them."""
    table = _delivery_table([(*row, None if row[5] is None else (row[5] - row[3]).days) for row in rows])
    return replace(table, name="partner_deliveries", columns={**table.columns, "lead_days": "int4"})


def _credit_table(partners: list[Row], deliveries: list[Row], world: World, random: Random) -> Table:
    """How much each lets us owe; the newest partner has not decided."""
    months = len(_months(world))
    turnover: dict[int, Decimal] = defaultdict(Decimal)
    for row in deliveries:
        turnover[row[1]] += row[9] or 0
    rows: list[Row] = []
    for partner, *_ in partners[:-1]:
        limit = turnover[partner] / months * random.choice((1, 2, 3)) + 500
        reviewed = world.today - dt.timedelta(days=random.randrange(10, 500))
        rows.append((partner, Decimal(round(limit, -2)), reviewed))
    columns = {"partner_id": "int8!", "credit_limit": "numeric(12,2)!", "reviewed_on": "date!"}
    return Table("credit_lines", columns, "partner_id", rows, (), {"partner_id": ("partners", "partner_id")})


def _invoice_table(rows: list[Row]) -> Table:
    columns = {
        "invoice_id": "int8!",
        "partner_id": "int8!",
        "issued_on": "date!",
        "due_on": "date!",
        "paid_on": "date",
        "amount": "numeric(12,2)!",
    }
    references = {"partner_id": ("partners", "partner_id")}
    return Table("invoices", columns, "invoice_id", rows, ("partner_id",), references)
