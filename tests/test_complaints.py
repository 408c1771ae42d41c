"""Complaints and usage of the example: what the views say of edges, against figures made here from the rows."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from api.project import Runtime, open_project
from examples.crm import build, data, parquet_files, sqlite_files
from examples.crm.data.complaints import TYPES
from federation.result import Part
from federation.session import Session
from tests.test_example import found, invented

pytestmark = pytest.mark.slow

ZONE = ZoneInfo("America/New_York")
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
LIMITS = {name: minutes for name, _, minutes, _, _ in TYPES}
HOUR, SECOND = dt.timedelta(hours=1), dt.timedelta(seconds=1)
TODAY = NOW.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
Row = dict[str, Any]


def complaint(token: str, logged: dt.datetime, closed: dt.datetime | None = None, **other: Any) -> tuple[Any, ...]:
    """A row of the desk's or the warehouse's table."""
    kind = other.get("kind", "no_connection")
    due = other.get("due", logged + dt.timedelta(minutes=LIMITS[kind]))
    status = other.get("status", "solved" if closed else "assigned")
    where = (other["customer"], kind, "web", other.get("area", 1), other.get("technician", 1))
    return (token, *where, status, logged, due, LIMITS[kind], closed)


def edges(customer: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """(rows of the desk, rows of the warehouse)"""
    old, fresh = NOW - 200 * HOUR, NOW - 30 * dt.timedelta(minutes=1)
    due = old + 8 * HOUR
    back = NOW - 2000 * HOUR
    desk = [
        complaint("EDGE-AT", old, due, customer=customer),
        complaint("EDGE-PAST", old, due + dt.timedelta(microseconds=1), customer=customer),
        complaint("EDGE-LEFT", old, due + HOUR, customer=customer, status="withdrawn"),
        complaint("EDGE-OPEN", fresh, customer=customer, technician=None, status="logged"),
        complaint("EDGE-LATE", NOW - 9 * HOUR, customer=customer, technician=None, area=12, status="logged"),
        complaint("EDGE-MGMT", NOW - 11 * HOUR, customer=customer, technician=None),
        complaint("EDGE-AGAIN", back, customer=customer, status="reopened"),
    ]
    first = (TODAY.replace(tzinfo=None) - dt.timedelta(days=89)).replace(tzinfo=ZONE).astimezone(dt.UTC)
    archive = [
        complaint("EDGE-AGAIN", back, back + HOUR, customer=customer),
        complaint("EDGE-FIRST", first, first + HOUR, customer=customer, technician=2),
        complaint("EDGE-BEFORE", first - SECOND, first + HOUR, customer=customer, technician=2),
    ]
    return desk, archive


@pytest.fixture(scope="module")
def made() -> dict[str, list[data.Table]]:
    tables = data.build(invented(), NOW)
    desk, archive = edges(found(tables, "network", "subscriptions").rows[0][0])
    found(tables, "complaints", "complaints").rows.extend(desk)
    found(tables, "dwh", "complaints").rows.extend(archive)
    step = (NOW - 200 * HOUR, "logged", "web", None, None)
    found(tables, "complaints", "steps").rows.extend((10**9 + at, row[0], *step) for at, row in enumerate(desk))
    found(tables, "dwh", "complaint_steps").rows.append((2 * 10**9, "EDGE-AGAIN", *step))
    return tables


@pytest.fixture(scope="module")
def asked(made: dict[str, list[data.Table]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("isp")
    build.write(folder, made)
    with asyncio.Runner() as runner:
        opened = open_project(folder)
        runtime = runner.run(opened.__aenter__())
        yield Asked(runner, runtime)
        runner.run(opened.__aexit__(None, None, None))


class Asked:
    """A runtime that answers at once; `parts` is what the latest statement asked of the sources."""

    def __init__(self, runner: asyncio.Runner, runtime: Runtime) -> None:
        self._runner, self._runtime = runner, runtime
        self.parts: list[Part] = []

    def __call__(self, text: str, zone: str = "UTC") -> list[Row]:
        async def run() -> list[Row]:
            session = Session("analyst", {"TimeZone": zone}, timeout=60)
            result = await self._runtime.engine.query(text, session)
            rows = (await result.table()).to_pylist()
            self.parts = result.parts
            return rows

        return self._runner.run(run())

    def rows_of(self, source: str) -> int:
        """How many a source sent."""
        return sum(part.rows for part in self.parts if part.source == source)


def test_an_outcome_is_decided_by_the_very_instant(asked: Asked) -> None:
    rows = asked("SELECT token, outcome, origin FROM isp.complaints WHERE token LIKE 'EDGE%'")
    assert {row["token"]: (row["outcome"], row["origin"]) for row in rows} == {
        "EDGE-AT": ("within", "desk"),
        "EDGE-PAST": ("late", "desk"),
        "EDGE-LEFT": ("withdrawn", "desk"),
        "EDGE-OPEN": ("running", "desk"),
        "EDGE-LATE": ("overdue", "desk"),
        "EDGE-MGMT": ("overdue", "desk"),
        "EDGE-AGAIN": ("overdue", "desk"),
        "EDGE-FIRST": ("within", "warehouse"),
        "EDGE-BEFORE": ("within", "warehouse"),
    }
    assert len(rows) == 9


def test_a_reopened_complaint_is_the_desks_alone(asked: Asked) -> None:
    (row,) = asked("SELECT status, closed_at, steps FROM isp.complaint_page WHERE token = 'EDGE-AGAIN'")
    assert row == {"status": "reopened", "closed_at": None, "steps": 1}
    assert asked.rows_of("crm") <= 2


def test_ninety_days_begin_with_the_providers_day(asked: Asked) -> None:
    for zone in ("UTC", "Asia/Tokyo"):
        recent = asked("SELECT token FROM isp.recent_complaints WHERE token LIKE 'EDGE%'", zone)
        assert {row["token"] for row in recent} >= {"EDGE-FIRST", "EDGE-AGAIN", "EDGE-OPEN"}
        assert "EDGE-BEFORE" not in {row["token"] for row in recent}


def outcome(row: Row) -> str:
    if row["status"] == "withdrawn":
        return "withdrawn"
    if row["closed_at"] is None:
        return "overdue" if row["expected_at"] < NOW else "running"
    return "within" if row["closed_at"] <= row["expected_at"] else "late"


def rounded(total: int, count: int) -> str | None:
    """Their quotient as a numeric comes; None without any."""
    return str((Decimal(total) / count).quantize(Decimal("0.1"), ROUND_HALF_UP)) if count else None


def all_complaints(made: dict[str, list[data.Table]]) -> list[Row]:
    """Each token once, as the desk has it where it has it."""
    known: dict[str, Row] = {}
    for source in ("dwh", "complaints"):
        table = found(made, source, "complaints")
        known.update((row[0], dict(zip(table.columns, row, strict=True))) for row in table.rows)
    return list(known.values())


@pytest.mark.parametrize("by", ["technician", "area", "type"])
def test_shares_solved_in_time_by_hand(asked: Asked, made: dict[str, list[data.Table]], by: str) -> None:
    key = by if by == "type" else f"{by}_id"
    since = (TODAY.replace(tzinfo=None) - dt.timedelta(days=89)).replace(tzinfo=ZONE)
    counted: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in all_complaints(made):
        if row["logged_at"] >= since:
            counted[row[key]][outcome(row)] += 1
    got = {row[key]: row for row in asked(f"SELECT * FROM isp.{by}_figures")}
    assert set(counted) - {None} <= set(got)
    for each, row in got.items():
        counts = counted[each]
        assert row["complaints"] == counts.total()
        assert {name: row[name] for name in counts} == counts
        decided = counts["within"] + counts["late"] + counts["overdue"]
        assert row["within_percent"] == rounded(100 * counts["within"], decided)


def test_months_are_those_of_the_providers_zone(asked: Asked, made: dict[str, list[data.Table]]) -> None:
    wanted = Counter(
        (row["area_id"], row["logged_at"].astimezone(ZONE).date().replace(day=1)) for row in all_complaints(made)
    )
    by_utc = Counter((row["area_id"], row["logged_at"].date().replace(day=1)) for row in all_complaints(made))
    assert wanted != by_utc  # so that the zone matters
    for zone in ("UTC", "Pacific/Auckland"):
        rows = asked("SELECT area_id, month, complaints FROM isp.area_months", zone)
        assert {(row["area_id"], row["month"]): row["complaints"] for row in rows} == wanted


def test_breaches_tell_the_field_at_once_and_management_later(asked: Asked) -> None:
    rows = asked(
        "SELECT token, level, technician, field_phone FROM isp.breaches WHERE token LIKE 'EDGE%' ORDER BY token, level"
    )
    told = [(row["token"], row["level"]) for row in rows]
    assert told == [
        ("EDGE-AGAIN", "field"),
        ("EDGE-AGAIN", "management"),
        ("EDGE-LATE", "field"),
        ("EDGE-MGMT", "field"),
        ("EDGE-MGMT", "management"),
    ]
    phones = {row["token"]: (row["technician"], row["field_phone"]) for row in rows}
    assert phones["EDGE-LATE"] == ("nobody", "+1-555-0140")  # an area without a desk of its own
    assert phones["EDGE-MGMT"] == ("nobody", "+1-555-0141")
    key = "SELECT token, level, expected_at FROM isp.breaches ORDER BY 1, 2"
    assert asked(key) == asked(key, "Asia/Tokyo")


def test_a_customer_without_history(asked: Asked) -> None:
    (row,) = asked(
        "SELECT c.* FROM isp.current_complaints c WHERE earlier_complaints = 0 AND technician_id IS NULL "
        "AND type = 'billing' ORDER BY logged_at DESC LIMIT 1"
    )
    assert (row["earlier_missed"], row["earlier_closed_at"], row["remark"], row["overdue"]) == (0, None, None, False)
    (page,) = asked(f"SELECT * FROM isp.complaint_page WHERE token = '{row['token']}'")
    assert (page["technician"], page["technician_complaints"], page["technician_within_percent"]) == (None, 0, None)
    assert page["forwarded_to"] is None
    assert page["steps"] == 1


def starts(day: dt.date) -> dict[str, dt.date]:
    """The first days of the periods that a day is in."""
    week = day - dt.timedelta(days=day.weekday())
    return {"day": day, "week": week, "month": day.replace(day=1), "year": day.replace(month=1, day=1)}


def following(period: str, start: dt.date) -> dt.date:
    later = start + dt.timedelta(days={"day": 1, "week": 7, "month": 32, "year": 367}[period])
    return starts(later)[period]


def used(made: dict[str, list[data.Table]]) -> dict[int, Counter[dt.date]]:
    """Megabytes both ways of each customer by the provider's day."""
    until = dict(found(made, "dwh", "loads").rows)["daily_usage"]
    days: dict[int, Counter[dt.date]] = defaultdict(Counter)
    for _, customer, day, down, up in found(made, "dwh", "daily_usage").rows:
        days[customer][day] += down + up
    for _, customer, hour, down, up in found(made, "network", "hourly_usage").rows:
        if hour.astimezone(ZONE).date() >= until:
            days[customer][hour.astimezone(ZONE).date()] += down + up
    return days


def test_usage_by_hand(asked: Asked, made: dict[str, list[data.Table]]) -> None:
    """Averages over whole periods, a period without use being 0; maxima over all."""
    remembered = min(row[2] for row in found(made, "dwh", "daily_usage").rows)
    days = used(made)
    names = {"day": "daily", "week": "weekly", "month": "monthly", "year": "yearly"}
    running = {"day": "today", "week": "this_week", "month": "this_month", "year": "this_year"}
    got = {row["customer_id"]: row for row in asked("SELECT * FROM isp.usage_figures")}
    lines = found(made, "network", "subscriptions").rows
    assert set(got) == {row[0] for row in lines}
    for customer, _, _, _, started, ended in lines:
        since, until = max(started, remembered), min(ended or TODAY.date(), TODAY.date())
        for period, name in names.items():
            sums: Counter[dt.date] = Counter()
            for day, megabytes in days[customer].items():
                sums[starts(day)[period]] += megabytes
            whole, at = [], since if starts(since)[period] == since else following(period, starts(since)[period])
            while following(period, at) <= until:
                whole.append(sums[at])
                at = following(period, at)
            row = got[customer]
            assert row[f"{name}_average_mb"] == rounded(sum(whole), len(whole)), (customer, period)
            assert row[f"{name}_maximum_mb"] == max(sums.values(), default=0)
            assert row[f"{running[period]}_mb"] == sums[starts(until)[period]]


def test_a_lookup_fetches_what_it_is_about(asked: Asked, made: dict[str, list[data.Table]]) -> None:
    (row,) = asked("SELECT token, customer_id FROM isp.current_complaints ORDER BY logged_at LIMIT 1")
    asked(f"SELECT * FROM isp.complaint_page WHERE token = '{row['token']}'")
    assert asked.rows_of("crm") <= 3
    assert asked.rows_of("dwh") < len(found(made, "dwh", "complaints").rows)
    lines = f"FROM isp.complaints c JOIN isp.usage_figures u USING (customer_id) WHERE c.token = '{row['token']}'"
    asked(f"SELECT c.token, u.* {lines}")
    assert asked.rows_of("network") <= 60
    assert 0 < asked.rows_of("dwh") < 1500


@pytest.mark.parametrize(("day", "hours"), [("2026-11-01", 25), ("2026-03-08", 23), ("2026-06-01", 24)])
def test_a_day_of_23_or_25_hours_is_one_day(day: str, hours: int, tmp_path: Path) -> None:
    first = dt.date.fromisoformat(day)
    midnight = dt.datetime.combine(first, dt.time(), ZONE).astimezone(dt.UTC)
    measured = {
        "usage_id": "int8!",
        "customer_id": "int8!",
        "hour": "timestamptz!",
        "down_mb": "int8!",
        "up_mb": "int8!",
    }
    summed = {"usage_id": "int8!", "customer_id": "int8!", "used_on": "date!", "down_mb": "int8!", "up_mb": "int8!"}
    rows = [(at, 7, midnight + at * HOUR, 1, 0) for at in range(-3, 30)]
    before = [(1, 7, first - dt.timedelta(days=1), 24, 0)]
    loads = data.Table(
        "loads", {"table_name": "text!", "loaded_until": "date!"}, "table_name", [("daily_usage", first)]
    )
    sqlite_files.write(tmp_path / "data" / "network.db", [data.Table("hourly_usage", measured, "usage_id", rows)])
    parquet_files.write(tmp_path / "data" / "warehouse", [data.Table("daily_usage", summed, "usage_id", before), loads])
    (tmp_path / "vdw.yml").write_text("name: days\n")
    (tmp_path / "views" / "isp").mkdir(parents=True)
    (tmp_path / "sources").mkdir()
    for source in ("network", "dwh"):
        text = (build.HERE / "sources" / f"{source}.yml").read_text("utf-8")
        (tmp_path / "sources" / f"{source}.yml").write_text(re.sub(r"(?m)^expose:.*\n", "", text))
    view = (build.HERE / "views" / "isp" / "usage_days.view.sql").read_text("utf-8")
    alone = re.sub(r"relations:.*?(?=---\*/)", "", view, flags=re.DOTALL)
    (tmp_path / "views" / "isp" / "usage_days.view.sql").write_text(alone)

    async def ask() -> list[Row]:
        async with open_project(tmp_path) as runtime:
            text = "SELECT used_on, total_mb, origin FROM isp.usage_days ORDER BY used_on"
            return (await (await runtime.engine.query(text, Session("analyst", timeout=60))).table()).to_pylist()

    assert [tuple(row.values()) for row in asyncio.run(ask())] == [
        (first - dt.timedelta(days=1), 24, "warehouse"),
        (first, hours, "network"),
        (first + dt.timedelta(days=1), 30 - hours, "network"),
    ]
