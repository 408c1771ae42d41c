"""SQL Server behind ODBC (msodbcsql, FreeTDS). UNPROVEN: written from Microsoft's documentation, run against none."""

from __future__ import annotations

import datetime as dt
import struct
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from connectors import arrow
from connectors.base import Bound, Collation, Column, ForeignKey, Table
from connectors.odbc.engine import Facts, Given, Where
from connectors.odbc.generic import Generic
from connectors.types import PgType, bpchar, numeric, varchar

_SYSTEM = ("sys", "INFORMATION_SCHEMA", "guest")
_BINARY_COLLATION = "_BIN2"  # code-unit order, and yet = ignores trailing blanks
_TYPES: Mapping[str, str] = {
    "bit": "bool", "tinyint": "int2", "smallint": "int2", "int": "int4", "bigint": "int8", "real": "float4",
    "float": "float8", "date": "date", "datetime": "timestamp", "smalldatetime": "timestamp",
    "uniqueidentifier": "uuid", "binary": "bytea", "varbinary": "bytea", "image": "bytea", "rowversion": "bytea",
    "timestamp": "bytea", "xml": "xml", "text": "text", "ntext": "text", "time": "time", "datetime2": "timestamp",
    "datetimeoffset": "timestamptz",
}  # fmt: skip
_COLUMNS = """
SELECT s.name, o.name, c.name, t.name, c.max_length, c.precision, c.scale, c.is_nullable, c.collation_name,
  CAST(p.value AS nvarchar(4000)), o.object_id, c.column_id
FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id JOIN sys.columns c ON c.object_id = o.object_id
JOIN sys.types t ON t.user_type_id = c.system_type_id
LEFT JOIN sys.extended_properties p
  ON p.major_id = o.object_id AND p.minor_id = c.column_id AND p.name = 'MS_Description' AND p.class = 1
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 AND HAS_PERMS_BY_NAME(
  QUOTENAME(s.name) + '.' + QUOTENAME(o.name), 'OBJECT', 'SELECT') = 1
ORDER BY s.name, o.name, c.column_id"""
_INDEXES = """
SELECT i.object_id, i.name, i.is_primary_key, CASE WHEN i.is_unique = 1 AND i.has_filter = 0 THEN 1 ELSE 0 END, c.name
FROM sys.indexes i JOIN sys.index_columns x ON x.object_id = i.object_id AND x.index_id = i.index_id
JOIN sys.columns c ON c.object_id = x.object_id AND c.column_id = x.column_id
WHERE i.type IN (1, 2) AND i.is_disabled = 0 AND i.has_filter = 0 AND x.is_included_column = 0
ORDER BY i.object_id, i.is_primary_key DESC, i.index_id, x.key_ordinal"""
_FOREIGN_KEYS = """
SELECT k.parent_object_id, k.object_id, s.name, o.name, a.name, b.name, k.is_not_trusted
FROM sys.foreign_keys k JOIN sys.foreign_key_columns x ON x.constraint_object_id = k.object_id
JOIN sys.objects o ON o.object_id = k.referenced_object_id JOIN sys.schemas s ON s.schema_id = o.schema_id
JOIN sys.columns a ON a.object_id = x.parent_object_id AND a.column_id = x.parent_column_id
JOIN sys.columns b ON b.object_id = x.referenced_object_id AND b.column_id = x.referenced_column_id
ORDER BY k.object_id, x.constraint_column_id"""
_ROWS = """
SELECT object_id, SUM(row_count) FROM sys.dm_db_partition_stats WHERE index_id IN (0, 1) GROUP BY object_id"""
_TIME2, _OFFSET, _STAMP = struct.Struct("<3HxxI"), struct.Struct("<6hI2h"), struct.Struct("<6hI")


class Sqlserver(Generic):
    """SQL Server; nothing is claimed of it before `vdw probe`."""

    name, title = "sqlserver", "SQL Server"
    dbms = ("Microsoft SQL Server",)
    drivers = ("sql server", "freetds", "tds", "msodbcsql")
    dialect = "tsql"

    def keywords(self, where: Where) -> dict[str, Any]:
        tls = where.tls
        encryption = {} if tls is None else {
            "Encrypt": "no" if tls.mode in ("disable", "prefer") else "yes",
            "TrustServerCertificate": "no" if tls.verifies else "yes",
        }  # fmt: skip
        port = f",{where.port}" if where.port else ""
        return {
            "SERVER": f"{where.server}{port}" if where.server else None,
            "DATABASE": where.database,
            "ApplicationIntent": "ReadOnly",
            "APP": "vdw",
            **encryption,
        }

    def canary(self) -> str:
        return super().canary().replace("'", "N'", 1)

    def prologue(self, facts: Facts) -> tuple[str, ...]:
        del facts
        # SNAPSHOT is not allowed in every database; READ COMMITTED is the server's default, NOLOCK is never ours
        return (
            "SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON",
            "SET NUMERIC_ROUNDABORT, IMPLICIT_TRANSACTIONS OFF",
            "SET DATEFIRST 1",
            "SET DATEFORMAT ymd",
            "SET LOCK_TIMEOUT 10000",
            "SET TEXTSIZE 2147483647",
        )

    def parameter(self, bound: Bound) -> Any:
        value = super().parameter(bound)
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, dt.datetime) and bound.type.name == "timestamptz":
            return value.isoformat(" ") + "+00:00"
        return value

    def converters(self) -> Mapping[int, Callable[[bytes], Any]]:
        return {93: stamp, -154: clock, -155: moment}  # SQL_TYPE_TIMESTAMP, SQL_SS_TIME2, SQL_SS_TIMESTAMPOFFSET

    def column(self, values: Sequence[Any], kind: PgType, name: str, told: Sequence[Any]) -> pa.Array:
        """Converters made whole nanoseconds of times; a value with a part of a microsecond does not fit."""
        if kind.name not in ("timestamp", "timestamptz", "time"):
            return super().column(values, kind, name, told)
        if any(value is not None and (not isinstance(value, int) or value % 1000) for value in values):
            raise arrow.unfit(name, "a time with more than six digits of a second", kind)
        made = [None if value is None else value // 1000 for value in values]
        return pa.array(made, pa.int64()).view(kind.arrow)

    def tables(self, given: Given, schemas: tuple[str, ...], tables: tuple[str, ...]) -> tuple[Table, ...]:
        wanted = schemas or tuple(name for name in given.schemas if name)
        grouped: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for row in given.ask(_COLUMNS):
            if row[0] not in _SYSTEM and (not schemas or row[0] in wanted) and (not tables or row[1] in tables):
                grouped[row[10]].append(row)
        indexes, foreign = _grouped(given.ask(_INDEXES)), _grouped(given.ask(_FOREIGN_KEYS))
        counts: dict[int, int] = {row[0]: row[1] for row in given.ask(_ROWS)}
        return tuple(
            _table(given.source, rows, indexes[number], foreign[number], counts.get(number))
            for number, rows in grouped.items()
        )


def column_type(native: str, length: int, precision: int, scale: int) -> PgType:
    """PostgreSQL's type of one in sys.columns; text for what has none (sql_variant, hierarchyid, geometry ...)."""
    if native in ("decimal", "numeric"):
        return numeric(precision, scale)
    if native in ("money", "smallmoney"):
        return numeric(19 if native == "money" else 10, 4)
    if native in ("char", "varchar", "nchar", "nvarchar") and length > 0:
        characters = length // 2 if native.startswith("n") else length
        return (bpchar if native.endswith("nchar") or native == "char" else varchar)(characters)
    return PgType(_TYPES.get(native, "text"))


def stamp(raw: bytes) -> int:
    """SQL_TIMESTAMP_STRUCT -> nanoseconds since 1970."""
    *parts, fraction = _STAMP.unpack(raw[: _STAMP.size])
    return _seconds(parts) * 10**9 + int(fraction)


def clock(raw: bytes) -> int:
    """SQL_SS_TIME2_STRUCT -> nanoseconds since midnight."""
    hours, minutes, seconds, fraction = _TIME2.unpack(raw[: _TIME2.size])
    return int(((hours * 60 + minutes) * 60 + seconds) * 10**9 + fraction)


def moment(raw: bytes) -> int:
    """SQL_SS_TIMESTAMPOFFSET_STRUCT -> nanoseconds since 1970 in UTC."""
    *parts, fraction, hours, minutes = _OFFSET.unpack(raw[: _OFFSET.size])
    away = (hours * 60 + minutes) * 60  # the other parts are the local time
    return int((_seconds(parts) - away) * 10**9 + fraction)


def _seconds(parts: Sequence[int]) -> int:
    """Year, month, day, hour, minute, second -> seconds since 1970."""
    year, month, day, hour, minute, second = parts
    days = dt.date(year, month, day).toordinal() - dt.date(1970, 1, 1).toordinal()
    return ((days * 24 + hour) * 60 + minute) * 60 + second


def _grouped(rows: Sequence[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    return found


def _table(
    source: str,
    rows: Sequence[tuple[Any, ...]],
    indexes: Sequence[tuple[Any, ...]],
    foreign: Sequence[tuple[Any, ...]],
    count: int | Decimal | None,
) -> Table:
    columns = tuple(_column(row) for row in rows)
    firm = {column.name for column in columns if not column.nullable}
    keyed: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in indexes:
        keyed[row[1]].append(row)
    made = [(tuple(part[4] for part in parts), bool(parts[0][3])) for parts in keyed.values()]
    return Table(
        source=source,
        schema=rows[0][0],
        name=rows[0][1],
        columns=columns,
        keys=tuple(names for names, unique in made if unique and firm.issuperset(names)),
        indexes=tuple(dict.fromkeys(names for names, _ in made)),
        foreign_keys=tuple(_foreign_key(rows[0][0], parts) for parts in _by_second(foreign)),
        row_count=None if count is None else int(count),
    )


def _by_second(rows: Sequence[tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
    found: dict[Any, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        found[row[1]].append(row)
    return list(found.values())


def _foreign_key(schema: str, parts: Sequence[tuple[Any, ...]]) -> ForeignKey:
    other = parts[0][3] if parts[0][2] == schema else f"{parts[0][2]}.{parts[0][3]}"
    return ForeignKey(tuple(part[4] for part in parts), other, tuple(part[5] for part in parts))


def _column(row: tuple[Any, ...]) -> Column:
    kind = column_type(row[3], int(row[4]), int(row[5]), int(row[6]))
    return Column(
        name=row[2],
        type=kind,
        nullable=bool(row[7]),
        native=row[3],
        # = ignores trailing blanks whatever the collation, and types that are text here only compare otherwise
        collation=Collation.LOOSE if row[8] or kind == PgType("text") else Collation.BYTES,
        comment=row[9] or "",
    )
