"""Real SQLite files as sources for the tests of the engine, and a tap on them: hold, fail, count, see what stopped."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from connectors import registry
from connectors.base import PING, Bound, Cancel, Connector, Profile, SourceQuery, Table
from connectors.errors import Error
from connectors.types import PgType
from planner.plan import Fragment, SourceText, Value
from views.catalog import Catalog, Limits, Source, View

INT8, TEXT = PgType("int8"), PgType("text")


def sqlite(folder: Path, name: str, script: str) -> Connector:
    """A SQLite file made by `script`, as a source."""
    path = folder / f"{name}.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return registry.connect("sqlite", name, {"path": str(path), "pool_size": 16})


def numbers(folder: Path, name: str = "crm", rows: int = 10) -> Connector:
    """A source with the table t(id, name): 0 .. rows-1, and the id as text."""
    return sqlite(
        folder,
        name,
        f"""CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {rows})
        INSERT INTO t SELECT i, 'name ' || i FROM n WHERE {rows} > 0;""",
    )


@dataclass
class Tapped:
    """A connector with a tap: statements wait at `gate`, and what happens to them is counted."""

    inner: Connector
    fault: Error | None = None  # what every statement ends with
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[SourceQuery] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    running: int = 0
    most: int = 0
    stopped: int = 0
    ended: int = 0
    batches: int = 0
    closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.gate.set()

    __hash__ = object.__hash__

    @property
    def name(self) -> str:
        return self.inner.name

    def profile(self) -> Profile:
        return self.inner.profile()

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        return self.inner.tables(schemas, tables)

    def ping(self, timeout: float = PING) -> None:
        self.inner.ping(timeout)

    def modified(self) -> dt.datetime:
        return self.inner.modified()  # type: ignore[attr-defined, no-any-return]

    def close(self) -> None:
        self.closed = True
        self.inner.close()

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        with self.lock:
            self.asked.append(query)
            self.timeouts.append(timeout)
            self.running += 1
            self.most = max(self.most, self.running)
        finished = False
        try:
            while not self.gate.wait(0.002):
                cancel.check()
            if self.fault is not None:
                raise self.fault
            with contextlib.closing(self.inner.execute(query, timeout=timeout, cancel=cancel)) as rows:  # type: ignore[type-var]
                for batch in rows:
                    self.batches += 1
                    yield batch
            finished = True
        finally:
            with self.lock:
                self.running -= 1
                self.ended += 1
                self.stopped += not finished


def catalog(
    names: Mapping[str, Limits],
    ttl: float = 0.0,
    views: Mapping[tuple[str, str], View] | None = None,
    version: str = "1",
) -> Catalog:
    """A catalog of these sources."""
    sources = {name: Source(name, "sqlite", None, limits, ttl, {"kind": "live"}) for name, limits in names.items()}
    return Catalog(sources, {}, dict(views or {}), version)


def fragment(
    number: int,
    source: str,
    sql: str,
    columns: Mapping[str, PgType],
    params: tuple[Value, ...] = (),
) -> Fragment:
    """A fragment of SQL in which `?` stands for the parameters, in their order, and braces around keys' predicates."""
    parts: list[str | int] = []
    optional: list[tuple[int, int]] = []
    first = used = 0
    for piece in filter(None, re.split(r"([?{}])", sql)):
        if piece == "{":
            first = len(parts)
        elif piece == "}":
            optional.append((first, len(parts)))
        else:
            parts.append(used if piece == "?" else piece)
            used += piece == "?"
    text = SourceText(tuple(parts), params, tuple(optional))
    return Fragment(id=number, source=source, text=text, columns=tuple(columns.items()))


def int8(value: int) -> Bound:
    """A bigint."""
    return Bound(INT8, value)


def wait_for(condition: object, seconds: float = 10.0) -> None:
    """Until `condition()` is true; for what another thread does. Fails the test when it never is."""
    end = time.monotonic() + seconds
    assert callable(condition)
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)
