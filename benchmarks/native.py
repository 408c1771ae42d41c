"""The best drivers there are, each fetching a whole SELECT as a program would that needs nothing else: the peers."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

BATCH = 65_536

Options = dict[str, Any]


def adbc_postgresql(options: Options, sql: str) -> int:
    """ADBC's COPY, decimals as their text (its only exact form); not parsed."""
    import adbc_driver_postgresql.dbapi as adbc

    with adbc.connect(options["uri"]) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return sum(batch.num_rows for batch in cursor.fetch_record_batch())


def connectorx(options: Options, sql: str) -> int:
    """connectorx's Arrow: all in memory at once, decimals as decimal(38,10), wrong or not."""
    import connectorx as cx

    return int(cx.read_sql(options["uri"], sql, return_type="arrow").num_rows)


def mysqlclient(options: Options, sql: str) -> int:
    """mysqlclient's tuples of Python values, unbuffered."""
    import MySQLdb
    import MySQLdb.cursors

    given = {key: value for key, value in options.items() if key != "uri"}
    with contextlib.closing(
        MySQLdb.connect(**given, charset="utf8mb4", cursorclass=MySQLdb.cursors.SSCursor)
    ) as connection:
        return _drained(connection, sql)


def sqlite(options: Options, sql: str) -> int:
    """The standard library's tuples."""
    with contextlib.closing(sqlite3.connect(options["path"])) as connection:
        return _drained(connection, sql)


def sqlite_arrow(options: Options, sql: str) -> int:
    """The standard library's tuples, as Arrow columns of what they are."""
    count = 0
    with contextlib.closing(sqlite3.connect(options["path"])) as connection:
        cursor = connection.execute(sql)
        while rows := cursor.fetchmany(BATCH):
            count += max(len(pa.array(column)) for column in zip(*rows, strict=True))
    return count


def duckdb_file(options: Options, sql: str) -> int:
    """DuckDB's Arrow reader."""
    with duckdb.connect(options["path"], read_only=True) as connection:
        return sum(batch.num_rows for batch in connection.sql(sql).to_arrow_reader(BATCH))


def duckdb_parquet(options: Options, sql: str) -> int:
    """DuckDB's Arrow reader over a Parquet file."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW wide AS SELECT * FROM '{options['path']}'")
        return sum(batch.num_rows for batch in connection.sql(sql).to_arrow_reader(BATCH))


def pyarrow_parquet(options: Options, sql: str) -> int:
    """Arrow's own Parquet reader, all columns, streamed."""
    del sql
    file = pq.ParquetFile(options["path"])
    return sum(batch.num_rows for batch in file.iter_batches(BATCH))


def _drained(connection: Any, sql: str) -> int:
    cursor = connection.cursor()
    cursor.execute(sql)
    count = 0
    while rows := cursor.fetchmany(BATCH):
        count += len(rows)
    return count
