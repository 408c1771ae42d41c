"""Many rows into the canon: temporary tables that are filled piece by piece, with statistics for the joins over them.

Measured on two busy cores, 500,000 rows x 4 columns joined with 125,000 x 2 and aggregated: all rows as parameters of
one statement 3.5 s (and as much memory as they take, three times over), tables filled by INSERT ... SELECT unnest in
pieces 4.4 s, by COPY in binary 4.6 s, by ADBC 4.9 s. So parameters as long as they fit (`residual.PARAMETERS`), and
then pieces: while the server takes one, the next is encoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
from psycopg.pq import Format
from psycopg.pq.abc import PGconn

from connectors.errors import LimitExceeded
from connectors.types import PgType
from federation.canon.arrays import arrays, wire_type
from federation.canon.wire import Command, Wire, encode, query
from planner.plan import Fragment, Plan

PIECE = 8 * 2**20  # bytes of rows that are sent at once, about
LIMIT = 4 * 2**30  # bytes of the tables of one merge


def bounded(tables: Mapping[int, pa.Table], limit: int = LIMIT) -> None:
    """LimitExceeded (53400) for more rows than the canon's temporary tables may hold."""
    size = sum(table.nbytes for table in tables.values())
    if size > limit:
        raise LimitExceeded(
            f"the rows to merge take {size / 2**30:.1f} GB, and a merge may put {limit / 2**30:.1f} GB into the canon",
            hint="Narrow the query (filter, select fewer columns), write what EXPLAIN names as not proven in DuckDB in "
            "another way, or raise merge.canon in vdw.yml.",
        )


def relations(plan: Plan) -> str:
    """The plan's relations f0, f1 ... as CTEs over the tables that `fill` makes."""
    return ", ".join(f"f{fragment.id}{_listed(fragment)} AS NOT MATERIALIZED ({_read(fragment)})" for fragment in
                     plan.fragments)  # fmt: skip


def _columns(fragment: Fragment) -> list[PgType]:
    return [kind for _, kind in fragment.columns] or [PgType("bool")]


def _listed(fragment: Fragment) -> str:
    names = ", ".join(f"c{i}" for i in range(len(fragment.columns)))
    return f"({names})" if names else ""


def _read(fragment: Fragment) -> str:
    names = ", ".join(f"c{i}" for i in range(len(fragment.columns)))
    return f"SELECT {names} FROM pg_temp.vdw_f{fragment.id}"  # noqa: S608  (names of our own)


async def fill(wire: Wire, plan: Plan, tables: Mapping[int, pa.Table]) -> None:
    """Make the tables in a transaction of the connection, which stays open: ended, they are gone. Read-only then."""
    created = [_create(fragment) for fragment in plan.fragments]
    await wire.run(query("BEGIN READ WRITE"), *(query(text) for text in created))
    for fragment in plan.fragments:
        await _insert(wire, fragment, tables[fragment.id])
    analysed = [query(f"ANALYZE pg_temp.vdw_f{fragment.id}") for fragment in plan.fragments]
    await wire.run(*analysed, query("SET TRANSACTION READ ONLY"))


def _create(fragment: Fragment) -> str:
    columns = ", ".join(f"c{i} {kind.bare.sql}" for i, kind in enumerate(_columns(fragment)))
    return f"CREATE TEMPORARY TABLE vdw_f{fragment.id} ({columns}) ON COMMIT DROP"


async def _insert(wire: Wire, fragment: Fragment, table: pa.Table) -> None:
    kinds = _columns(fragment)
    given = ", ".join(f"${i}::{wire_type(kind).sql}[]" for i, kind in enumerate(kinds, 1))
    cast = ", ".join(f"u.c{i}" + ("" if wire_type(k) == k.bare else f"::{k.bare.sql}") for i, k in enumerate(kinds))
    names = ", ".join(f"c{i}" for i in range(len(kinds)))
    table_name = f"pg_temp.vdw_f{fragment.id}"
    text = encode(f"INSERT INTO {table_name} SELECT {cast} FROM unnest({given}) AS u({names})")  # noqa: S608
    own = [kind for _, kind in fragment.columns]
    pieces = _pieces(table)
    coming = asyncio.create_task(asyncio.to_thread(_next, pieces, own))
    try:
        while (values := await coming) is not None:
            coming = asyncio.create_task(asyncio.to_thread(_next, pieces, own))
            await wire.run(_sent(text, values, [wire_type(kind).array.type_oid for kind in kinds]))
    finally:
        coming.cancel()


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    rows = max(1, int(table.num_rows / max(1.0, table.nbytes / PIECE)))
    return (table.slice(at, rows) for at in range(0, table.num_rows, rows))


def _next(pieces: Iterator[pa.Table], kinds: Sequence[PgType]) -> list[bytes] | None:
    piece = next(pieces, None)
    return None if piece is None else arrays(piece, kinds)


def _sent(text: bytes, values: Sequence[bytes], oids: Sequence[int]) -> Command:
    def send(pgconn: PGconn) -> None:
        pgconn.send_query_params(text, values, oids, [Format.BINARY] * len(values), Format.BINARY)

    return send
