"""PostgreSQL, MariaDB, MySQL and SQLite behind SQLAlchemy: sessions, statements and facts as their own kinds have."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connectors.alchemy.dialects import ENDED, LATE, LOST, Behind, Generic, Told
from connectors.alchemy.sql import asked
from connectors.base import Profile, SourceQuery, Table
from connectors.errors import SourceError
from connectors.link import Link, timed
from connectors.mariadb import catalog as mariadb_catalog
from connectors.mariadb import drivers as mariadb_drivers
from connectors.mariadb import link as mariadb_link
from connectors.mariadb import rows as mariadb_rows
from connectors.mariadb.sql import inlined
from connectors.postgresql import catalog as postgresql_catalog
from connectors.postgresql import drivers as postgresql_drivers
from connectors.postgresql import link as postgresql_link
from connectors.postgresql import sql as postgresql_sql
from connectors.sqlite import connector as sqlite
from connectors.sqlite import schema as sqlite_schema
from connectors.sqlite.asking import Native
from connectors.sqlite.types import text_or_bytes

Ask = Callable[[str], list[tuple[Any, ...]]]


class Postgresql(Behind):
    """PostgreSQL by any driver: the statements, the session and the catalog queries are those of kind postgresql."""

    backend = "SELECT pg_backend_pid()"
    kill = "SELECT pg_cancel_backend({})"
    _carried = postgresql_sql.CARRIED - {"date", "time", "timestamp", "timestamptz"}  # drivers refuse infinities, BC

    def __init__(self, source: str, engine: sa.Engine) -> None:
        super().__init__(source, engine)
        # a reader of a cursor may take its time with each batch
        settings = {"idle_in_transaction_session_timeout": "600s", "application_name": "vdw"}
        self.prologue = (postgresql_drivers.Access(source, {}, settings).prologue,)
        self._facts: Profile | None = None

    def said(self, query: SourceQuery, casts: frozenset[int]) -> tuple[str, Any]:
        """With literals, and as text what drivers garble."""
        del casts
        return postgresql_sql.inlined(query, self._carried), ()

    def limit(self, milliseconds: int) -> str | None:
        """PostgreSQL's own."""
        return f"SET statement_timeout = {milliseconds}"

    def profile(self, connection: Connection) -> Profile:
        """The facts of kind postgresql, under this driver's name."""
        self._facts = None
        known = self._known(connection)
        self.orphaned = 2.5 if known.facts["watches_clients"] else math.inf
        name = f"postgresql+{self.dialect.driver}"
        return Profile(name, known.version, known.facts, dialect="postgres")

    def tables(self, connection: Connection, schemas: tuple[str, ...], names: tuple[str, ...]) -> tuple[Table, ...]:
        """Those of kind postgresql."""
        facts = self._known(connection).facts
        return postgresql_catalog.tables(self.source, self._asking(connection), facts, schemas, names)

    def link(self, connection: Connection) -> Link | None:
        """As kind postgresql; what the driver was told to verify we do not know."""
        ((row,), when) = timed(lambda: _rows(connection, postgresql_link.QUESTION))
        return when.link(*postgresql_link.read(row, None, None))

    def told(self, error: BaseException) -> Told:
        """By SQLSTATE, wherever the driver has it."""
        fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}  # pg8000's
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or fields.get("C") or ""
        message = getattr(getattr(error, "diag", None), "message_primary", None) or fields.get("M") or str(error)
        if state == "57014":
            return Told(ENDED if "user request" in message else LATE, message, state)
        if state.startswith("08") or state in postgresql_drivers.LOST_STATES:
            return Told(LOST, message, state)
        what = state if state.startswith(("22", "53", "54")) else SourceError.sqlstate
        return Told(what, message, f"SQLSTATE {state}" if state else type(error).__name__)

    def _known(self, connection: Connection) -> Profile:
        if self._facts is None:
            self._facts = postgresql_catalog.profile(self._asking(connection))
        return self._facts

    def _asking(self, connection: Connection) -> postgresql_catalog.Ask:
        def ask(text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
            literals = [postgresql_sql.quoted(value) for value in values]
            whole = re.sub(r"\$(\d)", lambda match: literals[int(match[1]) - 1], text)
            return _rows(connection, whole)

        return ask


class Mysql(Behind):
    """MariaDB and MySQL: the statements, the session and the catalog queries are those of kind mariadb."""

    backend = "SELECT connection_id()"
    kill = "KILL QUERY {}"
    prologue = ("SET NAMES utf8mb4",)

    def opened(self, connection: Connection) -> None:
        """As whichever of the two it is."""
        for statement in mariadb_drivers.prologue(self._engine, self._version):
            asked(connection, statement)

    @property
    def _version(self) -> tuple[int, ...]:
        return tuple(part for part in self.dialect.server_version_info or () if isinstance(part, int))

    @property
    def _engine(self) -> str:
        return "mariadb" if getattr(self.dialect, "is_mariadb", False) else "mysql"

    def said(self, query: SourceQuery, casts: frozenset[int]) -> tuple[str, Any]:
        """With literals."""
        del casts
        return inlined(query), ()

    def batch(self, rows: Sequence[Sequence[Any]], description: Sequence[Any], query: SourceQuery) -> pa.RecordBatch:
        """As mysqlclient's raw rows."""
        raw = [tuple(row) for row in rows]
        return mariadb_rows.to_batch(raw, [told[1] for told in description], query)

    def limit(self, milliseconds: int) -> str | None:
        """Whichever of the two has."""
        return mariadb_drivers.limiting(self._engine, milliseconds)

    def profile(self, connection: Connection) -> Profile:
        """The facts of kind mariadb, under this driver's name."""
        known = mariadb_catalog.profile(self._asking(connection), self._engine, self._version)
        name = f"{self._engine}+{self.dialect.driver}"
        return Profile(name, known.version, known.facts, dialect="mysql")

    def tables(self, connection: Connection, schemas: tuple[str, ...], names: tuple[str, ...]) -> tuple[Table, ...]:
        """Those of kind mariadb, in the connection's database unless others are named."""
        own: Any = self.dialect.default_schema_name  # in raw bytes, as all that comes
        shown = schemas or ((own.decode() if isinstance(own, bytes) else own,) if own else ())
        return mariadb_catalog.tables(self.source, self._asking(connection), shown, names)

    def dropped(self, *objects: Any) -> None:
        """PyMySQL would read all that is left, when it closes a cursor and even when that is collected."""
        for owner in objects:
            result: Any = getattr(owner, "_result", None)
            if hasattr(result, "unbuffered_active"):
                result.unbuffered_active = False

    def link(self, connection: Connection) -> Link | None:
        """As kind mariadb; what the driver was told to verify we do not know."""
        return mariadb_link.link(self._asking(connection), None)

    def told(self, error: BaseException) -> Told:
        """By the server's number."""
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        message = str(error.args[1]) if len(error.args) > 1 else str(error)
        if code in mariadb_drivers.LATE:
            return Told(LATE, message)
        if code == mariadb_drivers.KILLED:
            return Told(ENDED, message)
        if code in mariadb_drivers.LOST:
            return Told(LOST, message)
        return Told(mariadb_drivers.state_of(code, message), message, f"error {code}")

    def _asking(self, connection: Connection) -> Ask:
        def ask(text: str) -> list[tuple[Any, ...]]:
            rows = _rows(connection, text)
            return [tuple(value.decode() if isinstance(value, bytes) else value for value in row) for row in rows]

        return ask


class Sqlite(Behind):
    """SQLite: the statements, the values and the looks at tables are those of kind sqlite."""

    prologue = ("PRAGMA query_only = 1", "PRAGMA case_sensitive_like = 1")
    orphaned = 0.0  # it runs in our process

    def said(self, query: SourceQuery, casts: frozenset[int]) -> tuple[str, Any]:
        """With parameters, lists as JSON."""
        del casts
        text, values = sqlite.said(query, self.source)
        return text, tuple(values)

    def tuned(self, raw: Any, query: SourceQuery) -> None:
        """Bytes that are no text come as they are, where a policy says what becomes of them."""
        raw.text_factory = text_or_bytes if query.unfit else str

    def batch(self, rows: Sequence[Sequence[Any]], description: Sequence[Any], query: SourceQuery) -> pa.RecordBatch:
        """By storage classes."""
        del description
        return sqlite.batch(query, rows)

    def tables(self, connection: Connection, schemas: tuple[str, ...], names: tuple[str, ...]) -> tuple[Table, ...]:
        """Those of kind sqlite."""
        if schemas and "main" not in schemas:
            return ()
        raw: Any = connection.connection.driver_connection
        wanted = tuple(name.removeprefix("main.") for name in names)
        return tuple(sqlite_schema.read(Native(raw), self.source, wanted, {}))

    def misread(self, error: BaseException, description: Sequence[Any], query: SourceQuery) -> SourceError | None:
        """Bytes that are no text."""
        return sqlite.undecodable(error, description, query) if isinstance(error, Exception) else None


KNOWN: dict[str, type[Behind]] = {"postgresql": Postgresql, "mysql": Mysql, "mariadb": Mysql, "sqlite": Sqlite}
_RAW = ("pymysql", "mysqldb")  # drivers that hand over MariaDB's and MySQL's values as they came, if they are told so


def raw_arguments(driver: str) -> dict[str, Any]:
    """Arguments with which a driver converts nothing, and no owner's character set comes between; {} for others."""
    bytewise = {"charset": "utf8mb4", "use_unicode": False}
    if driver == "pymysql":
        converters = importlib.import_module("pymysql.converters")
        return {"conv": dict(converters.encoders), **bytewise}
    return {"conv": {}, **bytewise} if driver == "mysqldb" else {}


def dialect_of(source: str, engine: sa.Engine, generic: bool) -> Behind:
    """What is known of the engine behind; `generic`: nothing, as the owner says."""
    name = engine.dialect.name
    known = not generic and (name not in ("mysql", "mariadb") or engine.dialect.driver in _RAW)
    return (KNOWN.get(name, Generic) if known else Generic)(source, engine)


def _rows(connection: Connection, text: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in asked(connection, text).fetchall()]
