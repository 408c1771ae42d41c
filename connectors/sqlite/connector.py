"""SQLite files, read only, by the standard library's sqlite3.

Not by ADBC: its SQLite driver takes a column's type from the first rows, makes doubles of decimals, and has no way to
ask what a single value is; sqlite3 gives each value as it is stored (and a point lookup in 4 us against 63 us).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote as escape

import pyarrow as pa
from pydantic import Field

from connectors import arrow
from connectors.base import PING, Cancel, Profile, SourceQuery, Table
from connectors.errors import SourceError
from connectors.leases import Lease, Leases
from connectors.lists import listed
from connectors.reading import Reading, Step, aliased
from connectors.registry import ConnectionOptions
from connectors.sqlite import schema as sqlite_schema
from connectors.sqlite import statistics as sqlite_statistics
from connectors.sqlite.asking import Native
from connectors.sqlite.types import Misfit, decode, encode, text_or_bytes
from connectors.statistics import Key, TableStatistics
from connectors.stopping import stopping, timed_out
from connectors.transaction import Transaction
from connectors.types import PgType

BATCH_ROWS = 8192
_TICK = 20_000  # steps of SQLite's virtual machine between two looks at the clock; some 0.2 ms
_BUSY_SECONDS = 5.0
_PATIENCE = 60.0  # seconds for our own questions
_PROLOGUE = ("query_only = 1", "case_sensitive_like = 1", "schema_version")
_LOST = ("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_BUSY")
_UNDECODABLE = re.compile(r"Could not decode to UTF-8 column '(.*?)' with text", re.DOTALL)
# SCAN t, SCAN t USING INDEX i, SEARCH t USING INDEX i (a=?), SEARCH t USING INTEGER PRIMARY KEY (rowid=?)
_STEP = re.compile(r"(?P<how>SCAN|SEARCH) (?P<table>\S+)(?:.* USING (?P<index>.*?(?:INDEX|PRIMARY KEY) [^ (]*))?")
REMEDY = (
    "correct the value, or name the column's real type under connection: types: in the source's file "
    "(text, say) and convert it in a view"
)


class SqliteOptions(ConnectionOptions):
    """The `connection:` of a SQLite source."""

    path: str = Field(description="the database file; a relative path starts at the project folder")
    types: dict[str, str] = Field(
        default_factory=dict,
        description="declared types by table.column that replace the file's own, for columns whose declaration lies",
    )
    base_folder: str = Field(default=".", description="the project folder; set by vdw itself")


class SqliteConnector:
    """One SQLite file."""

    Options = SqliteOptions
    orphaned = 0.0  # it runs in our process

    def __init__(self, name: str, options: SqliteOptions) -> None:
        self.name = name
        self._types = options.types
        self._file = _File(Path(options.base_folder).joinpath(options.path).resolve())
        self._leases = Leases(name, options.pool_size)

    def profile(self) -> Profile:
        """Version and facts, asked of the library and the file."""
        with self._session(_PATIENCE, Cancel()) as connection:
            encoding = connection.execute("PRAGMA encoding").fetchone()[0]
            sensitive = connection.execute("SELECT 'a' LIKE 'A'").fetchone()[0] == 0
            arrays = connection.execute("SELECT value FROM json_each('[1]')").fetchone()[0] == 1
        facts = {"replica": False, "encoding": encoding, "case_sensitive_like": sensitive, "json_each": arrays}
        return Profile("sqlite", sqlite3.sqlite_version_info, facts)

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """Tables and views of the file; its one schema is called main."""
        if schemas and "main" not in schemas:
            return ()
        wanted = tuple(name.removeprefix("main.") for name in tables)
        with self._session(_PATIENCE, Cancel()) as connection:
            return tuple(sqlite_schema.read(Native(connection), self.name, wanted, self._types))

    def statistics(self, tables: Sequence[Table], known: Mapping[Key, TableStatistics]) -> dict[Key, TableStatistics]:
        """ANALYZE's averages and the ends of each index; a few lookups a table."""
        del known
        with self._session(_PATIENCE, Cancel()) as connection:
            return sqlite_statistics.read(Native(connection), tables)

    def explain(self, query: SourceQuery, *, timeout: float) -> Reading:
        """How SQLite would run it: which tables from end to end; it does not say how many rows."""
        text, values = said(query, self.name)
        with self._session(timeout, Cancel()) as connection:
            rows = connection.execute("EXPLAIN QUERY PLAN " + text, values).fetchall()
        return read_plan(text, [str(row[3]) for row in rows])

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """Stream one SELECT; its deadline is looked at inside SQLite too."""
        yield from self._run(None, query, timeout, cancel)

    def snapshot(self, *, timeout: float) -> Transaction | None:
        """See Connector; only in files with a write-ahead log: else an open transaction would keep writers waiting."""
        with self._session(timeout, Cancel()) as connection:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                return None

        def begin(lease: Lease) -> None:
            lease.session.connection.execute("BEGIN")
            lease.session.connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()

        leased = self._leases.lease(self._file, time.monotonic() + timeout, Cancel())
        return Transaction(leased, begin, self._run, lambda lease: lease.session.connection.execute("COMMIT"))

    def _run(self, held: Lease | None, query: SourceQuery, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        text, values = said(query, self.name)
        with self._session(timeout, cancel, held) as connection, contextlib.closing(connection.cursor()) as cursor:
            if query.unfit:
                connection.text_factory = text_or_bytes
            cursor.execute(text, values)
            rows = _fetch(cursor, query)
            yield batch(query, rows)
            while len(rows) == BATCH_ROWS:
                cancel.check()
                rows = _fetch(cursor, query)
                if rows:
                    yield batch(query, rows)

    def ping(self, timeout: float = PING) -> None:
        """Read the file's header."""
        with self._session(timeout, Cancel()) as connection:
            connection.execute("PRAGMA schema_version").fetchone()

    def close(self) -> None:
        """Close the connections."""
        self._leases.close()

    def modified(self) -> dt.datetime:
        """When the file, or its write-ahead log, last changed."""
        with self._errors(Cancel(), 0.0, 0.0):
            self._file.identity()
            return self._file.modified()

    @contextlib.contextmanager
    def _session(self, seconds: float, cancel: Cancel, held: Lease | None = None) -> Iterator[sqlite3.Connection]:
        """A connection for one statement; SQLite looks at the clock itself, which costs no thread."""
        deadline = time.monotonic() + seconds
        lent = self._leases.lease(self._file, deadline, cancel) if held is None else contextlib.nullcontext(held)
        with (
            self._errors(cancel, deadline, seconds),
            lent as lease,
            stopping(cancel, lease.session.connection.interrupt) as stopper,
        ):
            connection = lease.session.connection
            connection.execute(f"PRAGMA busy_timeout = {_milliseconds(seconds)}")
            connection.set_progress_handler(lambda: stopper.reason is not None or time.monotonic() >= deadline, _TICK)
            try:
                yield connection
            except GeneratorExit:  # the reader had enough: the statement is ended, the connection is sound
                pass
            finally:
                connection.set_progress_handler(None, 0)
                connection.text_factory = str

    @contextlib.contextmanager
    def _errors(self, cancel: Cancel, deadline: float, seconds: float) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "") in ("SQLITE_INTERRUPT", "SQLITE_BUSY"):
                cancel.check()
                if time.monotonic() >= deadline:
                    raise timed_out(self.name, seconds) from error
            raise _fault(error, f'source "{self.name}"') from error
        except SourceError as error:
            error.place = error.place or f'source "{self.name}"'
            raise


@dataclass(frozen=True, slots=True)
class _Opened:
    """A connection, and which file (device, inode) it is to."""

    connection: sqlite3.Connection
    identity: tuple[int, int]


class _File:
    """Opens connections to one file, and knows those whose file has been replaced (connectors.leases.Driver)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, seconds: float) -> _Opened:
        identity = self.identity()
        uri = f"file:{escape(str(self._path))}?mode=ro"
        connection = sqlite3.connect(
            uri, uri=True, timeout=_milliseconds(seconds) / 1000, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in _PROLOGUE:
                connection.execute(f"PRAGMA {pragma}").fetchall()
        except BaseException:
            connection.close()
            raise
        return _Opened(connection, identity)

    def alive(self, session: _Opened, idle: float) -> bool:  # noqa: ARG002 -- the protocol's signature
        """Whether the path still names the file that was opened (a new export replaces it by rename)."""
        try:
            return self.identity() == session.identity
        except SourceError:
            return False

    def close(self, session: _Opened) -> None:
        session.connection.close()

    def identity(self) -> tuple[int, int]:
        try:
            status = os.stat(self._path)  # noqa: PTH116 -- at each use: half the time of Path.stat
        except OSError as error:
            raise SourceError(
                f"the database file {self._path.name} cannot be read: {error.strerror}",
                sqlstate="08001",
                hint="check connection: path: in the source's file; a relative path starts at the project folder",
            ) from error
        return status.st_dev, status.st_ino

    def modified(self) -> dt.datetime:
        log = self._path.with_name(self._path.name + "-wal")
        latest = max(path.stat().st_mtime for path in (self._path, log) if path.exists())
        return dt.datetime.fromtimestamp(latest, dt.UTC)


def _milliseconds(seconds: float) -> int:
    """How long to wait for a writer's lock; SQLite cannot be interrupted meanwhile."""
    return int(max(min(seconds, _BUSY_SECONDS), 0.0) * 1000)


def said(query: SourceQuery, source: str) -> tuple[str, list[Any]]:
    """The statement with SQLite's placeholders, and what stands for them."""
    values = [encode(query.params[part], source) for part in query.parts if isinstance(part, int)]
    text = "".join(part if isinstance(part, str) else _mark(query, i) for i, part in enumerate(query.parts))
    return text, values


def _mark(query: SourceQuery, place: int) -> str:
    return "SELECT value FROM json_each(?)" if listed(query, place) else "?"


def _fetch(cursor: sqlite3.Cursor, query: SourceQuery) -> list[tuple[Any, ...]]:
    try:
        return cursor.fetchmany(BATCH_ROWS)
    except sqlite3.OperationalError as error:
        raise undecodable(error, cursor.description, query) or error from None


def undecodable(error: Exception, description: Sequence[Any], query: SourceQuery) -> SourceError | None:
    """The error of bytes that are no text, which names the column; None where it is of another kind."""
    named = _UNDECODABLE.search(str(error))  # only the name may be told: the text of the error quotes the value
    if named is None:
        return None
    at = [column[0] for column in description].index(named[1])
    return arrow.unfit(f"c{at}", "text that is not UTF-8", query.columns[at], REMEDY)


def batch(query: SourceQuery, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    """Rows of SQLite's own values as Arrow; HV004 where one does not fit."""
    return assembled(query, list(zip(*rows, strict=True)) if rows else [()] * len(query.columns))


def assembled(query: SourceQuery, columns: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    """Columns of SQLite's own values as Arrow; HV004 where one does not fit."""
    if len(columns) != len(query.columns):
        raise SourceError(f"{len(columns)} columns came where {len(query.columns)} were asked")
    return arrow.assembled(query, columns, lambda at, values: _column(at, values, query.columns[at]))


def read_plan(text: str, told: Sequence[str]) -> Reading:
    """The reading of what EXPLAIN QUERY PLAN tells of the statement `text`."""
    names = aliased(text)
    return Reading(tuple(_step(match, names) for line in told if (match := _STEP.match(line))), "\n".join(told))


def _step(line: re.Match[str], names: Mapping[str, str]) -> Step:
    index = line["index"] or ""
    whole = line["how"] == "SCAN" or index.startswith("AUTOMATIC")  # an index that is made for this one statement
    return Step(names.get(line["table"], line["table"]), None, "" if whole else index)


def _column(number: int, values: Sequence[Any], kind: PgType) -> pa.Array:
    where = f"c{number}"
    try:
        return arrow.conform(decode(values, kind), kind, where)
    except Misfit as misfit:
        raise arrow.unfit(where, misfit.found, kind, REMEDY) from misfit


def _fault(error: sqlite3.Error, place: str) -> SourceError:
    name, text = getattr(error, "sqlite_errorname", ""), str(error)
    return SourceError(
        f"SQLite says: {text}",
        sqlstate="08006" if name.startswith(_LOST) else "HV000",
        place=place,
        detail=name or type(error).__name__,
    )
