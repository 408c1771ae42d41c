"""SQLite, DuckDB and Parquet: exact types, honest claims, refusals, cancellation; what the shared suite cannot ask."""

from __future__ import annotations

import datetime as dt
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.base import Bound, Cancel, Collation, Connector, SourceQuery
from connectors.errors import LimitExceeded, SourceError
from connectors.sqlite import SqliteConnector
from connectors.types import PgType, numeric, varchar

INT8, TEXT = PgType("int8"), PgType("text")


def fetch(
    connector: Connector, sql: str, columns: tuple[PgType, ...], *params: Bound, timeout: float = 10.0
) -> pa.Table:
    """All rows of one statement; ? in `sql` stands for the parameters in turn."""
    pieces = sql.split("?")
    parts: list[str | int] = [pieces[0]]
    for number, piece in enumerate(pieces[1:]):
        parts += [number, piece]
    query = SourceQuery(tuple(parts), params, columns)
    batches = list(connector.execute(query, timeout=timeout, cancel=Cancel()))
    assert batches
    return pa.Table.from_batches(batches, query.schema)


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


class Lite:
    """A SQLite file under test and a connector to it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.path = folder / "data.db"
        self.connector = SqliteConnector(
            "lite", SqliteConnector.Options(path="data.db", base_folder=str(folder), **options)
        )

    def write(self, script: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(script)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Lite]:
    made = Lite(tmp_path)
    yield made
    made.connector.close()


def test_sqlite_declared_types_and_values(lite: Lite) -> None:
    lite.write(
        """
        CREATE TABLE t(i INTEGER PRIMARY KEY, s SMALLINT, d DECIMAL(10,2), n NUMERIC, v VARCHAR(5), b BOOLEAN, f REAL,
                       day DATE, at DATETIME, tz TIMESTAMPTZ, raw BLOB, any, u UUID, j JSON, tm TIME);
        INSERT INTO t VALUES (1, 2, 12.34, '1.50', 'é', 1, 0.1, '2024-02-29', '2024-01-01 10:00:00.5',
                              '2024-01-01T10:00:00+02:00', x'00ff', 7, '6f1b2c3d-0000-4000-8000-000000000000', '{"a":1}',
                              '24:00:00'),
                             (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
        """
    )
    (table,) = lite.connector.tables()
    assert [column.type.sql for column in table.columns] == [
        "bigint", "smallint", "numeric(10,2)", "numeric", "character varying(5)", "boolean", "double precision", "date",
        "timestamp without time zone", "timestamp with time zone", "bytea", "text", "uuid", "json",
        "time without time zone",
    ]  # fmt: skip
    first, second = rows(fetch(lite.connector, "SELECT * FROM t ORDER BY i", tuple(c.type for c in table.columns)))
    assert first[:7] == (1, 2, Decimal("12.34"), "1.5", "é", True, 0.1)
    assert first[7:9] == (dt.date(2024, 2, 29), dt.datetime(2024, 1, 1, 10, 0, 0, 500000))
    assert first[9] == dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)
    assert first[10:14] == (b"\x00\xff", "7", "6f1b2c3d-0000-4000-8000-000000000000", '{"a":1}')
    assert set(second[1:]) == {None}
