"""Complaints about the internet lines: what is open or just closed in the operational system, all else archived."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from examples.crm.data.names import person
from examples.crm.data.network import AREAS, ZONE, Subscriber, local_midnight, subscribers
from examples.crm.data.table import Table
from examples.crm.data.world import World

REMEMBERED = 540  # days of complaints
KEPT = 14  # days for which the operational system keeps what is closed; the warehouse has it from the first night on
A_YEAR = 16.0  # complaints of a customer with an ordinary line
# type, what it is, minutes allowed, percent of these past which management is told, how often
TYPES = (
    ("no_connection", "No connection at all", 480, 25, 22),
    ("slow_line", "Slower than agreed", 1440, 50, 26),
    ("drops", "The connection drops", 1440, 50, 20),
    ("router", "The router fails", 2880, 50, 12),
    ("installation", "Installation not done", 4320, 25, 6),
    ("billing", "The bill is wrong", 7200, 100, 14),
)
CHANNELS = (("web", 34), ("sms", 11), ("ivr", 23), ("call", 32))
DESKS = ("Backbone", "Cable works", "Router lab", "Billing desk", "Partner Łącza S.A.")
SAID = ("Since this morning", "Third time this month!", "Né internet né telefono", "ルーターが赤く点滅", "", None, None)
DONE = (
    "Splice replaced",
    "Port reset",
    "Router exchanged",
    "Réglé à distance",
    "Signal −3 dB, im Rahmen",
    "Credited",
    None,
)
LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # none that is taken for another
HOURS = (1, 1, 1, 1, 1, 2, 4, 7, 9, 9, 8, 8, 8, 8, 8, 8, 9, 10, 11, 10, 8, 6, 4, 2)  # weights of local hours


@dataclass(frozen=True, slots=True)
class Technician:
    """`slow` is how many times as long as usual it takes."""

    number: int
    name: str
    area_id: int
    slow: float
    phone: str | None
    active: bool


@dataclass(slots=True)
class Complaint:
    """One complaint with its steps: (changed_at, status, author, forwarded_to, remark), the first of them logged."""

    token: str
    customer_id: int
    area_id: int
    type: tuple[str, str, int, int, int]
    channel: str
    logged_at: dt.datetime
    technician: Technician | None = None
    closed_at: dt.datetime | None = None
    steps: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def expected_at(self) -> dt.datetime:
        return self.logged_at + dt.timedelta(minutes=self.type[2])

    @property
    def row(self) -> tuple[Any, ...]:
        """As it stands in both databases."""
        return (
            self.token,
            self.customer_id,
            self.type[0],
            self.channel,
            self.area_id,
            self.technician.number if self.technician else None,
            self.steps[-1][1],
            self.logged_at,
            self.expected_at,
            self.type[2],
            self.closed_at,
        )


def tables(world: World) -> dict[str, list[Table]]:
    """Of complaints, and the warehouse's archive of those closed."""
    random = world.random("complaints")
    technicians = _technicians(random)
    made = sorted(_all(world, technicians, random), key=lambda one: (one.logged_at, one.token))
    numbers = {one.token: 100 * number for number, one in enumerate(made, 1)}  # of steps
    midnight = local_midnight(world.now).astimezone(dt.UTC)
    cold = [one for one in made if one.closed_at is not None and one.closed_at < midnight]
    archive = [
        _complaints([one.row for one in cold], {}, "complaints"),
        _steps([row for one in cold for row in _numbered(one, numbers)], {}, "complaint_steps"),
    ]
    solved = [one for one in cold if one.steps[-1][1] == "solved"]
    for one in random.sample(solved, min(6, len(solved))):  # after they were archived; long ago, some of them
        _reopen(one, world.now, random)
    kept = midnight - dt.timedelta(days=KEPT)
    hot = [one for one in made if one.closed_at is None or one.closed_at >= kept]
    references = {"area_id": ("areas", "area_id"), "technician_id": ("technicians", "technician_id")}
    return {
        "complaints": [
            _areas(),
            _types(),
            _technician_table(technicians),
            _complaints([one.row for one in hot], {**references, "type": ("types", "type")}, "complaints"),
            _steps(
                [row for one in hot for row in _numbered(one, numbers)], {"token": ("complaints", "token")}, "steps"
            ),
        ],
        "dwh": archive,
    }


def _numbered(one: Complaint, numbers: dict[str, int]) -> Iterator[tuple[Any, ...]]:
    for place, step in enumerate(one.steps, 1):
        yield numbers[one.token] + place, one.token, *step


def _technicians(random: Random) -> list[Technician]:
    found: list[Technician] = []
    for area in AREAS:
        for _ in range(random.choice((2, 3))):
            slow = random.choices((0.8, 1.0, 2.4), (3, 5, 1))[0]
            number = len(found) + 1
            phone = f"+1-555-{300 + number:04d}" if random.random() > 0.08 else None
            found.append(Technician(number, person(random), area[0], slow, phone, random.random() > 0.06))
    return found


def _all(world: World, technicians: list[Technician], random: Random) -> Iterator[Complaint]:
    """Everybody's complaints, some customers having far more than others and the first two none; the third has one,
    which is new and nobody's yet. Some are logged when summer time begins or ends, or a month."""
    worse = {area[0]: area[3] for area in AREAS}
    here = {area[0]: [one for one in technicians if one.area_id == area[0]] for area in AREAS}
    known, tokens = subscribers(world), set[str]()
    often = known[3:]
    moments = [(one, moment) for one in often for moment in _moments(one, worse[one.area_id], world.now, random)]
    moments += [(random.choice(often), moment) for moment in _awkward(world)]
    for one, logged in moments:
        complaint = Complaint(_token(tokens, random), one.customer_id, one.area_id, *_what(random), logged)
        _course(complaint, here[one.area_id], worse[one.area_id], world.now, random)
        yield complaint
    new, logged = known[2], world.now - dt.timedelta(minutes=20)
    complaint = Complaint(_token(tokens, random), new.customer_id, new.area_id, TYPES[-1], "ivr", logged)
    complaint.steps.append((logged, "logged", "ivr", None, None))
    yield complaint


def _moments(one: Subscriber, worse: float, now: dt.datetime, random: Random) -> Iterator[dt.datetime]:
    """When this customer complains."""
    rate = A_YEAR * worse * min(3.0, random.lognormvariate(-0.3, 0.8)) / 365
    today = local_midnight(now).date()
    for ago in range(REMEMBERED):
        day = today - dt.timedelta(days=ago)
        if random.random() < rate and one.started_on <= day and (one.ended_on is None or day <= one.ended_on):
            yield _moment(day, now, random)


def _awkward(world: World) -> Iterator[dt.datetime]:
    """Around changes of summer time; the last and the first second of months, as the provider counts them."""
    oldest, newest = (world.now - dt.timedelta(days=days) for days in (REMEMBERED, 30))
    months = {local_midnight(world.now - dt.timedelta(days=ago)).replace(day=1) for ago in range(0, REMEMBERED, 20)}
    for midnight in sorted(month.astimezone(dt.UTC) for month in months):
        yield from (one for one in (midnight - dt.timedelta(seconds=1), midnight) if oldest < one < newest)
    yield from (one for one in world.transitions if oldest < one < newest)


def _moment(day: dt.date, now: dt.datetime, random: Random) -> dt.datetime:
    """An instant of the provider's day, before now by whole hours and 5 to 25 minutes: so what the views ask of the
    clock (hours open, past the time allowed, which is whole hours too) stays as it is for half an hour."""
    wanted = dt.datetime.combine(day, dt.time(random.choices(range(24), HOURS)[0], 30), ZONE)
    hours = max(1, (now - wanted.astimezone(dt.UTC)) // dt.timedelta(hours=1))
    return now - dt.timedelta(hours=hours, seconds=random.randrange(300, 1500))


def _token(taken: set[str], random: Random) -> str:
    token = "".join(random.choices(LETTERS, k=8))
    while token in taken:
        token = "".join(random.choices(LETTERS, k=8))
    taken.add(token)
    return f"{token[:4]}-{token[4:]}"


def _what(random: Random) -> tuple[tuple[str, str, int, int, int], str]:
    kind = random.choices(TYPES, [one[4] for one in TYPES])[0]
    return kind, random.choices([name for name, _ in CHANNELS], [often for _, often in CHANNELS])[0]


def _course(one: Complaint, here: list[Technician], worse: float, now: dt.datetime, random: Random) -> None:
    """What is done about it until now."""
    one.steps.append((one.logged_at, "logged", one.channel, None, random.choice(SAID)))
    allowed = dt.timedelta(minutes=one.type[2])
    if random.random() > 0.03:
        one.technician = random.choice(here)
    slow = (one.technician.slow if one.technician else 6.0) * worse**0.5
    taken = allowed * 0.45 * slow * random.lognormvariate(0, 0.6)
    if random.random() < 0.012:  # done at the very last moment, which is in time
        taken = allowed
    at = one.logged_at
    for status, author, desk, remark in _between(one, random):
        at += taken * random.uniform(0.02, 0.3)
        if at > now:
            return
        one.steps.append((at, status, author, desk, remark))
    _close(one, one.logged_at + taken, now, random)


def _between(one: Complaint, random: Random) -> Iterator[tuple[str, str, str | None, str | None]]:
    if one.technician is None:
        return
    yield "assigned", "desk", None, None
    if random.random() < 0.22:
        yield "forwarded", "desk", random.choice(DESKS), random.choice(("Not ours", "Needs a splice", None))
    if random.random() < 0.7:
        yield "working", one.technician.name, None, random.choice(("On the way", "Măsurat pe linie", None))


def _close(one: Complaint, at: dt.datetime, now: dt.datetime, random: Random) -> None:
    """Solved or withdrawn, if that is before now; a few are not accepted and solved again."""
    if at > now:
        return
    by = one.technician.name if one.technician else "desk"
    if random.random() < 0.03:
        one.steps.append((at, "withdrawn", "customer", None, random.choice(SAID)))
    else:
        one.steps.append((at, "solved", by, None, random.choice(DONE)))
    one.closed_at = at
    if random.random() < 0.03 and one.steps[-1][1] == "solved":
        _reopen(one, at + dt.timedelta(hours=random.randrange(1, 72)), random)
        _close(one, one.steps[-1][0] + dt.timedelta(hours=random.randrange(1, 48)), now, random)


def _reopen(one: Complaint, at: dt.datetime, random: Random) -> None:
    """Not accepted by the customer: it goes on, and the time allowed is still that from its first logging."""
    one.steps.append((at, "reopened", "customer", None, random.choice(("Same again", "Nope — still down", None))))
    one.closed_at = None


def _areas() -> Table:
    columns = {
        "area_id": "int8!",
        "name": "varchar(40)!",
        "region": "varchar(10)!",
        "field_phone": "varchar(20)",
        "manager_email": "varchar(80)!",
    }
    rows = [(number, name, region, phone, mail) for number, name, region, _, phone, mail in AREAS]
    return Table("areas", columns, "area_id", rows)


def _types() -> Table:
    columns = {"type": "varchar(20)!", "title": "varchar(40)!", "allowed_minutes": "int4!", "escalate_percent": "int4!"}
    return Table("types", columns, "type", [one[:4] for one in TYPES])


def _technician_table(technicians: list[Technician]) -> Table:
    columns = {
        "technician_id": "int8!",
        "full_name": "varchar(60)!",
        "area_id": "int8!",
        "phone": "varchar(20)",
        "active": "bool!",
    }
    rows = [(one.number, one.name, one.area_id, one.phone, one.active) for one in technicians]
    return Table("technicians", columns, "technician_id", rows, ("area_id",), {"area_id": ("areas", "area_id")})


def _complaints(rows: list[tuple[Any, ...]], references: dict[str, tuple[str, str]], name: str) -> Table:
    columns = {
        "token": "varchar(12)!",
        "customer_id": "int8!",
        "type": "varchar(20)!",
        "channel": "varchar(8)!",
        "area_id": "int8!",
        "technician_id": "int8",
        "status": "varchar(12)!",
        "logged_at": "timestamptz!",
        "expected_at": "timestamptz!",
        "threshold_minutes": "int4!",
        "closed_at": "timestamptz",
    }
    indexes = ("customer_id", "area_id", "technician_id", "type", "logged_at", "expected_at", "closed_at")
    return Table(name, columns, "token", rows, indexes, references)


def _steps(rows: list[tuple[Any, ...]], references: dict[str, tuple[str, str]], name: str) -> Table:
    columns = {
        "step_id": "int8!",
        "token": "varchar(12)!",
        "changed_at": "timestamptz!",
        "status": "varchar(12)!",
        "author": "varchar(60)!",
        "forwarded_to": "varchar(40)",
        "remark": "varchar(200)",
    }
    return Table(name, columns, "step_id", rows, ("token",), references)
