"""Complaints at an internet provider: one complaint's page, who keeps to the time allowed, usage, and an alert."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import sqlite3
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import RawCursor

from examples.crm.printing import table
from examples.crm.tour import Desk, Graphql, Live, Oracle, Question, Sql

TITLE = "Complaints at an internet provider"
TOKEN = "DEMO-2345"  # of the complaint that is logged while the tour looks on
WAIT = 40.0  # seconds that an alert may take

# An open complaint that was forwarded, of a customer with a history.
BUSY = """
SELECT p.token FROM isp.complaint_page p JOIN isp.current_complaints c USING (token)
WHERE p.technician_id IS NOT NULL
ORDER BY p.forwarded_to IS NOT NULL DESC, c.earlier_complaints DESC, p.token
LIMIT 1"""

PAGE = """\
SELECT full_name, title, channel, area, technician, status, outcome, logged_at, expected_at, forwarded_to, remarks,
       area_complaints, area_within_percent, technician_complaints, technician_within_percent
FROM isp.complaint_page
WHERE token = $1"""

WORST = """\
SELECT full_name, complaints, within, late, overdue, running, within_percent
FROM isp.technician_figures
ORDER BY within_percent NULLS LAST, technician_id
LIMIT 5"""

CUSTOMER = """\
query ($token: String!) {
  ispComplaintsByKey(token: $token) {
    status outcome
    area { name }
    technician { fullName figures { complaints withinPercent } }
    history(orderBy: [{stepId: asc}]) { status forwardedTo remark }
    usage { todayMb dailyAverageMb dailyMaximumMb monthlyAverageMb yearlyAverageMb }
  }
}"""

CUSTOMER_SQL = """\
SELECT json_build_object('ispComplaintsByKey', json_build_object(
    'status', c.status,
    'outcome', c.outcome,
    'area', (SELECT json_build_object('name', a.name) FROM isp.areas a WHERE a.area_id = c.area_id),
    'technician', (SELECT json_build_object('fullName', t.full_name, 'figures',
                       json_build_object('complaints', t.complaints::text, 'withinPercent', t.within_percent::text))
                   FROM isp.technician_figures t WHERE t.technician_id = c.technician_id),
    'history', (SELECT json_agg(json_build_object('status', s.status, 'forwardedTo', s.forwarded_to,
                    'remark', s.remark) ORDER BY s.step_id) FROM isp.complaint_steps s WHERE s.token = c.token),
    'usage', (SELECT json_build_object('todayMb', u.today_mb::text, 'dailyAverageMb', u.daily_average_mb::text,
                  'dailyMaximumMb', u.daily_maximum_mb::text, 'monthlyAverageMb', u.monthly_average_mb::text,
                  'yearlyAverageMb', u.yearly_average_mb::text)
              FROM isp.usage_figures u WHERE u.customer_id = c.customer_id)))
FROM isp.complaints c
WHERE c.token = $1"""

FIGURES = """\
SELECT complaints, late, overdue, within_percent FROM isp.technician_figures WHERE technician_id = $1"""
STANDS = "SELECT status, outcome FROM isp.complaint_page WHERE token = $1"


def questions(oracle: Oracle) -> list[Question]:
    """About one open complaint, the technicians, and a complaint that comes, passes its time and is solved."""
    found = oracle.execute(BUSY).fetchone()
    token = found[0] if found else ""
    return [
        Sql(
            "One complaint's page",
            f"Somebody calls about {token}: what it is, what was done, what area and technician achieved in the last "
            "three months. The complaint desk, the CRM and the warehouse are asked.",
            PAGE,
            (token,),
        ),
        Sql(
            "Who solves in time",
            "Complaints of the last 90 days, live and archived: solved by the time expected, of all that are solved or "
            "overdue.",
            WORST,
        ),
        Graphql(
            "The same complaint to an application, with the line's usage",
            "Steps in order, the technician's figures, and what the line carried: today live, else from the warehouse.",
            CUSTOMER,
            {"token": token},
            CUSTOMER_SQL,
        ),
        Live(
            "A complaint passes its time, and is solved",
            "It is logged now, with seconds left. When they have passed the technician gets one SMS; management, whose "
            "time has not come, gets nothing. Then it is solved, too late, and the figures say so at once.",
            _passing,
        ),
    ]


async def _passing(desk: Desk, oracle: Oracle) -> str:
    technician, phone = _somebody(oracle)
    before = await _ask(desk, FIGURES, technician)
    due = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(seconds=6)
    await asyncio.to_thread(log, desk.folder, oracle, technician, due)
    logged = await _live(desk, technician)
    told = await _alerted(desk, phone, due)
    overdue = await _live(desk, technician)
    await asyncio.to_thread(solve, desk.folder, oracle)
    solved = await _live(desk, technician)
    with RawCursor(oracle) as cursor:
        wanted = cursor.execute(FIGURES.encode(), (technician,)).fetchone()
    rows = [("before", "", "", *before[0])]
    rows += [(said, *state) for said, state in (("logged", logged), ("past its time", overdue), ("solved", solved))]
    names = ("", "status", "outcome", "complaints", "late", "overdue", "within %")
    desk.console.print(table(names, rows))
    states = [logged[:2], overdue[:2], solved[:2]]
    expected = [("logged", "running"), ("logged", "overdue"), ("solved", "late")]
    if states != expected or tuple(solved[2:]) != tuple(wanted or ()):
        return f"{states}, {solved[2:]}, expected {expected}, {wanted}"
    return told


async def _live(desk: Desk, technician: int) -> tuple[Any, ...]:
    """How the complaint stands and what the technician's figures are, of this moment."""
    stands = await _ask(desk, f"/* vdw: max_age=live, dwh=1d */ {STANDS}", TOKEN)
    figures = await _ask(desk, f"/* vdw: max_age=live, dwh=1d */ {FIGURES}", technician)
    return (*stands[0], *figures[0])


async def _alerted(desk: Desk, phone: str, due: dt.datetime) -> str:
    """Waits for the alert; '' where the right ones came, once each, and not before its time."""
    late = due + dt.timedelta(seconds=1)  # the desk counts whole seconds: what is solved in that of `due` is in time
    await asyncio.sleep(max(0.0, (late - dt.datetime.now(dt.UTC)).total_seconds()) + 0.1)
    inbox = desk.server.inbox
    if inbox is None:
        return ""
    started = time.monotonic()
    while not (inbox.about(TOKEN, "sms") and inbox.about(TOKEN, "desk")):
        if time.monotonic() - started > WAIT:
            return f"no alert within {WAIT:g} s"
        await asyncio.sleep(0.1)
    came = inbox.about(TOKEN)
    for one in came:
        desk.console.print(f"  {one.channel} to {one.to or 'its URL'}: {one.text}", markup=False)
    right = sorted((one.channel, one.to) for one in came) == [("desk", ""), ("sms", phone)]
    return "" if right else f"alerts {came}"


def _somebody(oracle: Oracle) -> tuple[int, str]:
    """A technician with complaints and a telephone."""
    found = oracle.execute(
        "SELECT f.technician_id, t.phone FROM isp.technician_figures f JOIN isp.technicians t USING (technician_id) "
        "WHERE t.phone IS NOT NULL ORDER BY f.complaints DESC, f.technician_id LIMIT 1"
    ).fetchone()
    if found is None:
        raise psycopg.DataError("there is no technician with a telephone")
    return int(found[0]), str(found[1])


def log(folder: Path, oracle: Oracle, technician: int, due: dt.datetime) -> None:
    """The desk logs a complaint whose time ends at `due`; the oracle learns of it too."""
    line = oracle.execute("SELECT customer_id, area_id FROM network.subscriptions ORDER BY customer_id").fetchone()
    logged, (customer, area) = due - dt.timedelta(minutes=480), line or (0, 1)
    what = (TOKEN, customer, "no_connection", "call", area, technician)
    complaint = (*what, "logged", _text(logged), _text(due), 480, None)
    step = (10**9, TOKEN, _text(logged), "logged", "call", None, "Since the storm")
    with _desk(folder) as connection:
        for name in ("steps", "complaints"):
            connection.execute(f"DELETE FROM {name} WHERE token = ?", (TOKEN,))  # of an earlier tour
            oracle.execute(f"DELETE FROM complaints.{name} WHERE token = %s".encode(), (TOKEN,))
        for name, row in (("complaints", complaint), ("steps", step)):
            marks = ["?"] * len(row)
            connection.execute(f"INSERT INTO {name} VALUES ({', '.join(marks)})", row)
            oracle.execute(f"INSERT INTO complaints.{name} VALUES ({', '.join(['%s'] * len(row))})".encode(), row)


def solve(folder: Path, oracle: Oracle) -> None:
    """The technician closes it."""
    now = _text(dt.datetime.now(dt.UTC))
    text = "UPDATE complaints SET status = 'solved', closed_at = ? WHERE token = ?"
    with _desk(folder) as connection:
        connection.execute(text, (now, TOKEN))
    oracle.execute(b"UPDATE complaints.complaints SET status = 'solved', closed_at = %s WHERE token = %s", (now, TOKEN))


@contextlib.contextmanager
def _desk(folder: Path) -> Any:
    """The complaint desk's own connection."""
    file = (folder / "data" / "complaints.db").resolve()
    with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        yield connection


def _text(instant: dt.datetime) -> str:
    """As the desk's database spells instants."""
    return instant.replace(microsecond=0).isoformat(sep=" ")


async def _ask(desk: Desk, text: str, *params: Any) -> list[tuple[Any, ...]]:
    async with psycopg.AsyncRawCursor(desk.connection) as cursor:
        await cursor.execute(text.encode(), params)
        return await cursor.fetchall()
