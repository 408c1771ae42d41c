"""A product's life in the ERP: from the first design to the launch, what was changed and what it cost when."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections import defaultdict
from decimal import Decimal
from random import Random
from typing import Any

from examples.crm.data.names import person
from examples.crm.data.table import Table
from examples.crm.data.world import GENRES, World

Row = tuple[Any, ...]

STAGES = ("design", "prototype", "test pressing", "launch", "end")
CHANGES = ("artwork", "remaster", "packaging", "bonus tracks")
_COMING = 24  # projects that have no product yet
_WATCHED = 60  # days on each side of a change that its effect is judged by


def tables(world: World) -> dict[str, list[Table]]:
    """Of erp."""
    random = world.random("lifecycle")
    people = [person(random) for _ in range(9)]
    projects, stages = _projects(world, people, random)
    sold = _sold(world)
    return {
        "erp": [
            _project_table(projects),
            _stage_table(stages),
            _change_table(_changes(world, sold, people, random)),
            _price_table(_prices(world, sold, random)),
        ]
    }


def _projects(world: World, people: list[str], random: Random) -> tuple[list[Row], list[Row]]:
    """Each product's project with the stages it went through, and projects on their way to a launch."""
    projects: list[Row] = []
    stages: list[Row] = []
    for product, title, _, genre, _, _, _, released, status in world.products:
        responsible = random.choice(people)
        planned = released - dt.timedelta(days=random.choice((0, 0, 7, 14, 45, -10)))
        projects.append((len(projects) + 1, product, title, genre, responsible, planned))
        begun = released - dt.timedelta(days=random.randrange(120, 600))
        days = [begun, *sorted(begun + (released - begun) * random.random() for _ in range(2)), released]
        if status == "discontinued":
            days.append(world.ends[product])
        for stage, day in zip(STAGES, days, strict=False):
            stages.append((len(stages) + 1, len(projects), stage, day, random.choice((responsible, *people))))
    for number in range(_COMING):
        responsible, begun = random.choice(people), world.today - dt.timedelta(days=random.randrange(20, 400))
        planned = begun + dt.timedelta(days=random.randrange(200, 500))
        genre = GENRES[number % len(GENRES)]
        projects.append((len(projects) + 1, None, f"Working title {number + 1}", genre, responsible, planned))
        reached = 1 + min(2, (world.today - begun).days // 130)
        for index, stage in enumerate(STAGES[:reached]):
            day = begun + (world.today - begun) * (index / (reached + 0.5))
            stages.append((len(stages) + 1, len(projects), stage, day, responsible))
    return projects, stages


def _sold(world: World) -> dict[int, list[dt.date]]:
    """Each product's days of sale, a day as often as discs were sold, in order."""
    found: dict[int, list[dt.date]] = defaultdict(list)
    for _, _, _, day, product, quantity, _ in world.lines:
        found[product] += [day] * quantity
    return found


def _day_of_effect(days: list[dt.date], world: World, better: bool, random: Random) -> dt.date:
    """A day around which the product's sales rose, or fell: some changes please, others do not."""
    begin = min(world.first.values())
    span = max(1, (world.today - begin).days - _WATCHED - 3)
    tried = [begin + dt.timedelta(days=_WATCHED + random.randrange(span)) for _ in range(6)]

    def gain(day: dt.date) -> float:
        cut, window = bisect_left(days, day), dt.timedelta(days=_WATCHED)
        before, after = cut - bisect_left(days, day - window), bisect_left(days, day + window) - cut
        return (after * _WATCHED / min(_WATCHED, (world.today - day).days) + 1) / (before + 1)

    return max(tried, key=gain) if better else min(tried, key=gain)


def _changes(world: World, sold: dict[int, list[dt.date]], people: list[str], random: Random) -> list[Row]:
    """Requests: most are approved and take effect, some are refused, some wait."""
    rows: list[Row] = []
    for product, *_ in world.products:
        if random.random() > 0.3:
            continue
        kind, state = random.choice(CHANGES), random.choices(("approved", "refused", "waiting"), (70, 15, 15))[0]
        effective = None
        requested = world.today - dt.timedelta(days=random.randrange(1, 30))
        decided = None
        if state == "approved":
            effective = _day_of_effect(sold[product], world, random.random() < 0.6, random)
            decided = effective - dt.timedelta(days=random.randrange(5, 40))
            requested = decided - dt.timedelta(days=random.randrange(3, 60))
        elif state == "refused":
            decided = requested
            requested -= dt.timedelta(days=random.randrange(3, 60))
        rows.append((len(rows) + 1, product, kind, state, requested, decided, effective, random.choice(people)))
    return rows


def _prices(world: World, sold: dict[int, list[dt.date]], random: Random) -> list[Row]:
    """Prices over time, each valid until the next one; the last one is the list price."""
    rows: list[Row] = []
    for product, _, _, _, price, _, _, released, _ in world.products:
        starts = [released]
        if random.random() < 0.35:
            changed = _day_of_effect(sold[product], world, random.random() < 0.5, random)
            starts += [changed] if changed > released else []
        for index, day in enumerate(starts):
            last = index + 1 == len(starts)
            until = None if last else starts[index + 1]
            asked = price if last else (price * random.choice((80, 90, 110, 125)) / 100).quantize(Decimal("0.01"))
            rows.append((len(rows) + 1, product, day, until, asked))
    return rows


def _project_table(rows: list[Row]) -> Table:
    columns = {
        "project_id": "int8!",
        "product_id": "int8",  # NULL until the product is in the catalogue
        "title": "varchar(80)!",
        "genre": "varchar(12)!",
        "responsible": "varchar(60)!",
        "planned_launch_on": "date!",
    }
    return Table("projects", columns, "project_id", rows, ("product_id",))


def _stage_table(rows: list[Row]) -> Table:
    columns = {
        "stage_id": "int8!",
        "project_id": "int8!",
        "stage": "varchar(14)!",  # design, prototype, test pressing, launch, end
        "entered_on": "date!",
        "responsible": "varchar(60)!",
    }
    return Table(
        "project_stages", columns, "stage_id", rows, ("project_id",), {"project_id": ("projects", "project_id")}
    )


def _change_table(rows: list[Row]) -> Table:
    columns = {
        "change_id": "int8!",
        "product_id": "int8!",
        "kind": "varchar(14)!",
        "state": "varchar(10)!",  # waiting, approved, refused
        "requested_on": "date!",
        "decided_on": "date",
        "effective_on": "date",
        "requested_by": "varchar(60)!",
    }
    return Table(
        "change_requests", columns, "change_id", rows, ("product_id",), {"product_id": ("products", "product_id")}
    )


def _price_table(rows: list[Row]) -> Table:
    columns = {
        "price_id": "int8!",
        "product_id": "int8!",
        "valid_from": "date!",
        "valid_until": "date",  # the day from which the next one is valid
        "price": "numeric(10,2)!",
    }
    return Table("prices", columns, "price_id", rows, ("product_id",), {"product_id": ("products", "product_id")})
