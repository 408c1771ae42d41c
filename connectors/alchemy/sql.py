"""Statements for any DBAPI driver: parameters in its own style, and casts to the text that the engine itself prints."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, CursorResult, Dialect
from sqlalchemy.exc import SQLAlchemyError

from connectors.alchemy import rows as alchemy_rows
from connectors.base import Bound, SourceQuery
from connectors.errors import SourceError
from connectors.lists import listed
from connectors.types import PgType, numeric

_PERCENT = frozenset(("format", "pyformat"))
_NO_TABLE = ("", " FROM DUAL", " FROM RDB$DATABASE", " FROM SYSIBM.SYSDUMMY1")
_LITERAL_LIST = 500  # integers of a list up to which they are bound; engines bound at most 1,000 to 65,535
# What an engine must print as it stands for its texts to be trusted: an expression, the type to read it as.
_PRINTS = {
    "numeric": ("CAST('123456789012345.670' AS DECIMAL(18,3))", numeric(18, 3), Decimal("123456789012345.670")),
    "date": ("CAST('1969-12-31' AS DATE)", PgType("date"), dt.date(1969, 12, 31)),
    "timestamp": (
        "CAST('1969-12-31 23:59:59.5' AS TIMESTAMP)",
        PgType("timestamp"),
        dt.datetime(1969, 12, 31, 23, 59, 59, 500_000),
    ),
    "timestamptz": (
        "CAST('2024-03-31 03:30:00.5+02:00' AS TIMESTAMP WITH TIME ZONE)",
        PgType("timestamptz"),
        dt.datetime(2024, 3, 31, 1, 30, 0, 500_000, tzinfo=dt.UTC),
    ),
    "time": ("CAST('23:59:59.5' AS TIME)", PgType("time"), dt.time(23, 59, 59, 500_000)),
}  # fmt: skip


class Cast:
    """How an engine casts to text, and of which types that text says all: it is tried out once, at the engine."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        long = sa.String(4000) if dialect.name == "oracle" else sa.UnicodeText()
        compiled = sa.cast(sa.literal_column("?"), long).compile(dialect=dialect)
        self._head, _, self._tail = str(compiled).partition("?")
        self._printed: frozenset[str] | None = None

    def try_out(self, connection: Connection) -> None:
        """Learn what the engine prints, unless that is known."""
        if self._printed is None:
            self._printed = frozenset(kind for kind in _PRINTS if self._tells(connection, kind))

    def printed(self, kind: PgType) -> bool:
        """Whether a column of that type is asked as text."""
        return kind.name in (self._printed or ())

    def of(self, expression: str) -> str:
        """The expression as text."""
        return f"{self._head}{expression}{self._tail}"

    def wrapped(self, text: str, columns: int, casts: frozenset[int]) -> str:
        """The statement with some of its columns as text. Standard SQL, for aliases of columns are not everywhere."""
        if not casts:
            return text
        names = ", ".join(f"c{at}" for at in range(columns))
        outputs = ", ".join(f"{self.of(f'c{at}')} AS c{at}" if at in casts else f"c{at}" for at in range(columns))
        return f"WITH q({names}) AS ({text}) SELECT {outputs} FROM q"  # noqa: S608 - names are c0, c1, ...

    def _tells(self, connection: Connection, kind: str) -> bool:
        expression, type_, wanted = _PRINTS[kind]
        for tail in _NO_TABLE:
            try:
                got = asked(connection, f"SELECT {self.of(expression)}{tail}").scalar()
            except SQLAlchemyError:
                connection.rollback()
                continue
            with contextlib.suppress(SourceError):
                return bool(alchemy_rows.column([got], type_, "c0").to_pylist() == [wanted])
            return False
        return False


def bound(query: SourceQuery, dialect: Dialect) -> tuple[str, Any]:
    """The statement with the driver's placeholders, and the values: a tuple, or a dict where they have names."""
    binder = _Binder(query, dialect)
    marked = [
        part if isinstance(part, str) else binder.mark(at, query.params[part]) for at, part in enumerate(query.parts)
    ]
    if binder.values and dialect.paramstyle in _PERCENT:
        marked = [
            text.replace("%", "%%") if isinstance(part, str) else text
            for text, part in zip(marked, query.parts, strict=True)
        ]
    return "".join(marked), binder.values


def asked(connection: Connection, text: str, **options: Any) -> CursorResult[Any]:
    """A statement without parameters, in which drivers then take no % for anything."""
    return connection.exec_driver_sql(text, execution_options={"no_parameters": True, **options})


class _Binder:
    """Gives each value its placeholder; a list gets one for each of its items."""

    def __init__(self, query: SourceQuery, dialect: Dialect) -> None:
        self._query = query
        self._dialect = dialect
        self._given: list[Any] = []

    @property
    def values(self) -> Any:
        """What the driver takes."""
        if self._dialect.paramstyle in ("named", "pyformat"):
            return {f"p{at}": value for at, value in enumerate(self._given)}
        return tuple(self._given)

    def mark(self, place: int, value: Bound) -> str:
        """What stands for a parameter in the text."""
        if not value.type.name.startswith("_"):
            return self._one(value.type, value.value)
        if not listed(self._query, place):
            raise SourceError(
                f"a parameter of type {value.type.sql} has no form that a generic driver takes", sqlstate="HV004"
            )
        element, items = PgType(value.type.name[1:]), list(value.value or ())
        if not items:
            return self._nothing()
        if element.name in ("int2", "int4", "int8") and len(items) > _LITERAL_LIST:
            return ", ".join("NULL" if item is None else str(int(item)) for item in items)
        return ", ".join(self._one(element, item) for item in items)

    def _nothing(self) -> str:
        """A subquery without rows: IN (NULL) would not be false, which NOT IN needs."""
        compiler: Any = self._dialect.statement_compiler(self._dialect, None)
        with contextlib.suppress(NotImplementedError):
            return str(compiler.visit_empty_set_expr([sa.Integer()]))
        return "SELECT 1 FROM RDB$DATABASE WHERE 1 = 0" if self._dialect.name == "firebird" else "SELECT 1 WHERE 1 = 0"

    def _one(self, kind: PgType, value: Any) -> str:
        self._given.append(_plain(kind, value))
        at = len(self._given) - 1
        match self._dialect.paramstyle:
            case "qmark":
                return "?"
            case "format":
                return "%s"
            case "pyformat":
                return f"%(p{at})s"
            case "named":
                return f":p{at}"
            case "numeric":
                return f":{at + 1}"
            case _:
                return f"${at + 1}"


def _plain(kind: PgType, value: Any) -> Any:
    if value is None:
        return None
    if kind.name == "numeric":
        return Decimal(value)
    if kind.name == "bytea":
        return bytes(value)
    return str(value) if isinstance(value, uuid.UUID) else value
