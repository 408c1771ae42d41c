"""The best drivers there are, each fetching a whole SELECT as a program would that needs nothing else: the peers."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.wide import COLUMNS

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


def alchemy(options: Options, sql: str) -> int:
    """SQLAlchemy's own rows by a server-side cursor, by whichever driver the URL names; tuples of Python values."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(options["url"], poolclass=sqlalchemy.NullPool)
    with engine.connect().execution_options(stream_results=True, max_row_buffer=BATCH) as connection:
        return sum(len(rows) for rows in connection.exec_driver_sql(sql).partitions(BATCH))


def mysqlclient(options: Options, sql: str) -> int:
    """mysqlclient's tuples of Python values, unbuffered."""
    import MySQLdb
    import MySQLdb.cursors

    given = {key: value for key, value in options.items() if key != "uri"}
    with contextlib.closing(
        MySQLdb.connect(**given, charset="utf8mb4", cursorclass=MySQLdb.cursors.SSCursor)
    ) as connection:
        return _drained(connection, sql)


def trino(options: Options, sql: str) -> int:
    """Trino's own client: rows of Python values, spooled where the server does that."""
    import trino as driver

    with contextlib.closing(driver.dbapi.connect(**options)) as connection:  # type: ignore[no-untyped-call]
        return _drained(connection, sql)


def trino_pages(options: Options, sql: str) -> int:
    """Trino's own client, in pages of the coordinator."""
    return trino({**options, "encoding": None}, sql)


def pyodbc(options: Options, sql: str) -> int:
    """pyodbc's tuples of Python values, in portions."""
    import pyodbc as driver

    with contextlib.closing(driver.connect(options["string"], autocommit=True)) as connection:
        return _drained(connection, sql)


def arrow_odbc(options: Options, sql: str) -> int:
    """arrow-odbc's batches: double precision as real, wrong or not."""
    from arrow_odbc import read_arrow_batches_from_odbc

    given = {"batch_size": 10_000, "max_text_size": 4096, "max_binary_size": 4096, "max_bytes_per_batch": 1 << 28}
    return sum(batch.num_rows for batch in read_arrow_batches_from_odbc(sql, options["string"], **given))


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


def duckdb_csv(options: Options, sql: str) -> int:
    """DuckDB's Arrow reader over a CSV, told the types, as ours is."""
    return _duckdb_text("read_csv", options["path"], sql)


def duckdb_json(options: Options, sql: str) -> int:
    """DuckDB's Arrow reader over JSON lines, told the types: its guess from a sample fails on later rows."""
    return _duckdb_text("read_ndjson", options["path"], sql)


def _duckdb_text(read: str, path: str, sql: str) -> int:
    columns = ", ".join(f"'{name}': '{kind}'" for name, (kind, _) in COLUMNS.items())
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW wide AS SELECT * FROM {read}('{path}', columns = {{{columns}}})")
        return sum(batch.num_rows for batch in connection.sql(sql).to_arrow_reader(BATCH))


def pyarrow_csv(options: Options, sql: str) -> int:
    """Arrow's own CSV reader, types guessed from the first block, streamed."""
    from pyarrow import csv

    del sql
    return sum(batch.num_rows for batch in csv.open_csv(options["path"]))


def pyarrow_ipc(options: Options, sql: str) -> int:
    """Arrow's own files, read: to map them into memory touches no value, so that it would measure nothing."""
    from pyarrow import ipc

    del sql
    with pa.OSFile(options["path"]) as raw, ipc.open_file(raw) as reader:
        return sum(reader.get_batch(number).num_rows for number in range(reader.num_record_batches))


def delta_scan(options: Options, sql: str) -> int:
    """delta-rs's own engine."""
    from deltalake import DeltaTable

    del sql
    return sum(batch.num_rows for batch in pa.RecordBatchReader.from_stream(DeltaTable(options["path"]).scan()))


def pyarrow_s3(options: Options, sql: str) -> int:
    """Arrow's own Parquet reader over its own S3 client."""
    from pyarrow import fs

    del sql
    said = options["s3"]
    keys = {"access_key": said["access_key_id"], "secret_key": said["secret_access_key"]}
    place = fs.S3FileSystem(**keys, endpoint_override=said["endpoint"], region="us-east-1")
    with place.open_input_file(options["folder"].removeprefix("s3://") + "/wide.parquet") as raw:
        return sum(batch.num_rows for batch in pq.ParquetFile(raw, pre_buffer=True).iter_batches(BATCH))


def rest_tuples(options: Options, sql: str) -> int:
    """httpx and msgspec: tuples of Python values, texts of times and floats of numbers, wrong or not."""
    from operator import itemgetter

    del sql
    return sum(len(list(map(itemgetter(*COLUMNS), items))) for items in _items(options["url"]))


def rest_arrow(options: Options, sql: str) -> int:
    """httpx and msgspec, and Arrow's types by guess."""
    del sql
    return sum(pa.RecordBatch.from_pylist(items).num_rows for items in _items(options["url"]))


def _items(url: str) -> Iterator[list[Any]]:
    import httpx
    import msgspec

    decode = msgspec.json.Decoder().decode
    with httpx.Client(base_url=url, trust_env=False) as client:
        following = "/orders"
        while following:
            page = decode(client.get(following).content)
            yield page["items"]
            following = page["next"]


def _drained(connection: Any, sql: str) -> int:
    cursor = connection.cursor()
    cursor.execute(sql)
    count = 0
    while rows := cursor.fetchmany(BATCH):
        count += len(rows)
    return count
