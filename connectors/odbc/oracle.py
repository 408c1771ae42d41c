"""Oracle behind ODBC. UNPROVEN: written from Oracle's documentation, run against none."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from connectors.base import Bound, Collation, Column, Table
from connectors.odbc.engine import Facts, Given, Where
from connectors.odbc.generic import Generic
from connectors.types import PgType, bpchar, numeric, varchar

_TYPES: Mapping[str, str] = {
    "DATE": "timestamp",  # it has a time of day
    "BINARY_FLOAT": "float4", "BINARY_DOUBLE": "float8", "FLOAT": "numeric", "RAW": "bytea", "LONG RAW": "bytea",
    "BLOB": "bytea", "CLOB": "text", "NCLOB": "text", "LONG": "text", "JSON": "json", "BOOLEAN": "bool",
}  # fmt: skip
_COLUMNS = """
SELECT c.owner, c.table_name, c.column_name, c.data_type, c.data_precision, c.data_scale, c.char_length, c.nullable,
  m.comments, t.num_rows
FROM all_tab_columns c
JOIN (SELECT owner, table_name, num_rows FROM all_tables WHERE secondary = 'N' UNION ALL
      SELECT owner, view_name, NULL FROM all_views) t ON t.owner = c.owner AND t.table_name = c.table_name
JOIN all_users u ON u.username = c.owner AND u.oracle_maintained = 'N'
LEFT JOIN all_col_comments m ON m.owner = c.owner AND m.table_name = c.table_name AND m.column_name = c.column_name
ORDER BY c.owner, c.table_name, c.column_id"""
_KEYS = """
SELECT k.owner, k.table_name, k.constraint_name, k.constraint_type, c.column_name
FROM all_constraints k JOIN all_cons_columns c ON c.owner = k.owner AND c.constraint_name = k.constraint_name
WHERE k.constraint_type IN ('P', 'U') AND k.status = 'ENABLED' AND k.validated = 'VALIDATED'
ORDER BY k.owner, k.table_name, k.constraint_type, k.constraint_name, c.position"""
_INDEXES = """
SELECT i.table_owner, i.table_name, i.owner || '.' || i.index_name, i.index_type, c.column_name
FROM all_indexes i JOIN all_ind_columns c ON c.index_owner = i.owner AND c.index_name = i.index_name
WHERE i.index_type = 'NORMAL' AND i.status = 'VALID'
ORDER BY i.table_owner, i.table_name, i.index_name, c.column_position"""
Keyed = dict[tuple[str, str], dict[str, list[str]]]


class Oracle(Generic):
    """Oracle; nothing is claimed of it before `vdw probe`. Its '' is NULL: such a text cannot be stored there."""

    name, title = "oracle", "Oracle"
    dbms = ("Oracle",)
    drivers = ("oracle", "sqora")
    dialect = "oracle"
    probe = "SELECT 1 FROM dual"
    no_rows = "SELECT NULL FROM dual WHERE 1 = 0"

    def keywords(self, where: Where) -> dict[str, Any]:
        # Easy Connect: //host:port/service; the driver has no keywords of its own for them
        place = f"//{where.server}{f':{where.port}' if where.port else ''}/{where.database or ''}"
        return {"DBQ": place if where.server else where.database, "FWC": "T", "NUM": "NLS", "BTD": "T"}

    def canary(self) -> str:
        return f"{super().canary().replace(chr(39), 'N' + chr(39), 1)} FROM dual"

    def prologue(self, facts: Facts) -> tuple[str, ...]:
        del facts
        return (
            "ALTER SESSION SET NLS_SORT = BINARY NLS_COMP = BINARY NLS_NUMERIC_CHARACTERS = '.,'"
            " NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS' NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6'"
            " NLS_TIMESTAMP_TZ_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6TZH:TZM' NLS_LENGTH_SEMANTICS = CHAR"
            " TIME_ZONE = '+00:00'",
        )

    def parameter(self, bound: Bound) -> Any:
        value = super().parameter(bound)
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return dt.datetime(value.year, value.month, value.day)
        return int(value) if isinstance(value, bool) else value

    def column(self, values: Sequence[Any], kind: PgType, name: str, told: Sequence[Any]) -> pa.Array:
        """NUMBER without a scale comes as whatever the driver likes best."""
        if kind.name == "numeric" and any(isinstance(value, float) for value in values):
            values = [Decimal(repr(value)) if isinstance(value, float) else value for value in values]
        return super().column(values, kind, name, told)

    def tables(self, given: Given, schemas: tuple[str, ...], tables: tuple[str, ...]) -> tuple[Table, ...]:
        grouped: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
        for row in given.ask(_COLUMNS):
            if (not schemas or row[0] in schemas) and (not tables or row[1] in tables):
                grouped[row[0], row[1]].append(row)
        keys, indexes = _keyed(given.ask(_KEYS)), _keyed(given.ask(_INDEXES))
        return tuple(_table(given.source, key, rows, keys[key], indexes[key]) for key, rows in grouped.items())


def column_type(native: str, precision: int | None, scale: int | None, length: int | None) -> PgType:
    """PostgreSQL's type of one in ALL_TAB_COLUMNS; text for what has none. A NUMBER without a precision has any."""
    bare = native.partition("(")[0]
    if native == "NUMBER":
        if precision is None or scale is None or not 0 <= scale <= precision:
            return PgType("numeric")
        return numeric(precision, scale)
    if native in ("VARCHAR2", "NVARCHAR2", "CHAR", "NCHAR"):
        return (varchar if "VAR" in native else bpchar)(length) if length else PgType("text")
    if bare == "TIMESTAMP":
        return PgType("text" if "ZONE" in native else "timestamp")
    return PgType(_TYPES.get(bare, "text"))


def _keyed(rows: Sequence[tuple[Any, ...]]) -> Keyed:
    found: Keyed = defaultdict(lambda: defaultdict(list))
    for owner, table, name, _, column in rows:
        found[owner, table][name].append(column)
    return found


def _table(
    source: str,
    key: tuple[str, str],
    rows: Sequence[tuple[Any, ...]],
    keys: Mapping[str, Sequence[str]],
    indexes: Mapping[str, Sequence[str]],
) -> Table:
    columns = tuple(_column(row) for row in rows)
    firm = {column.name for column in columns if not column.nullable}
    count = rows[0][9]
    return Table(
        source=source,
        schema=key[0],
        name=key[1],
        columns=columns,
        keys=tuple(tuple(names) for names in keys.values() if firm.issuperset(names)),
        indexes=tuple(dict.fromkeys(tuple(names) for names in indexes.values())),
        row_count=None if count is None else int(count),
    )


def _column(row: tuple[Any, ...]) -> Column:
    precision, scale, length = (None if value is None else int(value) for value in row[4:7])
    kind = column_type(row[3], precision, scale, length)
    return Column(
        name=row[2],
        type=kind,
        nullable=row[7] != "N",
        native=row[3],
        # a column may have a collation of its own; and '' is NULL
        collation=Collation.LOOSE if kind.name in ("text", "varchar", "bpchar") else Collation.BYTES,
        comment=row[8] or "",
    )
