"""Ten million rows out of vdw, by COPY and by cursors, against the same from the source; and the process's memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from benchmarks import figures, stage
from benchmarks.figures import percentile, show

MB = 1e6
LIMIT = 500 * MB
COLUMNS = "id, customer_id, amount, placed, label"
QUERY = """SELECT g::bigint AS id, (g % 100000)::int AS customer_id, (g % 9973 + 0.25)::numeric(12,2) AS amount,
timestamp '2020-01-01' + {moment} AS placed, 'row ' || g AS label FROM generate_series(1, {rows}) AS t(g)"""
FETCH = 20_000  # rows at a time, by cursor


@dataclass
class World:
    """The sources and vdw over them."""

    native: dict[str, Any]
    served: stage.Served
    parquet: Path


@contextlib.contextmanager
def world(rows: int) -> Iterator[World]:
    """A table of so many rows in PostgreSQL and the same in a Parquet file."""
    with stage.folder() as place, stage.servers("postgresql") as servers:
        server = servers["postgresql"]
        made = QUERY.format(rows=rows, moment="g * interval '7 second'")
        server.run(f"CREATE UNLOGGED TABLE big AS {made}", "ANALYZE big", database=server.database)
        (place / "files").mkdir()
        parquet = place / "files" / "big.parquet"
        with duckdb.connect() as connection:
            made = QUERY.format(rows=rows, moment="to_seconds(g * 7)")
            connection.execute(f"COPY ({made}) TO '{parquet}' (FORMAT parquet)")
        limits = {"limits": {"rows": 2 * rows, "timeout": "3600s"}}
        stage.write(
            place,
            {
                "live": {"kind": "postgresql", "connection": dict(server.options), **limits},
                "files": {"kind": "files", "connection": {"folder": "files"}, **limits},
            },
            {
                f"bulk.{name}": stage.view(f"bulk.{name}", f"SELECT {COLUMNS} FROM {name}.big")
                for name in ("live", "files")
            },
        )
        options = {**server.options, "dbname": server.database}
        del options["database"]
        with stage.served(place) as served:
            yield World(options, served, parquet)


def copied(options: dict[str, Any], table: str, form: str = "text") -> tuple[int, int]:
    """Rows and bytes of COPY TO STDOUT, read and dropped."""
    size = 0
    with _connected(options) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY (SELECT {COLUMNS} FROM {table}) TO STDOUT (FORMAT {form})") as copy:
            for piece in copy:
                size += len(piece)
        return cursor.rowcount, size


def by_portal(options: dict[str, Any], table: str) -> tuple[int, int]:
    """Rows of a portal, fetched so many at a time: what JDBC's fetch size and asyncpg's cursors do."""
    import asyncio

    import asyncpg
    import uvloop

    given = {**options, "database": options["dbname"]}
    del given["dbname"]

    async def run() -> int:
        connection = await asyncpg.connect(**given)
        await connection.execute("SET statement_timeout = '1h'")
        count = 0
        async with connection.transaction():
            cursor = await connection.cursor(f"SELECT {COLUMNS} FROM {table}")
            while rows := await cursor.fetch(FETCH):
                count += len(rows)
        await connection.close()
        return count

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run()), 0


def by_cursor(options: dict[str, Any], table: str) -> tuple[int, int]:
    """Rows of DECLARE CURSOR and FETCH, binary; decoded no further than libpq does."""
    count = size = 0
    with _connected(options) as connection, connection.transaction():
        connection.execute(f"DECLARE c BINARY CURSOR FOR SELECT {COLUMNS} FROM {table}")
        while True:
            result = connection.pgconn.exec_(f"FETCH {FETCH} FROM c".encode())
            assert result.status == psycopg.pq.ExecStatus.TUPLES_OK, result.error_message
            if not result.ntuples:
                return count, size
            count += result.ntuples


@contextlib.contextmanager
def _connected(options: dict[str, Any]) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(**options, autocommit=True) as connection:
        connection.execute("SET statement_timeout = '1h'")
        yield connection


def by_duckdb(parquet: Path) -> tuple[int, int]:
    """Parquet's floor: DuckDB writes it as CSV into nothing."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        count = connection.execute(f"COPY (SELECT {COLUMNS} FROM '{parquet}') TO '/dev/null' (FORMAT csv)").fetchone()
    assert count is not None
    return int(count[0]), 0


def measure(given: World, rows: int, ours: Callable[[], tuple[int, int]], native: Callable[[], tuple[int, int]]) -> Any:
    """Natively first, then through vdw, whose memory is watched."""
    floor = _rate(native, rows)
    served = given.served
    served.forget_peak()
    before, processor = served.memory(), served.processor()
    rate = _rate(ours, rows)
    return {
        "rows": rows,
        "rows_per_s": round(rate),
        "native_rows_per_s": round(floor),
        "ratio_of_time": floor / rate,
        "server_cpu_s": served.processor() - processor,
        "before_mb": before / MB,
        "peak_mb": served.peak() / MB,
    }


def _rate(run: Callable[[], tuple[int, int]], rows: int) -> float:
    began = time.perf_counter()
    count, _ = run()
    assert count == rows, f"{count} rows came"
    return rows / (time.perf_counter() - began)


def main() -> None:
    """Exits with 1 where the process took 500 MB or more."""
    parser = figures.arguments(__doc__, 0)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--only", default="", help="only lines whose name contains this")
    given = parser.parse_args()
    peaks = []
    with world(given.rows) as made:
        options, native = made.served.options, made.native
        lines: dict[str, tuple[Callable[[], tuple[int, int]], Callable[[], tuple[int, int]]]] = {
            "PostgreSQL, COPY": (lambda: copied(options, "bulk.live"), lambda: copied(native, "big")),
            "PostgreSQL, COPY binary": (
                lambda: copied(options, "bulk.live", "binary"),
                lambda: copied(native, "big", "binary"),
            ),
            "PostgreSQL, portal": (lambda: by_portal(options, "bulk.live"), lambda: by_portal(native, "big")),
            "PostgreSQL, DECLARE CURSOR": (lambda: by_cursor(options, "bulk.live"), lambda: by_cursor(native, "big")),
            "Parquet, COPY": (lambda: copied(options, "bulk.files"), lambda: by_duckdb(made.parquet)),
        }
        for name, (ours, floor) in lines.items():
            if given.only in name:
                told = measure(made, given.rows, ours, floor)
                peaks.append(told["peak_mb"] * MB)
                show(given.json, name, **told, **figures.machine())
    raise SystemExit(percentile(peaks, 1) >= LIMIT)


if __name__ == "__main__":
    main()
