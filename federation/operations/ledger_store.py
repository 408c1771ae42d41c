"""The ledger's file: SQLite, so that several servers may add to it and a command may read it while none runs."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

NAME = "ledger.db"
KEPT = 7 * 86_400  # seconds for which minutes are kept
MOST = 2_000_000  # rows; the oldest minutes go first
BUSY = 5.0  # seconds to wait for another server's writing

Shape = tuple[str, str, str, str, str, str]  # source, views, user, protocol, fingerprint, kind
SHAPE = ("source", "views", "user", "protocol", "fingerprint", "kind")


@dataclass(slots=True)
class Spent:
    """What was asked of one source in one way: `statements` that were sent, their rows, bytes (in Arrow) and ms, the ms
    that they waited for their turn; `errors`; and what was not sent: answers from the cache (`hits`), of a run for
    another (`shared`), `stale` ones, those `contained` in kept ones, and the ms that all these would have taken."""

    statements: int = 0
    rows: int = 0
    bytes: int = 0
    ms: float = 0.0
    waited: float = 0.0
    errors: int = 0
    hits: int = 0
    shared: int = 0
    stale: int = 0
    contained: int = 0
    saved_ms: float = 0.0

    def add(self, other: Spent) -> None:
        """Both together."""
        for name in FIGURES:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def values(self) -> tuple[float, ...]:
        """In the order of `FIGURES`."""
        return tuple(getattr(self, name) for name in FIGURES)

    @property
    def saved(self) -> int:
        """Statements that were not sent."""
        return self.hits + self.shared + self.stale + self.contained


FIGURES = tuple(one.name for one in fields(Spent))


@dataclass(slots=True)
class Peak:
    """The most of a minute: statements in flight, waiting, and begun within one second."""

    in_flight: int = 0
    waiting: int = 0
    rate: int = 0

    def raise_to(self, in_flight: int, waiting: int, rate: int) -> None:
        """The greater of both, each."""
        self.in_flight = max(self.in_flight, in_flight)
        self.waiting = max(self.waiting, waiting)
        self.rate = max(self.rate, rate)


@dataclass(slots=True)
class Page:
    """What happened since the last page: by minute (seconds since the epoch) and shape; refusals by their reason;
    texts by fingerprint, still with their literals; peaks by minute and source; and `told`, what else a source's
    guards have to say, by (source, what)."""

    spent: dict[tuple[int, Shape], Spent] = field(default_factory=dict)
    refused: dict[tuple[int, Shape, str], int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    peaks: dict[tuple[int, str], Peak] = field(default_factory=dict)
    told: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.spent or self.refused or self.peaks or self.told)

    def add(self, other: Page) -> None:
        """What is in a later page, too."""
        for key, spent in other.spent.items():
            self.spent.setdefault(key, Spent()).add(spent)
        for why, count in other.refused.items():
            self.refused[why] = self.refused.get(why, 0) + count
        for at, peak in other.peaks.items():
            self.peaks.setdefault(at, Peak()).raise_to(peak.in_flight, peak.waiting, peak.rate)
        self.texts |= other.texts
        self.told |= other.told


_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS shape (id INTEGER PRIMARY KEY, {", ".join(f'"{name}" TEXT NOT NULL' for name in SHAPE)},
  UNIQUE ({", ".join(f'"{name}"' for name in SHAPE)}));
CREATE TABLE IF NOT EXISTS spent (minute INTEGER, shape INTEGER, {", ".join(f"{name} NOT NULL" for name in FIGURES)},
  PRIMARY KEY (minute, shape)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refused (minute INTEGER, shape INTEGER, why TEXT, count INTEGER NOT NULL,
  PRIMARY KEY (minute, shape, why)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS text (fingerprint TEXT PRIMARY KEY, sql TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS peak (minute INTEGER, source TEXT, server TEXT, in_flight INTEGER NOT NULL,
  waiting INTEGER NOT NULL, rate INTEGER NOT NULL, PRIMARY KEY (minute, source, server)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told (source TEXT, what TEXT, server TEXT, at INTEGER NOT NULL, facts TEXT NOT NULL,
  PRIMARY KEY (source, what, server)) WITHOUT ROWID;
"""
_LISTED = ", ".join(f'"{name}"' for name in SHAPE)
_ADD_SHAPE = f"INSERT INTO shape ({_LISTED}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"  # noqa: S608
_FIND_SHAPE = "SELECT id FROM shape WHERE " + " AND ".join(f'"{name}" = ?' for name in SHAPE)  # noqa: S608
_ADD = f"""INSERT INTO spent VALUES (?, ?, {", ".join("?" for _ in FIGURES)}) ON CONFLICT DO UPDATE SET
{", ".join(f"{name} = {name} + excluded.{name}" for name in FIGURES)}"""  # noqa: S608
_REFUSE = "INSERT INTO refused VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
_PEAK = """INSERT INTO peak VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
in_flight = max(in_flight, excluded.in_flight), waiting = max(waiting, excluded.waiting),
rate = max(rate, excluded.rate)"""
_READ = f"""SELECT s.minute, {", ".join(f'k."{name}"' for name in SHAPE)}, {", ".join(f"s.{name}" for name in FIGURES)}
FROM spent AS s JOIN shape AS k ON k.id = s.shape WHERE s.minute >= ? AND s.minute < ?"""  # noqa: S608
_READ_REFUSED = f"""SELECT r.minute, {", ".join(f'k."{name}"' for name in SHAPE)}, r.why, r.count
FROM refused AS r JOIN shape AS k ON k.id = r.shape WHERE r.minute >= ? AND r.minute < ?"""  # noqa: S608


class Store:
    """One ledger, of one thread at a time. `folder` None keeps it in memory."""

    def __init__(self, folder: Path | None, server: str = "") -> None:
        self._server = server
        self._connection = _opened(folder)

    def add(self, page: Page) -> None:
        """Write a page, all of it or (sqlite3.Error) nothing."""
        with _transaction(self._connection) as connection:
            shapes = {shape for _, shape in page.spent} | {shape for _, shape, _ in page.refused}
            ids = {shape: _number(connection, shape) for shape in shapes}  # another server may have pruned: ask anew
            connection.executemany(_ADD, [(m, ids[s], *spent.values) for (m, s), spent in page.spent.items()])
            connection.executemany(_REFUSE, [(m, ids[s], why, n) for (m, s, why), n in page.refused.items()])
            connection.executemany("INSERT OR IGNORE INTO text VALUES (?, ?)", page.texts.items())
            peaks = [(m, s, self._server, p.in_flight, p.waiting, p.rate) for (m, s), p in page.peaks.items()]
            connection.executemany(_PEAK, peaks)
            told = [(s, what, self._server, json.dumps(facts)) for (s, what), facts in page.told.items()]
            connection.executemany("INSERT OR REPLACE INTO told VALUES (?, ?, ?, unixepoch(), ?)", told)

    def prune(self, now: float, kept: float = KEPT, most: int = MOST) -> None:
        """Forget minutes that are older than `kept` seconds; of more than `most` rows, the older half."""
        with _transaction(self._connection) as connection:
            oldest = int(now - kept)
            (rows,) = connection.execute("SELECT count(*) FROM spent").fetchone()
            if rows > most:
                found = connection.execute("SELECT minute FROM spent ORDER BY minute LIMIT 1 OFFSET ?", (rows // 2,))
                oldest = max(oldest, found.fetchone()[0])
            for table in ("spent", "refused", "peak"):
                connection.execute(f"DELETE FROM {table} WHERE minute < ?", (oldest,))  # noqa: S608
            connection.execute("DELETE FROM told WHERE at < ?", (oldest,))
            connection.execute(
                "DELETE FROM shape WHERE id NOT IN (SELECT shape FROM spent UNION SELECT shape FROM refused)"
            )
            connection.execute("DELETE FROM text WHERE fingerprint NOT IN (SELECT fingerprint FROM shape)")

    def read(self, since: float, until: float) -> Record:
        """All that happened in the minutes that began between both (seconds since the epoch)."""
        span = (int(since), int(until))
        with _transaction(self._connection, "BEGIN") as connection:
            wide = len(SHAPE) + 1
            spent = [(r[0], r[1:wide], Spent(*r[wide:])) for r in connection.execute(_READ, span)]
            refused = [(r[0], r[1:wide], r[wide], r[wide + 1]) for r in connection.execute(_READ_REFUSED, span)]
            asked = {shape[4] for _, shape, _ in spent} | {shape[4] for _, shape, _, _ in refused}
            texts = {k: v for k, v in connection.execute("SELECT fingerprint, sql FROM text") if k in asked}
            peaks = connection.execute(
                "SELECT minute, source, sum(in_flight), sum(waiting), sum(rate) FROM peak "
                "WHERE minute >= ? AND minute < ? GROUP BY minute, source",
                span,
            ).fetchall()
            told = connection.execute("SELECT source, what, server, facts FROM told WHERE at >= ?", span[:1]).fetchall()
        facts = [(source, what, server, json.loads(text)) for source, what, server, text in told]
        return Record(spent, refused, texts, [(m, s, Peak(*rest)) for m, s, *rest in peaks], facts)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Record:
    """What a ledger has of some minutes, all servers' together."""

    spent: Sequence[tuple[int, Shape, Spent]]
    refused: Sequence[tuple[int, Shape, str, int]]
    texts: Mapping[str, str]
    peaks: Sequence[tuple[int, str, Peak]]
    told: Sequence[tuple[str, str, str, Any]] = ()


def _opened(folder: Path | None) -> sqlite3.Connection:
    target = ":memory:" if folder is None else str(folder / NAME)
    connection = sqlite3.connect(target, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a crash of the machine may take the last commits
        with _transaction(connection):
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def _number(connection: sqlite3.Connection, shape: Shape) -> int:
    connection.execute(_ADD_SHAPE, shape)
    (number,) = connection.execute(_FIND_SHAPE, shape).fetchone()
    return int(number)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
    connection.execute(begin)
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
