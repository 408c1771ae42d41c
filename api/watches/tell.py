"""The rows of vdw.watches, vdw.breaches and vdw.alerts, for one who asks; out of the file, whoever writes it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from api.watches.tables import NAME, opened
from connectors.errors import Error
from federation.operations.system import Row, Visitor
from views.watches import QUERY, file_of

MOST = 100_000  # rows of a table, the newest
_WATCHES = """SELECT w.*, (SELECT count(*) FROM breach AS b WHERE b.watch = w.name AND b.cleared IS NULL) AS breaches,
(SELECT count(*) FROM delivery AS d WHERE d.watch = w.name AND d.state IN ('pending', 'sending')) AS pending,
(SELECT count(*) FROM delivery AS d WHERE d.watch = w.name AND d.state IN ('failed', 'held')) AS put_aside,
(SELECT until FROM silence AS s WHERE s.watch = w.name AND s.key = '' AND until > unixepoch()) AS silenced_until
FROM watch AS w"""
_BREACHES = """SELECT b.*, (SELECT relied FROM watch AS w WHERE w.name = b.watch) AS relied FROM breach AS b
ORDER BY b.id DESC LIMIT ?"""
_ALERTS = "SELECT * FROM delivery ORDER BY seq DESC LIMIT ?"


def makers(runtime: Any) -> Mapping[str, Callable[[Visitor], Awaitable[Iterable[Row]]]]:
    """By the tables' names."""
    return {
        "watches": partial(_told, runtime, _watches, _WATCHES, ()),
        "breaches": partial(_told, runtime, _breaches, _BREACHES, (MOST,)),
        "alerts": partial(_told, runtime, _alerts, _ALERTS, (MOST,)),
    }


async def _told(
    runtime: Any,
    made: Callable[[Any, list[sqlite3.Row], Visitor], Iterable[Row]],
    sql: str,
    given: tuple[int, ...],
    visitor: Visitor,
) -> Iterable[Row]:
    folder = runtime.project.folder / runtime.project.file.state
    return made(runtime, await asyncio.to_thread(_read, folder, sql, given), visitor)


def _read(folder: Path, sql: str, given: tuple[int, ...]) -> list[sqlite3.Row]:
    if not (folder / NAME).exists():
        return []
    try:
        with contextlib.closing(opened(folder, write=False)) as connection:
            return connection.execute(sql, given).fetchall()
    except sqlite3.Error as error:
        raise Error(f"the file of alerts cannot be read: {error}", sqlstate="58030") from None


def _may(runtime: Any, visitor: Visitor) -> Callable[[str], bool]:
    """Whether a watch is for the visitor: all that its query reads has to be; of one that is none any more nobody
    knows what it read."""

    def may(name: str) -> bool:
        statement = runtime.statements.get((file_of(name), QUERY))
        return visitor.admin or (
            statement is not None and all(visitor.may_read(f"{schema}.{one}") for schema, one in statement.relations)
        )

    return may


def _watches(runtime: Any, found: list[sqlite3.Row], visitor: Visitor) -> Iterable[Row]:
    may, known = _may(runtime, visitor), {row["name"]: row for row in found}
    faults = {one.file: str(one) for one in reversed(runtime.diagnostics) if one.severity == "error"}
    broken = {file[len("watches/") : -len(".yml")] for file in faults if file.startswith("watches/")}
    for name in sorted({*runtime.project.watches, *broken}):
        if not may(name):
            continue
        watch, row = runtime.project.watches.get(name), known.get(name)
        told: dict[str, Any] = {"state": "waiting", "reason": "it was not asked yet"} if row is None else dict(row)
        if file_of(name) in faults:
            told |= {"state": "failed", "reason": faults[file_of(name)]}
        yield {
            **told,
            "name": name,
            "reason": told["reason"] or None,
            "description": watch.description or None if watch is not None else None,
            "owner": watch.owner or None if watch is not None else None,
            "every": watch.every if watch is not None else None,
            "username": watch.user if watch is not None else None,
            "observe": watch.observe if watch is not None else None,
        }


def _breaches(runtime: Any, found: list[sqlite3.Row], visitor: Visitor) -> Iterable[Row]:
    may = _may(runtime, visitor)
    for row in found:
        if may(row["watch"]):
            lasting = row["cleared"] is None and row["absent"] is None
            told = {name: row[name] for name in ("id", "watch", "key", "since", "cleared", "acknowledged")}
            seen = max(row["seen"], row["relied"] or 0.0) if lasting else row["seen"]
            yield {**told, "seen": seen, "acknowledged_by": row["by"], "data": row["document"]}


def _alerts(runtime: Any, found: list[sqlite3.Row], visitor: Visitor) -> Iterable[Row]:
    may = _may(runtime, visitor)
    for row in found:
        if may(row["watch"]):
            told = {**dict(row), "unsure": bool(row["unsure"])}
            if not visitor.admin:
                told |= {"address": None, "error": None, "reference": None}
            yield told | {"error": told["error"] or None, "reference": told["reference"] or None}
