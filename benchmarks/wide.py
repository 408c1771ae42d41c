"""A table of sixteen columns, made once as Parquet, and how each engine gets it: what `benchmarks.fetch` fetches."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import pyarrow.parquet as pq
from psycopg.conninfo import make_conninfo

from tests.servers import Server

# name: (type in PostgreSQL, expression over the row's number g in DuckDB)
COLUMNS: Mapping[str, tuple[str, str]] = {
    "id": ("bigint", "g"),
    "customer_id": ("integer", "(g * 7919 % 100000)::int"),
    "quantity": ("smallint", "(g % 100)::smallint"),
    "total": ("bigint", "g * 1000003"),
    "amount": ("numeric(12,2)", "((g * 7919 % 9999999) / 100)::decimal(12,2)"),
    "price": ("numeric(18,6)", "((g * 104729 % 999999937) / 1000)::decimal(18,6)"),
    "ratio": ("double precision", "g / 7.0::double"),
    "paid": ("boolean", "g % 3 = 0"),
    "day": ("date", "(date '2020-01-01' + (g % 2000)::int)"),
    "placed": ("timestamp", "timestamp '2020-01-01' + to_microseconds(g * 7000001)"),
    "seen": ("timestamptz", "(timestamp '2021-06-01' + to_microseconds(g * 1000003)) AT TIME ZONE 'UTC'"),
    "code": ("varchar(8)", "lpad((g % 99991)::varchar, 8, '0')"),
    "name": ("varchar(40)", "'customer ' || (g * 7919 % 100000)::varchar"),
    "city": ("varchar(40)", "['Ulm','Göttingen','Aix-en-Provence','Sankt Pölten','Łódź'][g % 5 + 1]"),
    "label": ("text", "'order ' || g::varchar || ' of a customer who wrote a remark'"),
    "note": ("text", "CASE WHEN g % 4 = 0 THEN 'note ' || g::varchar END"),
}
SELECT = f"SELECT {', '.join(COLUMNS)} FROM wide"
_MARIADB = {
    "double precision": "double",
    "boolean": "boolean",
    "timestamp": "datetime(6)",
    "timestamptz": "timestamp(6)",
}
_SQLITE = {"boolean": "boolean", "timestamp": "timestamp", "timestamptz": "timestamptz"}


def parquet(place: Path, rows: int) -> Path:
    """The file with so many rows."""
    file = place / "wide.parquet"
    items = ", ".join(f"{made} AS {name}" for name, (_, made) in COLUMNS.items())
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY (SELECT {items} FROM range(1, {rows + 1}) t(g)) TO '{file}' (FORMAT parquet)")
    return file


def into_postgresql(server: Server, file: Path) -> None:
    """The table in a PostgreSQL server, by COPY."""
    kinds = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    server.run("DROP TABLE IF EXISTS wide", f"CREATE TABLE wide ({kinds})", database=server.database)
    given = {**server.options, "dbname": server.database}
    del given["database"]
    text = {name: kind for name, (kind, _) in COLUMNS.items() if kind.startswith("numeric")}
    with adbc.connect(make_conninfo(**given)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE sent AS SELECT * FROM wide")
        for name in text:  # ADBC writes decimals of one precision only
            cursor.execute(f"ALTER TABLE sent ALTER {name} TYPE text")
        read = pq.ParquetFile(file)
        for batch in read.iter_batches(100_000):
            for name in text:
                at = batch.schema.get_field_index(name)
                batch = batch.set_column(at, name, batch.column(at).cast("string"))
            cursor.adbc_ingest("sent", batch, mode="append", temporary=True)
        items = ", ".join(f"{name}::{kind}" for name, (kind, _) in COLUMNS.items())
        cursor.execute(f"INSERT INTO wide SELECT {items} FROM sent")
        connection.commit()
    server.run("ALTER TABLE wide ADD PRIMARY KEY (id)", "ANALYZE wide", database=server.database)


def into_mariadb(server: Server, file: Path) -> None:
    """The table in a MariaDB server, by LOAD DATA."""
    kinds = ", ".join(f"{name} {_MARIADB.get(kind, kind)}" for name, (kind, _) in COLUMNS.items())
    text = server.folder / "wide.tsv"
    _written(file, text, "FORMAT csv, DELIMITER '\t', HEADER false, QUOTE '', NULLSTR '\\N'")
    text.chmod(0o644)
    server.run(
        f"CREATE OR REPLACE TABLE wide ({kinds.replace('timestamp(6)', 'timestamp(6) NULL')}) CHARACTER SET utf8mb4",
        "SET time_zone = '+00:00'",
        f"LOAD DATA INFILE '{text}' INTO TABLE wide CHARACTER SET utf8mb4",
        "ALTER TABLE wide ADD PRIMARY KEY (id)",
        database=server.database,
    )
    text.unlink()


def into_sqlite(place: Path, file: Path) -> Path:
    """The table in a SQLite file."""
    made = place / "wide.db"
    kinds = ", ".join(f"{name} {_SQLITE.get(kind, kind)}" for name, (kind, _) in COLUMNS.items())
    marks = ", ".join("?" * len(COLUMNS))
    items = ", ".join(_sqlite_form(name, kind) for name, (kind, _) in COLUMNS.items())
    with contextlib.closing(sqlite3.connect(made)) as into, duckdb.connect() as connection:
        into.execute(f"CREATE TABLE wide ({kinds}, PRIMARY KEY (id))")
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(f"SELECT {items} FROM '{file}'")
        while chunk := rows.fetchmany(20_000):
            into.executemany(f"INSERT INTO wide VALUES ({marks})", chunk)
        into.commit()
    return made


def into_duckdb(place: Path, file: Path) -> Path:
    """The table in a DuckDB file."""
    made = place / "wide.duckdb"
    with duckdb.connect(str(made)) as connection:
        connection.execute(f"CREATE TABLE wide AS SELECT * FROM '{file}'")
    return made


def _sqlite_form(name: str, kind: str) -> str:
    if kind.startswith("numeric") or kind in ("date", "timestamp"):
        return f"{name}::varchar"
    return f"{name}::varchar || ':00'" if kind == "timestamptz" else f"{name}::int" if kind == "boolean" else name


def _written(file: Path, text: Path, options: str) -> None:
    items = ", ".join(
        f"{name}::int" if kind == "boolean" else f"{name}::timestamp" if kind == "timestamptz" else name
        for name, (kind, _) in COLUMNS.items()
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY (SELECT {items} FROM '{file}') TO '{text}' ({options})")


_DRIVERS = {
    "postgresql": {"driver": "PostgreSQL Unicode", "UseDeclareFetch": 1, "Fetch": 10_000, "BoolsAsChar": 0},
    "mariadb": {"driver": "MariaDB Unicode"},
}


def odbc(server: Server) -> dict[str, Any]:
    """A source's `connection:` of kind odbc."""
    given = {key: value for key, value in server.options.items() if key != "host"}
    return {"driver": _DRIVERS[server.kind]["driver"], "server": server.host, **given}


def odbc_string(server: Server) -> str:
    """The connection string as peers have it: with what each driver needs to be quick."""
    where = {"server": server.host, "port": server.port, "database": server.database, "uid": server.user}
    words = {**_DRIVERS[server.kind], **where, "pwd": f"{{{server.password}}}"}
    return ";".join(f"{key}={value}" for key, value in words.items())


def options_of(server: Server, scheme: str) -> dict[str, Any]:
    """Connection options as the peers have them, and a URI of them for others."""
    who = f"{quote(server.user)}:{quote(server.password)}"
    return {**server.options, "uri": f"{scheme}://{who}@{server.host}:{server.port}/{server.database}"}
