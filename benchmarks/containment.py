"""What it costs to take an answer from kept rows that contain it, beside asking PostgreSQL for it by an index."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa

from benchmarks.figures import MS, arguments, machine, show
from federation.reuse.allowed import Allowed
from federation.reuse.contain import Match
from tests.servers import Server, running

ROWS = (1_000, 10_000, 20_000, 100_000, 200_000, 1_000_000)
SERVER_ROWS = 200_000
DAYS, STATES = 20_000, 5
TABLE = f"""CREATE TABLE o AS SELECT i::bigint AS id, (i % 1000)::int AS customer, 'status ' || i % {STATES} AS status,
    ((i % 100000) / 100.0)::numeric(10,2) AS price, timestamptz '2020-01-01' + i * interval '1 minute' AS at,
    'some text of a customer ' || i AS note, date '1990-01-01' + i % {DAYS} AS day, random() AS share
    FROM generate_series(1, {SERVER_ROWS}) i"""
ASKED = {
    "one row by its key": "SELECT * FROM o WHERE id = 77",
    "200 rows by an index": "SELECT * FROM o WHERE customer = 5",
    "20,200 rows by an index": "SELECT * FROM o WHERE customer BETWEEN 100 AND 200",
}


def table(count: int) -> pa.Table:
    """So many rows of eight columns."""
    chance = random.Random(1)
    start, first = datetime(2020, 1, 1, tzinfo=UTC), date(1990, 1, 1)
    columns: dict[str, tuple[list[Any], pa.DataType]] = {
        "id": (list(range(count)), pa.int64()),
        "customer": ([chance.randrange(1000) for _ in range(count)], pa.int32()),
        "status": ([f"status {chance.randrange(STATES)}" for _ in range(count)], pa.string()),
        "price": ([Decimal(chance.randrange(100_000)) / 100 for _ in range(count)], pa.decimal128(10, 2)),
        "at": ([start + timedelta(minutes=at) for at in range(count)], pa.timestamp("us", tz="UTC")),
        "note": ([f"some text of a customer {at}" for at in range(count)], pa.string()),
        "day": ([first + timedelta(days=chance.randrange(DAYS)) for _ in range(count)], pa.date32()),
        "share": ([chance.random() for _ in range(count)], pa.float64()),
    }
    return pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})


def _one(at: int, **bounds: Any) -> tuple[tuple[int, Allowed], ...]:
    return ((at, Allowed(null=False, **bounds)),)


CHECKS: dict[str, tuple[tuple[int, Allowed], ...]] = {
    "customer =": _one(1, members=frozenset((5,))),
    "customer between, a tenth": _one(1, low=100, high=200),
    "status in, two fifths": _one(2, members=frozenset(("status 1", "status 3"))),
    "price <, a tenth": _one(3, high=Decimal("100.00")),
    "id in a thousand keys": _one(0, members=frozenset(range(0, 100_000, 100))),
    "three conditions": (
        *_one(1, low=100, high=600),
        *_one(2, members=frozenset(("status 1",))),
        *_one(6, low=10_000),
    ),
}


def best(work: Callable[[], object], seconds: float) -> float:
    """The fastest of many runs, in ms."""
    fastest, until = float("inf"), time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        work()
        fastest = min(fastest, time.perf_counter() - began)
    return fastest * MS


def _kept(seconds: float, as_json: bool) -> None:
    for count in ROWS:
        rows = table(count)
        batches = rows.to_batches(max_chunksize=16_384)
        for name, checks in CHECKS.items():
            match = Match(tuple(range(rows.num_columns)), checks, "")
            ms = best(partial(match.of, batches, rows.schema), seconds)
            show(as_json, f"of {count:,} kept rows: {name}", ms=ms, ms_per_100k=ms * 100_000 / count)


def _all(connection: Any, sql: str) -> list[Any]:
    return list(connection.execute(sql).fetchall())


def _asked(server: Server, seconds: float, as_json: bool) -> None:
    server.run(
        TABLE, "ALTER TABLE o ADD PRIMARY KEY (id)", "CREATE INDEX ON o (customer)", "ANALYZE o", database="shop"
    )
    with server.admin("shop") as connection:
        for name, sql in ASKED.items():
            ms = best(partial(_all, connection, sql), seconds)
            show(as_json, f"PostgreSQL by psycopg: {name}", ms=ms)


def main() -> None:
    """Print both."""
    options = arguments(__doc__, 0.5).parse_args()
    show(options.json, "machine", **machine())
    _kept(options.seconds, options.json)
    with running("postgresql") as server:
        _asked(server, options.seconds, options.json)


if __name__ == "__main__":
    main()
