"""The ticketing system's tables: what customers ask and complain about, and what was done."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from random import Random
from typing import Any

from examples.crm.data import service
from examples.crm.data.names import person
from examples.crm.data.table import Table
from examples.crm.data.world import World

SUBJECTS = {
    "complaint": ("Disc arrived scratched", "Wrong album in the box", "Charged twice", "Case broken"),
    "delivery": ("Parcel not here yet", "Change of address"),
    "return": ("Wants to send it back", "Refund not seen"),
    "question": ("Is it in stock?", "Can it be gift-wrapped?", "Invoice needed"),
}

_HASTE = {1: 15, 2: 35, 3: 70, 4: 100}  # percent of the time that the least urgent take, by priority


def tables(world: World) -> dict[str, list[Table]]:
    """Of tickets."""
    random = world.random("tickets")
    tickets: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    for order in world.orders:
        if random.random() < 0.12:
            ticket = _ticket(len(tickets) + 1, order, world, random)
            tickets.append(ticket)
            events += [(len(events) + 1 + i, *event) for i, event in enumerate(_events(ticket, random))]
    ticket_columns = {
        "ticket_id": "int8!",
        "customer_id": "int8!",
        "order_id": "int8",
        "category": "varchar(10)!",
        "subject": "varchar(80)!",
        "status": "varchar(10)!",
        "priority": "int4!",
        "opened_at": "timestamptz!",
        "closed_at": "timestamptz",
        "satisfaction": "int4",
    }
    event_columns = {
        "event_id": "int8!",
        "ticket_id": "int8!",
        "happened_at": "timestamptz!",
        "kind": "varchar(10)!",
        "author": "varchar(60)!",
        "note": "varchar(120)",
    }
    return {
        "tickets": [
            Table("tickets", ticket_columns, "ticket_id", tickets, ("customer_id", "status", "opened_at")),
            Table(
                "ticket_events",
                event_columns,
                "event_id",
                events,
                ("ticket_id",),
                {"ticket_id": ("tickets", "ticket_id")},
            ),
            *service.tables(world, tickets),
        ]
    }


def _ticket(number: int, order: tuple[Any, ...], world: World, random: Random) -> tuple[Any, ...]:
    category = random.choices(tuple(SUBJECTS), (40, 25, 15, 20))[0]
    opened = order[3] + dt.timedelta(hours=random.randrange(1, 240))
    if random.random() < 0.01:
        opened = random.choice(world.transitions)
    priority = random.choices((1, 2, 3, 4), (5, 20, 50, 25))[0]
    took = random.randrange(10, 20_000) * _HASTE[priority] // 100
    closed: dt.datetime | None = opened + dt.timedelta(minutes=took)
    opened = min(opened, world.now)
    if closed is None or closed > world.now or random.random() < 0.06:
        closed = None
    status = random.choice(("resolved", "closed")) if closed else random.choice(("open", "open", "pending"))
    return (
        number,
        order[1],
        order[0] if category != "question" else None,
        category,
        random.choice(SUBJECTS[category]),
        status,
        priority,
        opened,
        closed,
        _mark(took, random) if closed and random.random() < 0.6 else None,
    )


def _mark(minutes: int, random: Random) -> int:
    """1 to 5: whoever is helped within four days tends to be content, whoever waits longer does not."""
    return random.choices((1, 2, 3, 4, 5), (3, 5, 15, 37, 40) if minutes < 4 * 1440 else (22, 25, 28, 17, 8))[0]


def _events(ticket: tuple[Any, ...], random: Random) -> Iterator[tuple[Any, ...]]:
    number, opened, closed = ticket[0], ticket[7], ticket[8]
    agent = person(random)
    yield number, opened, "opened", "customer", ticket[4]
    for step in range(random.randrange(3)):
        note = random.choice(
            ("Asked for a picture", "Waiting for the carrier", "Apologised", "Offered a voucher", None)
        )
        yield number, opened + dt.timedelta(minutes=3 * step + 2), random.choice(("reply", "note")), agent, note
    if closed:
        yield number, closed, "closed", agent, None
