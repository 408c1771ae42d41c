"""What ODBC itself does not tell of an engine: its session, its catalog, how it prints; and what serves for all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from connectors.base import Profile, SourceQuery, Table
from connectors.errors import Error, LimitExceeded, SourceError
from connectors.leases import lost
from connectors.link import Link
from connectors.reading import Reading
from connectors.statistics import Key, TableStatistics
from connectors.tls import Tls

CANARY = "Ünï ß 漢字 🎉"  # text that only a driver brings whole which knows all of Unicode
Rows = list[tuple[Any, ...]]
Ask = Callable[[str], Rows]


@dataclass(frozen=True, slots=True)
class Where:
    """Where a source is, as its file says it."""

    server: str | None = None
    port: int | None = None
    database: str | None = None
    seconds: int = 10  # to connect within
    tls: Tls | None = None  # None: whatever the DSN says


@dataclass(frozen=True, slots=True)
class Facts:
    """What the driver says of itself and of its server."""

    dbms: str
    version: str
    driver: str
    driver_version: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """The server's version: 15.00.0018 is (15, 0, 18)."""
        return tuple(int(part) for part in self.version.split(".")[:3] if part.isdigit())


@dataclass(frozen=True, slots=True)
class Given:
    """What an engine's readers are given: the source's name, how to ask, and what its file says of it."""

    source: str
    ask: Ask
    within: Callable[[float], contextlib.AbstractContextManager[None]]  # while inside, questions are bounded
    facts: Facts
    types: Mapping[str, str]  # declared types by table.column (SQLite)
    schemas: tuple[str, ...]  # those shown where none are asked for
    catalog: Callable[..., Rows]  # a catalog function of ODBC: pyodbc's name of it, and its arguments


class Engine:
    """One family of engines. Stateless; a session's state is in `odbc_drivers.Session`."""

    name: ClassVar[str]  # as options call it
    title: ClassVar[str]  # as people do
    dbms: ClassVar[tuple[str, ...]] = ()  # what SQL_DBMS_NAME begins with
    drivers: ClassVar[tuple[str, ...]] = ()  # what a driver's name contains, in lower case
    proven: ClassVar[bool] = False  # whether tests run against it
    utf8: ClassVar[bool] = False  # whether its driver's UTF-16 is lossy, so that only UTF-8 will do
    numbered: ClassVar[str] = ""  # asks the session's number, by which `kill` ends a statement
    probe: ClassVar[str] = "SELECT 1"  # the cheapest statement

    def keywords(self, where: Where) -> dict[str, Any]:
        """The driver's keywords to reach it, besides DSN, DRIVER, UID and PWD; the owner's own win."""
        return {"SERVER": where.server, "PORT": where.port, "DATABASE": where.database}

    def canary(self) -> str:
        """A statement of one row and one column that is CANARY."""
        return f"SELECT '{CANARY}'"

    def prologue(self, facts: Facts) -> tuple[str, ...]:
        """Statements that set a session's state."""
        del facts
        return ()

    def converters(self) -> Mapping[int, Callable[[bytes], Any]]:
        """What makes values of a type (by ODBC's number) of the bytes that the driver has for it, instead of pyodbc."""
        return {}

    def limit(self, milliseconds: int, facts: Facts) -> str | None:
        """The statement that bounds those after it at the server; None: the driver's own timeout, '' none at all."""
        del milliseconds, facts
        return None

    def statement(self, query: SourceQuery, facts: Facts) -> tuple[str, tuple[Any, ...]]:
        """The text for the driver and what stands for its question marks."""
        raise NotImplementedError

    def batch(self, rows: Sequence[Any], query: SourceQuery, description: Any) -> pa.RecordBatch:
        """Rows of that statement, as pyodbc gave them, as the expected columns."""
        raise NotImplementedError

    def profile(self, given: Given) -> Profile:
        """Version and probed facts."""
        raise NotImplementedError

    def tables(self, given: Given, schemas: tuple[str, ...], tables: tuple[str, ...]) -> tuple[Table, ...]:
        """What can be read."""
        raise NotImplementedError

    def statistics(
        self, given: Given, tables: Sequence[Table], known: Mapping[Key, TableStatistics]
    ) -> dict[Key, TableStatistics]:
        """What it knows of its tables' contents."""
        del given, tables, known
        return {}

    def explain(self, given: Given, query: SourceQuery) -> Reading:
        """How it would run a statement."""
        del given, query
        return Reading((), "this engine is not asked how it runs a statement")

    def link(self, given: Given, tls: Tls | None) -> Link | None:
        """How it is reached, told over a connection that was made by `tls`; None: this engine is not asked that."""
        del given, tls
        return None

    def holds(self, facts: Facts) -> bool:
        """Whether its driver takes an answer whole into memory before the first row is seen."""
        del facts
        return False

    def hold(self, rows: int) -> tuple[str, ...]:
        """Statements by which answers end after so many rows."""
        del rows
        return ()

    def kill(self, number: str) -> str:
        """The statement that ends the one that session runs, from another; '' where the driver's own cancel does."""
        del number
        return ""

    def error(self, source: str, state: str, code: int, message: str, late: LimitExceeded) -> Error:
        """A driver's error as ours: its SQLSTATE, the engine's own number, its text without secrets."""
        del code
        if state in ("HYT00", "HY008", "57014"):
            return late
        if state.startswith("08") or state in ("HYT01", "01002"):
            return lost(source, message)
        return refused(source, state, message)


def refused(source: str, state: str, message: str) -> SourceError:
    """The error of a statement that the source would not run."""
    sqlstate = state if state.startswith(("22", "53", "54")) else "HV000"
    return SourceError(f'source "{source}" refused the statement: {message}', sqlstate=sqlstate, detail=state)
