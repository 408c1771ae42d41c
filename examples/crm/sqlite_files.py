"""Writes tables into a SQLite file, declared so that vdw reads each type exactly."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from examples.crm.data import Table

_TYPES = {
    "int8": "INTEGER",
    "int4": "INT4",
    "date": "DATE",
    "bool": "BOOLEAN",
    "timestamptz": "TIMESTAMPTZ",
    "float8": "DOUBLE PRECISION",
}


def write(file: Path, tables: Sequence[Table]) -> None:
    """A new file with these tables in the place of the old one, by rename: readers see one or the other."""
    file.parent.mkdir(parents=True, exist_ok=True)
    whole = file.with_suffix(".part")
    whole.unlink(missing_ok=True)
    with closing(sqlite3.connect(whole)) as connection:
        for table in tables:
            connection.execute(_ddl(table))
            marks = ", ".join("?" * len(table.columns))
            connection.executemany(f"INSERT INTO {table.name} VALUES ({marks})", map(_row, table.rows))
            for column in table.indexes:
                connection.execute(f"CREATE INDEX {table.name}_{column} ON {table.name} ({column})")
        connection.execute("ANALYZE")
        connection.commit()
    whole.replace(file)


def _ddl(table: Table) -> str:
    lines = [
        f"{name} {_declared(kind)}" + (" PRIMARY KEY" if name == table.key else "")
        for name, kind in table.columns.items()
    ]
    lines += [f"FOREIGN KEY ({column}) REFERENCES {other} ({key})" for column, (other, key) in table.references.items()]
    return f"CREATE TABLE {table.name} ({', '.join(lines)})"


def _declared(kind: str) -> str:
    name = kind.rstrip("!")
    return _TYPES.get(name, name.upper().replace("NUMERIC", "DECIMAL")) + (" NOT NULL" if kind.endswith("!") else "")


def _row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(map(_stored, row))


def _stored(value: Any) -> Any:
    """SQLite has no such types: instants as text that sorts, in UTC and without trailing zeros; decimals as text,
    which its DECIMAL affinity keeps as the number it is (two digits behind the point fit a real)."""
    if isinstance(value, dt.datetime):
        text = value.isoformat(sep=" ").removesuffix("+00:00")
        return (text.rstrip("0") if value.microsecond else text) + "+00:00"
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
