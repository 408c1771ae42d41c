"""One PostgreSQL that holds all data of a built example, and its views as they are written: what an answer must be."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from federation.canon.server import Canon
from views.load import load

Columns = dict[str, str]  # names to PostgreSQL's types
_DECLARED = {"INTEGER": "bigint"}  # SQLite's is PostgreSQL's bigint; all other names mean the same in both
_ARROW = {
    pa.int64(): "bigint",
    pa.int32(): "integer",
    pa.date32(): "date",
    pa.bool_(): "boolean",
    pa.timestamp("us", tz="UTC"): "timestamptz",
    pa.string(): "text",
}


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[psycopg.Connection[Any]]:
    """A private PostgreSQL with the folder's files in it, read by none of vdw's connectors; gone afterwards."""
    canon = Canon()
    try:
        canon.start()
        with psycopg.connect(canon.dsn(), autocommit=True) as connection:
            project = load(folder)
            for name, source in project.sources.items():
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
                if source.kind == "sqlite":
                    _copy_sqlite(connection, name, folder / source.connection["path"])
                else:
                    _copy_parquet(connection, name, folder / source.connection["folder"])
            for view in project.views:
                connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(view.schema)))
                made = f"CREATE VIEW {view.schema}.{view.name} AS {view.query}"
                connection.execute(made.encode())
            yield connection
    finally:
        canon.stop()


def _copy_sqlite(connection: psycopg.Connection[Any], schema: str, file: Path) -> None:
    with contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as source:
        for (table,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if table.startswith("sqlite_"):
                continue
            facts = source.execute(f"PRAGMA table_info({table})").fetchall()
            columns = {name: _DECLARED.get(kind, kind) for _, name, kind, *_ in facts}
            _copy(connection, schema, table, columns, source.execute(f"SELECT * FROM {table}"))


def _copy_parquet(connection: psycopg.Connection[Any], schema: str, folder: Path) -> None:
    for file in sorted(folder.glob("*.parquet")):
        read = pq.read_table(file)
        columns = {field.name: _of_arrow(field.type) for field in read.schema}
        rows = zip(*(column.to_pylist() for column in read.columns), strict=True)
        _copy(connection, schema, file.stem, columns, rows)


def _of_arrow(kind: pa.DataType) -> str:
    return f"numeric({kind.precision},{kind.scale})" if pa.types.is_decimal(kind) else _ARROW[kind]


def _copy(
    connection: psycopg.Connection[Any], schema: str, table: str, columns: Columns, rows: Iterable[tuple[Any, ...]]
) -> None:
    name = f"{schema}.{table}"
    listed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    connection.execute(f"CREATE TABLE {name} ({listed})".encode())
    with connection.cursor().copy(f"COPY {name} FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(row)
    connection.execute(f"ANALYZE {name}".encode())
