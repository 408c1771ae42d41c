"""What a person does about alerts: acknowledge, retry, drop, silence; on the file, whichever server sends."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

from api.watches.tables import NAME, opened, transaction
from connectors.errors import ConfigError, Error

DEEDS = ("acknowledge", "retry", "drop", "silence", "unsilence")
LEAST = 6  # characters of an id that name it
LISTED = 1_000
_ASIDE = ("failed", "held")


def standing(folder: Path, watch: str = "", state: str = "", most: int = LISTED) -> list[dict[str, Any]]:
    """The alerts of a state folder, the newest first; those of a watch, or in a state, only. `open` stands for all that
    wait or are put aside. ConfigError where there is no file."""
    states = {"": "", "open": " AND state IN ('pending', 'sending', 'failed', 'held')"}.get(state, " AND state = ?")
    given = [watch, watch, *([state] if states.endswith("?") else []), most]
    query = f"SELECT * FROM delivery WHERE (? = '' OR watch = ?){states} ORDER BY seq DESC LIMIT ?"  # noqa: S608
    with _file(folder, write=False) as connection:
        return [dict(row) for row in connection.execute(query, given)]


def do(folder: Path, deed: str, target: str, by: str, seconds: float | None = None, reason: str = "") -> str:
    """Do it to an alert (by its id, or the beginning of it) or to all of a watch; what was done, for people. Error
    where there is none of that name, ConfigError where there is no file."""
    with _file(folder, write=True) as connection, transaction(connection):
        if deed in ("silence", "unsilence"):
            return _silence(connection, deed, target, by, seconds, reason)
        where, given, what = _meant(connection, target)
        if deed == "acknowledge":
            return _acknowledge(connection, where, given, what, by)
        states = _ASIDE if deed == "retry" else (*_ASIDE, "pending")
        marks = ", ".join("?" for _ in states)
        now = time.time()
        change = "'pending', attempts = 0, due = ?, created = ?, settled = NULL"
        if deed == "drop":
            change = "'dropped', settled = ?, error = 'dropped by ' || ?"
        values = (now, now if deed == "retry" else by)
        done = connection.execute(
            f"UPDATE delivery SET state = {change} WHERE {where} AND state IN ({marks})",  # noqa: S608
            (*values, *given, *states),
        ).rowcount
    verb = "sent again" if deed == "retry" else "dropped"
    return f"{done} of {what}: {verb}" if done else f"nothing of {what} is put aside" + (" or waits" * (deed == "drop"))


def _acknowledge(connection: sqlite3.Connection, where: str, given: tuple[str, ...], what: str, by: str) -> str:
    done = connection.execute(
        f"UPDATE breach SET acknowledged = ?, by = ? WHERE cleared IS NULL AND acknowledged IS NULL "  # noqa: S608
        f"AND id IN (SELECT breach FROM delivery WHERE {where})",
        (time.time(), by, *given),
    ).rowcount
    return f"{done} of {what}: acknowledged" if done else f"nothing of {what} is in breach and unacknowledged"


def _silence(
    connection: sqlite3.Connection, deed: str, target: str, by: str, seconds: float | None, reason: str
) -> str:
    watch, key = _silenced(connection, target)
    what = f"watch {watch}" + (f", {key}" if key else "")
    if deed == "unsilence":
        done = connection.execute("DELETE FROM silence WHERE watch = ? AND key = ?", (watch, key)).rowcount
        return f"{what} is told of again" if done else f"{what} was not silenced"
    if seconds is None:
        raise Error("how long is it to be silent?", sqlstate="22023", hint="add --for, such as --for 2h")
    row = (watch, key, time.time() + seconds, by, reason)
    connection.execute("INSERT OR REPLACE INTO silence VALUES (?, ?, ?, ?, ?)", row)
    return f"{what} is silent; what still lasts then is told"


def _silenced(connection: sqlite3.Connection, target: str) -> tuple[str, str]:
    """A watch, or one of its breaches."""
    if connection.execute("SELECT 1 FROM watch WHERE name = ?", (target,)).fetchone():
        return target, ""
    where, given, _ = _meant(connection, target)
    (found,) = connection.execute(f"SELECT watch, key FROM delivery WHERE {where} LIMIT 1", given)  # noqa: S608
    return found["watch"], found["key"]


def _meant(connection: sqlite3.Connection, target: str) -> tuple[str, tuple[str, ...], str]:
    """The condition of a target, its values, and how to call it."""
    if connection.execute("SELECT 1 FROM delivery WHERE watch = ?", (target,)).fetchone():
        return "watch = ?", (target,), f"watch {target}"
    found = [] if len(target) < LEAST else _ids(connection, target)
    if len(found) == 1:
        return "id = ?", (found[0],), f"alert {found[0]}"
    hint = f"vdw alerts lists them; an id can be cut to {LEAST} characters or more."
    if found:
        raise Error(f'"{target}" is the beginning of {len(found)} alerts', sqlstate="42725", hint=hint)
    raise Error(f'there is no alert and no watch with alerts "{target}"', sqlstate="42704", hint=hint)


def _ids(connection: sqlite3.Connection, start: str) -> list[str]:
    found = connection.execute("SELECT id FROM delivery WHERE substr(id, 1, ?) = ?", (len(start), start.lower()))
    return [id for (id,) in found]


@contextlib.contextmanager
def _file(folder: Path, write: bool) -> Any:
    if not (folder / NAME).exists():
        raise ConfigError(f"no server has watched yet: there is no {NAME} in {folder}", place="vdw.yml, state")
    try:
        with contextlib.closing(opened(folder, write)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise Error(f"the file of alerts cannot be used: {error}", sqlstate="58030") from None
