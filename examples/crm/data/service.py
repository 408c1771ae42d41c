"""What the contact centre adds to tickets: who spoke when by which channel, what was promised, what customers say."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any

from examples.crm.data.names import person
from examples.crm.data.table import Table
from examples.crm.data.world import World

Row = tuple[Any, ...]

# priority -> minutes to the first response, minutes to the solution
LEVELS = {1: (60, 2 * 1440), 2: (240, 4 * 1440), 3: (1440, 8 * 1440), 4: (2880, 12 * 1440)}
_CHANNELS, _WEIGHTS = (1, 3, 5, 6), (40, 25, 20, 15)  # of marketing.channels: e-mail, telephone, web site, chat
_ANSWERED_AFTER = {1: (20, 2400), 3: (0, 15), 5: (10, 1800), 6: (1, 40)}  # minutes, by channel
_AGENTS = 18


def tables(world: World, tickets: list[Row]) -> list[Table]:
    """Interactions, service levels and surveys of these tickets (rows of tickets.tickets)."""
    random = world.random("service")
    agents = [person(random) for _ in range(_AGENTS)]
    interactions: list[Row] = []
    surveys: list[Row] = []
    for ticket in tickets:
        channel = random.choices(_CHANNELS, _WEIGHTS)[0]
        for made in _interactions(ticket, channel, world, random):
            interactions.append((len(interactions) + 1, *made, random.choice(agents)))
        survey = _survey(ticket, channel, world, random)
        if survey:
            surveys.append((len(surveys) + 1, *survey))
    return [_interaction_table(interactions), _level_table(), _survey_table(surveys)]


def _interactions(ticket: Row, channel: int, world: World, random: Random) -> list[Row]:
    """What the customer said first, our answer where there is one yet, and sometimes a round more."""
    number, customer, opened, closed = ticket[0], ticket[1], ticket[7], ticket[8]
    end = closed or world.now - dt.timedelta(minutes=10)
    found: list[Row] = [(number, customer, channel, "in", opened, random.randrange(1, 12))]
    least, most = _ANSWERED_AFTER[channel]
    at = opened + dt.timedelta(minutes=random.randint(least, most) * (0.5 + ticket[6] / 4))
    for direction in ("out", "in", "out")[: random.choice((1, 1, 1, 3))]:
        if at > end:
            break
        found.append((number, customer, channel, direction, at, random.randrange(2, 30)))
        at += dt.timedelta(minutes=random.randrange(30, 2000))
    if closed and len(found) == 1:  # nobody closes without a word
        found.append((number, customer, channel, "out", closed, random.randrange(2, 30)))
    return found


def _survey(ticket: Row, channel: int, world: World, random: Random) -> Row | None:
    """Asked of four in five whose ticket was closed; the mark is the one that the ticket keeps."""
    number, customer, closed, mark = ticket[0], ticket[1], ticket[8], ticket[9]
    if closed is None or closed.date() >= world.today or (mark is None and random.random() < 0.2):
        return None
    recommends = None if mark is None else max(0, min(10, mark * 2 + random.choice((-1, 0, 0, 1))))
    return number, customer, channel, closed.date(), mark, recommends


def _interaction_table(rows: list[Row]) -> Table:
    columns = {
        "interaction_id": "int8!",
        "ticket_id": "int8!",
        "customer_id": "int8!",
        "channel_id": "int4!",
        "direction": "varchar(3)!",  # in: the customer to us; out: we to the customer
        "started_at": "timestamptz!",
        "minutes": "int4!",
        "agent": "varchar(60)!",
    }
    references = {"ticket_id": ("tickets", "ticket_id")}
    return Table("interactions", columns, "interaction_id", rows, ("ticket_id", "customer_id"), references)


def _level_table() -> Table:
    columns = {"priority": "int4!", "response_minutes": "int4!", "solution_minutes": "int4!"}
    rows: list[Row] = [(priority, *minutes) for priority, minutes in LEVELS.items()]
    return Table("service_levels", columns, "priority", rows)


def _survey_table(rows: list[Row]) -> Table:
    columns = {
        "survey_id": "int8!",
        "ticket_id": "int8!",
        "customer_id": "int8!",
        "channel_id": "int4!",
        "asked_on": "date!",
        "csat": "int4",  # 1 to 5; NULL: not answered
        "recommends": "int4",  # 0 to 10
    }
    references = {"ticket_id": ("tickets", "ticket_id")}
    return Table("surveys", columns, "survey_id", rows, ("ticket_id", "customer_id"), references)
