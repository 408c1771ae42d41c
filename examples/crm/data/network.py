"""The internet provider's network: who has a line, what it carries by the hour, and by the day in the warehouse."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from examples.crm.data.table import Table
from examples.crm.data.world import World

ZONE = ZoneInfo("America/New_York")  # whose days, weeks and months the provider counts
SUBSCRIBERS = 300  # at most; where customers are few, a fifth of them, 20 at least
LONG_STANDING = 0.2  # of them have a line for longer than the warehouse remembers
PLANS = {"basic": (50, 2_600), "family": (250, 9_000), "studio": (1000, 26_000)}  # Mbit/s down; usual MB a day
HOURLY = (3, 2, 1, 1, 1, 1, 2, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 8, 10, 12, 13, 12, 9, 5)  # weights of local hours
# area_id, name, region of the CRM, how much worse than usual its lines are, its field desk's telephone, its manager
AREAS = (
    (1, "Harbor", "North", 0.8, "+1-555-0141", "harbor.lead@example.net"),
    (2, "Mill Hill", "North", 1.0, "+1-555-0142", "millhill.lead@example.net"),
    (3, "Østerbro", "North", 0.7, "+1-555-0143", "osterbro.lead@example.net"),
    (4, "Old Town", "South", 2.6, "+1-555-0144", "oldtown.lead@example.net"),
    (5, "Gràcia", "South", 1.1, "+1-555-0145", "gracia.lead@example.net"),
    (6, "São Jorge", "South", 0.9, "+1-555-0146", "saojorge.lead@example.net"),
    (7, "Élysée Park", "East", 1.0, "+1-555-0147", "elysee.lead@example.net"),
    (8, "Neustadt", "East", 1.9, "+1-555-0148", "neustadt.lead@example.net"),
    (9, "Łódź Street", "East", 0.8, "+1-555-0149", "lodz.lead@example.net"),
    (10, "日本町", "West", 0.6, "+1-555-0150", "nihonmachi.lead@example.net"),
    (11, "St. John’s", "West", 1.2, "+1-555-0151", "stjohns.lead@example.net"),
    (12, "Riverside", "West", 1.0, None, "riverside.lead@example.net"),
)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A customer with a line: `usual` is the megabytes of an ordinary day."""

    customer_id: int
    area_id: int
    plan: str
    started_on: dt.date
    ended_on: dt.date | None
    usual: float


def tables(world: World) -> dict[str, list[Table]]:
    """Of network, and the warehouse's daily usage: each day that had ended by now, in the provider's zone."""
    random = world.random("network")
    known = subscribers(world)
    midnight = local_midnight(world.now)
    today = midnight.date()
    hours = [row for one in known for row in _hours(one, world.now, random)]
    days = [row for one in known for row in _days(one, today, random)]
    days += _yesterday(hours, midnight)
    days.sort()  # by customer: so they are asked for
    return {
        "network": [_subscriptions(known), _usage([(number, *row) for number, row in enumerate(hours, 1)])],
        "dwh": [_daily([(number, *row) for number, row in enumerate(days, 1)])],
    }


def subscribers(world: World) -> list[Subscriber]:
    """The customers with a line, by number; the same for the same world."""
    random = world.random("subscribers")
    today = local_midnight(world.now).date()
    wanted = min(SUBSCRIBERS, max(20, len(world.customers) // 5), len(world.customers))
    chosen = sorted(random.sample(world.customers, wanted))
    return [_subscriber(row[0], row[3], today, random) for row in chosen]


def local_midnight(now: dt.datetime) -> dt.datetime:
    """When the provider's day began that `now` is in; in its zone."""
    return now.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def remembered(today: dt.date) -> dt.date:
    """The first day that the warehouse has: a whole calendar year is always in it."""
    return dt.date(today.year - 1, 1, 1)


def _subscriber(customer: int, region: str | None, today: dt.date, random: Random) -> Subscriber:
    near = [area[0] for area in AREAS if region in (None, area[2])]
    plan = random.choices(tuple(PLANS), (4, 5, 1))[0]
    age = random.randrange(900, 1500) if random.random() < LONG_STANDING else random.randrange(3, 400)
    started = today - dt.timedelta(days=age)
    ended = started + dt.timedelta(days=random.randrange(2, age)) if random.random() < 0.04 else None
    usual = PLANS[plan][1] * random.lognormvariate(0, 0.5)
    return Subscriber(customer, random.choice(near), plan, started, ended, usual)


def _hours(one: Subscriber, now: dt.datetime, random: Random) -> Iterator[tuple[Any, ...]]:
    """Live counters since yesterday's local midnight, an hour each by UTC; the last one has begun only."""
    yesterday = local_midnight(local_midnight(now) - dt.timedelta(hours=2))
    hour = yesterday.astimezone(dt.UTC)
    while hour <= now:
        local = hour.astimezone(ZONE)
        part = min(1.0, (now - hour).total_seconds() / 3600)
        if _connected(one, local.date()) and random.random() > 0.01:  # some counters are lost
            megabytes = _level(one, local.date()) * HOURLY[local.hour] / sum(HOURLY) * random.lognormvariate(0, 0.4)
            yield one.customer_id, hour, int(megabytes * part), int(megabytes * part * random.uniform(0.03, 0.2))
        hour += dt.timedelta(hours=1)


def _days(one: Subscriber, today: dt.date, random: Random) -> Iterator[tuple[Any, ...]]:
    """Daily sums until the day before yesterday; a day without any use has no row."""
    day = max(one.started_on, remembered(today))
    while day < today - dt.timedelta(days=1):
        if _connected(one, day) and random.random() > 0.02:
            megabytes = _level(one, day) * random.lognormvariate(0, 0.35)
            yield one.customer_id, day, int(megabytes), int(megabytes * random.uniform(0.05, 0.15))
        day += dt.timedelta(days=1)


def _yesterday(hours: list[tuple[Any, ...]], midnight: dt.datetime) -> list[tuple[Any, ...]]:
    """What the warehouse made of the counters that the network still has."""
    found: dict[int, tuple[int, int]] = {}
    for customer, hour, down, up in hours:
        if hour < midnight:
            sums = found.get(customer, (0, 0))
            found[customer] = (sums[0] + down, sums[1] + up)
    day = (midnight - dt.timedelta(hours=2)).date()
    return [(customer, day, *sums) for customer, sums in found.items()]


def _connected(one: Subscriber, day: dt.date) -> bool:
    return one.started_on <= day and (one.ended_on is None or day < one.ended_on)


def _level(one: Subscriber, day: dt.date) -> float:
    """An ordinary day's megabytes: more at weekends and in winter, and growing over the years."""
    weekend = 1.35 if day.weekday() >= 5 else 1.0
    season = 1 + 0.15 * math.cos(2 * math.pi * day.timetuple().tm_yday / 365)
    return one.usual * weekend * season * 1.2 ** ((day - dt.date(2026, 1, 1)).days / 365)


def _subscriptions(known: list[Subscriber]) -> Table:
    columns = {
        "customer_id": "int8!",
        "area_id": "int8!",
        "plan": "varchar(10)!",
        "down_mbit": "int4!",
        "started_on": "date!",
        "ended_on": "date",
    }
    rows = [(one.customer_id, one.area_id, one.plan, PLANS[one.plan][0], one.started_on, one.ended_on) for one in known]
    return Table("subscriptions", columns, "customer_id", rows, ("area_id",))


def _usage(rows: list[tuple[Any, ...]]) -> Table:
    columns = {
        "usage_id": "int8!",
        "customer_id": "int8!",
        "hour": "timestamptz!",
        "down_mb": "int8!",
        "up_mb": "int8!",
    }
    return Table("hourly_usage", columns, "usage_id", rows, ("customer_id", "hour"))


def _daily(rows: list[tuple[Any, ...]]) -> Table:
    columns = {"usage_id": "int8!", "customer_id": "int8!", "used_on": "date!", "down_mb": "int8!", "up_mb": "int8!"}
    return Table("daily_usage", columns, "usage_id", rows, ("customer_id", "used_on"))
