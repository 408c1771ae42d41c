"""What a DuckDB database holds, by its own catalog functions."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import duckdb

from connectors.base import Collation, Column, ForeignKey, Table
from connectors.duckdb.types import mapped, natural

_TABLES = """
    SELECT schema_name, table_name, comment, estimated_size, contains(upper(sql), 'COLLATE')
    FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal
    UNION ALL
    SELECT schema_name, view_name, comment, NULL, false
    FROM duckdb_views() WHERE database_name = current_database() AND NOT internal
    ORDER BY 1, 2
"""
_COLUMNS = """
    SELECT schema_name, table_name, column_name, data_type, is_nullable, comment
    FROM duckdb_columns() WHERE database_name = current_database() AND NOT internal ORDER BY column_index
"""
_CONSTRAINTS = """
    SELECT schema_name, table_name, constraint_type, constraint_column_names, referenced_table, referenced_column_names
    FROM duckdb_constraints() WHERE database_name = current_database() ORDER BY constraint_index
"""


def literal(text: str) -> str:
    """A text as DuckDB's SQL."""
    return "'" + text.replace("'", "''") + "'"


def quote(name: str) -> str:
    """An identifier as DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def read(cursor: duckdb.DuckDBPyConnection, source: str) -> list[Table]:
    """Tables and views; a column is exact where DuckDB computes in its type as PostgreSQL does in ours."""
    columns, constraints = _grouped(cursor, _COLUMNS), _grouped(cursor, _CONSTRAINTS)
    return [
        _table(source, row, columns[row[0], row[1]], constraints[row[0], row[1]])
        for row in cursor.execute(_TABLES).fetchall()
    ]


def _grouped(cursor: duckdb.DuckDBPyConnection, sql: str) -> defaultdict[tuple[str, str], list[Any]]:
    groups: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for schema, table, *rest in cursor.execute(sql).fetchall():
        groups[schema, table].append(rest)
    return groups


def _table(source: str, row: Any, columns: list[Any], constraints: list[Any]) -> Table:
    schema, name, comment, size, collates = row
    unique = [tuple(c[1]) for c in constraints if c[0] == "PRIMARY KEY"]
    unique += [tuple(c[1]) for c in constraints if c[0] == "UNIQUE"]
    made = tuple(_column(*column[:4], collates=collates) for column in columns)
    firm = {column.name for column in made if not column.nullable}
    return Table(
        source=source,
        schema=schema,
        name=name,
        columns=made,
        keys=tuple(names for names in unique if firm.issuperset(names)),
        indexes=tuple(unique),
        foreign_keys=tuple(
            ForeignKey(tuple(c[1]), c[2], tuple(c[3]), True) for c in constraints if c[0] == "FOREIGN KEY"
        ),
        row_count=size,
        comment=comment or "",
    )


def _column(name: str, native: str, nullable: bool, comment: str | None, *, collates: bool) -> Column:
    kind = mapped(native)
    return Column(
        name=name,
        type=kind,
        nullable=nullable,
        native=native,
        collation=Collation.LOOSE if collates else Collation.BYTES,
        comment=comment or "",
        exact=natural(kind) == native,
    )
