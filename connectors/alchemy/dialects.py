"""What is known of the engines behind SQLAlchemy's dialects; of most of them nothing but what they show themselves."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connectors.alchemy import rows as alchemy_rows
from connectors.alchemy import schema as alchemy_schema
from connectors.alchemy.sql import Cast, bound
from connectors.base import Profile, SourceQuery, Table
from connectors.errors import SourceError
from connectors.link import Link
from connectors.types import PgType

LATE, ENDED, LOST = "late", "ended", "lost"
# The names that sqlglot has for engines that SQLAlchemy calls otherwise, and those that both call alike.
WRITTEN = {
    "postgresql": "postgres", "cockroachdb": "postgres", "mssql": "tsql", "mariadb": "mysql", "awsathena": "athena",
    "teradatasql": "teradata", "exa": "exasol", "clickhousedb": "clickhouse", "hive": "hive", "impala": "hive",
} | {
    name: name
    for name in (
        "mysql oracle sqlite duckdb snowflake bigquery redshift trino presto clickhouse databricks druid doris"
        " starrocks risingwave"
    ).split()
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """A driver's error: `what` is LATE, ENDED, LOST or an SQLSTATE for the client; `state` the engine's own code."""

    what: str
    message: str
    state: str = ""


class Behind:
    """An engine behind a dialect; what is not overridden is not known, or need not be."""

    backend = ""  # SELECT of the server's number for a connection
    kill = ""  # the statement that ends what runs there, its number in {}
    prologue: tuple[str, ...] = ()
    orphaned = math.inf  # seconds that a statement may outlive us

    def __init__(self, source: str, engine: sa.Engine) -> None:
        self.source = source
        self.dialect = engine.dialect

    def opened(self, connection: Connection) -> None:
        """What must be known, or set, before the first statement."""

    def said(self, query: SourceQuery, casts: frozenset[int]) -> tuple[str, Any]:
        """The statement and its parameters in the driver's own style; columns of `casts` come as text."""
        raise NotImplementedError

    def tuned(self, raw: Any, query: SourceQuery) -> None:
        """The driver's connection is about to run that."""

    def casts(self, columns: Sequence[PgType]) -> frozenset[int]:
        """The columns that are asked as text whatever the driver says of them."""
        del columns
        return frozenset()

    def opaque(self, description: Sequence[Any], columns: Sequence[PgType]) -> frozenset[int]:
        """The columns of which this driver would make something else than the engine prints."""
        del description, columns
        return frozenset()

    def batch(self, rows: Sequence[Sequence[Any]], description: Sequence[Any], query: SourceQuery) -> pa.RecordBatch:
        """Rows as Arrow."""
        del description
        return alchemy_rows.batch(rows, query)

    def limit(self, milliseconds: int) -> str | None:
        """The statement that sets the server's timeout for those that follow; None: it has none that we know."""
        del milliseconds
        return None

    def profile(self, connection: Connection) -> Profile:
        """The engine and driver by their names, so that no table of another is taken for theirs."""
        del connection
        version = tuple(part for part in self.dialect.server_version_info or () if isinstance(part, int))
        name = f"{self.dialect.name}+{self.dialect.driver}"
        return Profile(name, version, {"dialect": self.dialect.name}, dialect=WRITTEN.get(self.dialect.name, ""))

    def tables(self, connection: Connection, schemas: tuple[str, ...], names: tuple[str, ...]) -> tuple[Table, ...]:
        """What can be read, of these schemas and names where some are given."""
        raise NotImplementedError

    def link(self, connection: Connection) -> Link | None:
        """How it is reached; None: this engine is not asked that."""
        del connection
        return None

    def dropped(self, *objects: Any) -> None:
        """Connection and cursor are to be closed with rows unread."""

    def told(self, error: BaseException) -> Told:
        """What a driver's error means."""
        state = str(getattr(error, "sqlstate", None) or "")
        return Told(SourceError.sqlstate, str(error), state or type(error).__name__)

    def misread(self, error: BaseException, description: Sequence[Any], query: SourceQuery) -> SourceError | None:
        """HV004 for an error of the driver's that says that it cannot read a value; None for any other."""
        del error, description, query
        return None


class Generic(Behind):
    """An engine of which nothing is known: parameters are bound, numbers and times asked as the text it prints."""

    def __init__(self, source: str, engine: sa.Engine) -> None:
        super().__init__(source, engine)
        self._strings = getattr(self.dialect.loaded_dbapi, "STRING", None)
        self._cast = Cast(self.dialect)

    def opened(self, connection: Connection) -> None:
        """How it prints, the first time."""
        self._cast.try_out(connection)

    def said(self, query: SourceQuery, casts: frozenset[int]) -> tuple[str, Any]:
        """With parameters; see Behind."""
        text, values = bound(query, self.dialect)
        return self._cast.wrapped(text, len(query.columns), casts), values

    def casts(self, columns: Sequence[PgType]) -> frozenset[int]:
        """The types of which it was seen that its text says all."""
        return frozenset(at for at, kind in enumerate(columns) if self._cast.printed(kind))

    def opaque(self, description: Sequence[Any], columns: Sequence[PgType]) -> frozenset[int]:
        """The text columns that the driver does not call strings."""
        pairs = enumerate(zip(description, columns, strict=False))
        return frozenset(
            at for at, (told, kind) in pairs if kind.arrow == pa.string() and not _same(self._strings, told[1])
        )

    def tables(self, connection: Connection, schemas: tuple[str, ...], names: tuple[str, ...]) -> tuple[Table, ...]:
        """What SQLAlchemy's Inspector sees."""
        return alchemy_schema.read(connection, self.source, schemas, names)


def _same(strings: Any, code: Any) -> bool:
    if strings is None:
        return False
    with contextlib.suppress(Exception):  # a driver's own comparison
        return bool(strings == code)
    return False
