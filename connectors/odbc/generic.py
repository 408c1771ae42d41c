"""An engine that is not known: ODBC's own catalog functions, and values as the driver's types; nothing is claimed."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import pyarrow as pa

from connectors import arrow, decimals
from connectors.base import Bound, Collation, Column, Profile, SourceQuery, Table
from connectors.errors import SourceError
from connectors.lists import listed
from connectors.odbc.engine import Engine, Facts, Given
from connectors.types import PgType, numeric

_KINDS = ("TABLE", "VIEW", "BASE TABLE")
_SYSTEM = frozenset(("information_schema", "sys", "system", "pg_catalog", "syscat", "sysibm", "sysstat"))
TEXT = PgType("text")
# what SQLColumns calls a column's type (sql.h, sqlext.h)
_TYPES: Mapping[int, str] = {
    -7: "bool", -6: "int2", 5: "int2", 4: "int4", -5: "int8", 7: "float4", 6: "float8", 8: "float8",
    -2: "bytea", -3: "bytea", -4: "bytea", 91: "date", 9: "date", 92: "time", 10: "time", 93: "timestamp",
    11: "timestamp", -11: "uuid",
}  # fmt: skip
_WIDER = {"int2": "int4", "int4": "int8"}
_DECIMAL = frozenset((2, 3))
_MICROSECONDS = 6  # digits of a second that our types hold, and that pyodbc's values do


class Generic(Engine):
    """What serves for every engine that keeps to ODBC."""

    name, title = "generic", "an engine of which nothing is known"
    dialect: ClassVar[str] = ""

    def statement(self, query: SourceQuery, facts: Facts) -> tuple[str, tuple[Any, ...]]:
        del facts
        pieces: list[str] = []
        values: list[Any] = []
        for at, part in enumerate(query.parts):
            if isinstance(part, str):
                pieces.append(part)
                continue
            bound = query.params[part]
            items = list(bound.value or ()) if listed(query, at) else [bound.value]
            kind = PgType(bound.type.name.removeprefix("_"))
            pieces.append(", ".join("?" for _ in items) or self.no_rows)
            values += [self.parameter(Bound(kind, item)) for item in items]
        return "".join(pieces), tuple(values)

    no_rows: ClassVar[str] = "SELECT NULL WHERE 1 = 0"  # the list that nothing is in

    def parameter(self, bound: Bound) -> Any:
        """A value as pyodbc binds it; SourceError HV004 for one that engines other than PostgreSQL have not."""
        kind, value = bound.type.name, bound.value
        if isinstance(value, float) and not math.isfinite(value):
            raise _unbindable(bound.type)
        if kind == "numeric" and value is not None:
            number = Decimal(value)
            if not number.is_finite():
                raise _unbindable(bound.type)
            return number
        if isinstance(value, dt.datetime) and value.tzinfo is not None:
            return value.astimezone(dt.UTC).replace(tzinfo=None)
        if isinstance(value, str) and kind in _TIMES:
            raise _unbindable(bound.type)
        return value

    def batch(self, rows: Sequence[Any], query: SourceQuery, description: Any) -> pa.RecordBatch:
        columns = list(zip(*rows, strict=True))
        if len(columns) != len(query.columns):
            raise SourceError(f"the source delivers {len(columns)} columns where {len(query.columns)} were planned")
        return arrow.assembled(
            query, columns, lambda at, values: self.column(values, query.columns[at], f"c{at}", description[at])
        )

    def column(self, values: Sequence[Any], kind: PgType, name: str, told: Sequence[Any]) -> pa.Array:
        """Values of pyodbc as the expected type; `told` is what the driver says of the column (PEP 249)."""
        if kind.name in _TIMES and told[5] is not None and told[5] > _MICROSECONDS:
            raise arrow.unfit(name, "fractions of a second that the driver cuts off", kind, "convert it at the source")
        if kind.name == "time" and told[1] is dt.time and told[5]:
            raise arrow.unfit(name, "fractions of a second that the driver cuts off", kind, "convert it at the source")
        return column(values, kind, name)

    def profile(self, given: Given) -> Profile:
        facts = {"dbms": given.facts.dbms, "server_version": given.facts.version}
        return Profile(_slug(given.facts.dbms), given.facts.numbers, facts, self.dialect)

    def tables(self, given: Given, schemas: tuple[str, ...], tables: tuple[str, ...]) -> tuple[Table, ...]:
        wanted = schemas or given.schemas
        found = [
            (row[0], row[1], row[2], row[4])
            for row in given.catalog("tables")
            if row[3] in _KINDS
            and (row[1] or "").lower() not in _SYSTEM
            and (not wanted or row[1] in wanted or (row[1] is None and row[0] in wanted))
            and (not tables or row[2] in tables)
        ]
        return tuple(self._table(given, *one) for one in found)

    def _table(self, given: Given, catalog: str | None, schema: str | None, name: str, comment: str | None) -> Table:
        at: dict[str, str | None] = {"table": name, "catalog": catalog, "schema": schema}
        # an underscore in a name is a pattern to some drivers
        rows = [row for row in given.catalog("columns", **at) if row[2] == name and row[1] == schema]
        keys = sorted(((row[4], row[3]) for row in self._optional(given, "primaryKeys", at)), key=lambda key: key[0])
        columns = tuple(self.described(row) for row in sorted(rows, key=lambda row: row[16] or 0))
        fast = _indexes(self._optional(given, "statistics", at))
        primary = tuple(key for _, key in keys)
        unique = [names for names, single in fast if single and names != primary]
        firm = {column.name for column in columns if not column.nullable}
        return Table(
            source=given.source,
            schema=schema or catalog,
            name=name,
            columns=columns,
            keys=tuple(key for key in ([primary] if primary else []) + unique if firm.issuperset(key)),
            indexes=tuple(dict.fromkeys(([primary] if primary else []) + [names for names, _ in fast])),
            comment=comment or "",
        )

    def _optional(self, given: Given, function: str, at: Mapping[str, str | None]) -> list[tuple[Any, ...]]:
        """A catalog function that not every driver has, nor for every table (views)."""
        try:
            return given.catalog(function, **at)
        except SourceError as error:
            if error.sqlstate == "HV000":
                return []
            raise

    def described(self, row: tuple[Any, ...]) -> Column:
        """A row of SQLColumns as a column; a type that is not known is read as text."""
        native = str(row[5])
        kind = column_type(int(row[4]), native.lower(), row[6], row[8])
        return Column(
            name=row[3],
            type=kind,
            nullable=row[10] != 0,
            native=native,
            collation=Collation.LOOSE if kind == TEXT else Collation.BYTES,
            comment=row[11] or "",
        )


def column_type(code: int, native: str, size: int | None, digits: int | None) -> PgType:
    """PostgreSQL's type for what SQLColumns says: type code, the engine's name, precision, scale."""
    if code in _DECIMAL or ("unsigned" in native and code == -5):
        precision, scale = (size or 0), (digits or 0)
        return numeric(precision, scale) if 0 < precision <= 1000 and 0 <= scale <= precision else PgType("numeric")
    name = _TYPES.get(code, "text")
    return PgType(_WIDER.get(name, name) if "unsigned" in native else name)


def column(values: Sequence[Any], kind: PgType, name: str) -> pa.Array:
    """Values of pyodbc as the expected type; HV004 for a value of another kind, or one that does not fit."""
    allowed, convert = _CONVERT.get(kind.name, _AS_TEXT)
    for value in values:
        if value is not None and not isinstance(value, allowed):
            raise arrow.unfit(name, f"values that the driver gives as {type(value).__name__}", kind)
    try:
        made = [None if value is None else convert(value) for value in values]
        target = pa.string() if kind.name == "numeric" else kind.arrow
        return arrow.conform(pa.array(made, target), kind, name)
    except (pa.ArrowException, OverflowError, ValueError):
        raise arrow.unfit(name, "a value out of range", kind) from None


def _same(value: Any) -> Any:
    return value


def _whole(value: Any) -> int:
    if value != int(value):
        raise ValueError("a fraction")
    return int(value)


_TIMES = frozenset(("date", "time", "timestamp", "timestamptz"))
_AS_TEXT: tuple[tuple[type, ...], Callable[[Any], Any]] = ((str,), _same)
_CONVERT: Mapping[str, tuple[tuple[type, ...], Callable[[Any], Any]]] = {
    "bool": ((bool, int), lambda value: {0: False, 1: True}[value]),
    **dict.fromkeys(("int2", "int4", "int8", "oid"), ((int, Decimal), _whole)),
    **dict.fromkeys(("float4", "float8"), ((float,), _same)),
    "numeric": ((int, Decimal), lambda value: decimals.plain(Decimal(value))),
    "bytea": ((bytes, bytearray), bytes),
    "date": ((dt.date,), _same),
    "time": ((dt.time,), _same),
    "timestamp": ((dt.datetime,), _same),
    "timestamptz": ((dt.datetime,), lambda value: value if value.tzinfo else value.replace(tzinfo=dt.UTC)),
    "uuid": ((str,), str.lower),
}


def _indexes(rows: Sequence[tuple[Any, ...]]) -> list[tuple[tuple[str, ...], bool]]:
    """Columns and uniqueness of each index in SQLStatistics' rows that covers all rows and no expression."""
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        if row[6] != 0 and row[5] is not None:  # the table's own row
            found[row[5]].append(row)
    made = []
    for parts in found.values():
        ordered = sorted(parts, key=lambda row: row[7])
        if all(row[8] for row in ordered) and not any(row[12] for row in ordered):
            made.append((tuple(row[8] for row in ordered), int(ordered[0][3]) == 0))
    return made


def _slug(dbms: str) -> str:
    return "".join(char if char.isalnum() else "_" for char in dbms.lower()).strip("_") or "unknown"


def _unbindable(kind: PgType) -> SourceError:
    return SourceError(
        f"a parameter of type {kind.sql} has a value that this engine cannot hold",
        sqlstate="HV004",
        hint="NaN, infinities and years outside 1 to 9999 are PostgreSQL's",
    )
