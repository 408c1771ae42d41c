"""Sources of kind template. HERE marks what another engine has otherwise; as it stands, it reads SQLite files."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from connectors import arrow
from connectors.base import PING, Bound, Cancel, Collation, Column, Profile, SourceQuery, Table
from connectors.errors import SourceError
from connectors.leases import Leases
from connectors.lists import listed
from connectors.registry import ConnectionOptions
from connectors.stopping import Stopper, stopping, timed_out
from connectors.types import PgType

ASK = 60.0  # seconds for our own questions
ROWS = 4096  # rows that are Python objects at once
NOTHING = "SELECT NULL WHERE FALSE"  # an empty list: IN (NULL) would be NULL, which NOT IN must not be
# HERE: the engine's types, as those of PostgreSQL that hold every value. One that is not known is text, never left out.
TYPES = {"INTEGER": PgType("int8"), "REAL": PgType("float8"), "TEXT": PgType("text"), "BLOB": PgType("bytea")}
# HERE: the classes of Python's that the driver gives for them; any other is an error, for pyarrow would make 1 of 1.5.
CLASSES = {"int8": int, "int4": int, "float8": float, "text": str, "bytea": bytes}


class TemplateOptions(ConnectionOptions):
    """HERE: the `connection:` of a source of kind template. A password is a pydantic.SecretStr."""

    path: str = Field(description="the database file; relative to the project folder")
    base_folder: str = Field(".", description="the project folder; set by vdw itself")


class TemplateConnector:
    """One database; see `connectors.base.Connector` for what each method owes."""

    Options = TemplateOptions
    orphaned = 0.0  # HERE: seconds for which a statement goes on when this process dies; leave it out if not known

    def __init__(self, name: str, options: TemplateOptions) -> None:
        self.name = name
        self._driver = Driver(name, Path(options.base_folder, options.path))
        self._leases = Leases(name, options.pool_size)  # the owner's limit of connections, kept for you

    def profile(self) -> Profile:
        """HERE: the engine, its version, and sqlglot's name of its dialect. It computes what `vdw probe` proves."""
        return Profile("template", sqlite3.sqlite_version_info, dialect="sqlite")

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """HERE: tables and views, in few queries however many there are."""
        if schemas and "main" not in schemas:
            return ()
        with self._session(ASK, Cancel()) as connection:
            rows = connection.execute(
                'SELECT t.name, c.name, c.type, c."notnull" FROM pragma_table_list t, pragma_table_info(t.name) c'
                " WHERE t.schema = 'main' AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY t.name, c.cid"
            ).fetchall()
        columns: dict[str, list[Column]] = {}
        for table, name, native, required in rows:
            kind = TYPES.get(native.upper(), PgType("text"))
            # LOOSE is the careful answer: = there may be coarser than byte by byte. So is exact=False: a column may
            # hold what is not of its type, so that conditions on it are applied here.
            column = Column(name, kind, not required, native or "any", Collation.LOOSE, exact=False)
            columns.setdefault(table, []).append(column)
        wanted = (name for name in columns if not tables or name in tables)
        return tuple(Table(self.name, "main", name, tuple(columns[name])) for name in wanted)

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """Stream one SELECT."""
        text, values = said(query)
        with self._session(timeout, cancel) as connection, contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(text, values)
            rows = cursor.fetchmany(ROWS)
            yield _batch(query, rows)
            while rows := cursor.fetchmany(ROWS):
                yield _batch(query, rows)

    def ping(self, timeout: float = PING) -> None:
        """The cheapest round trip."""
        with self._session(timeout, Cancel()) as connection:
            connection.execute("PRAGMA schema_version").fetchone()

    def close(self) -> None:
        """Close what is idle now, and what is busy once it is given back."""
        self._leases.close()

    @contextlib.contextmanager
    def _session(self, seconds: float, cancel: Cancel) -> Iterator[sqlite3.Connection]:
        """A connection for one statement, which ends with its time or when it is cancelled."""
        late = timed_out(self.name, seconds)
        with self._leases.lease(self._driver, time.monotonic() + seconds, cancel) as lease:
            connection: sqlite3.Connection = lease.session
            # HERE: what stops a statement at the server, from another thread; besides, set the server's own timeout
            with stopping(cancel, connection.interrupt, seconds, late) as stopper, self._errors(stopper):
                yield connection
            stopper.check()

    @contextlib.contextmanager
    def _errors(self, stopper: Stopper) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:  # HERE: the driver's errors; a lost connection is connectors.leases.Lost
            stopper.check()
            raise SourceError(f"the engine says: {error}", place=f'source "{self.name}"') from None


class Driver:
    """Opens, checks and closes connections; see `connectors.leases.Driver`."""

    def __init__(self, source: str, path: Path) -> None:
        self._source = source
        self._path = path

    def open(self, seconds: float) -> sqlite3.Connection:
        """HERE: connect within so many seconds, read only, in UTC, with all that makes answers the same everywhere."""
        try:
            uri = f"{self._path.resolve().as_uri()}?mode=ro"
            return sqlite3.connect(uri, uri=True, timeout=seconds, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            hint = "check connection: in the source's file; a relative path starts at the project folder"
            raise SourceError(f'source "{self._source}": {error}', sqlstate="08001", hint=hint) from None

    def alive(self, session: sqlite3.Connection, idle: float) -> bool:
        """HERE: whether a connection that lay idle so many seconds can be used; cheap, for each statement asks."""
        del session
        return idle < 300

    def close(self, session: sqlite3.Connection) -> None:
        """Close it, whatever state it is in."""
        session.close()


def said(query: SourceQuery) -> tuple[str, list[Any]]:
    """The statement with the driver's placeholders, and the values; a list has one for each of its items."""
    values: list[Any] = []

    def mark(place: int, bound: Bound) -> str:
        items = list(bound.value or ()) if listed(query, place) else [bound.value]
        values.extend(map(_plain, items))
        return ", ".join("?" * len(items)) or NOTHING  # HERE: the driver's placeholder

    pairs = enumerate(query.parts)
    text = "".join(part if isinstance(part, str) else mark(at, query.params[part]) for at, part in pairs)
    return text, values


def _plain(value: Any) -> Any:
    """HERE: a parameter (see `connectors.base.Bound`) as the driver takes it, and as the engine compares it rightly."""
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def _batch(query: SourceQuery, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(query.columns)
    return arrow.assembled(query, columns, lambda at, values: _column(values, query.columns[at], f"c{at}"))


def _column(values: Sequence[Any], kind: PgType, name: str) -> pa.Array:
    """The driver's values as Arrow: exactly, or an error that tells the kind of a value and never the value."""
    taken = CLASSES.get(kind.name, str)
    for value in values:
        if value is not None and type(value) is not taken:
            raise arrow.unfit(name, f"a Python {type(value).__name__}", kind)
    try:
        return arrow.conform(pa.array(values), kind, name)
    except (pa.ArrowInvalid, OverflowError):
        raise arrow.unfit(name, "a value out of range", kind) from None
