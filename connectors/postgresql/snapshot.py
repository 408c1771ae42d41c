"""Transactions of PostgreSQL that several readers share: an exported snapshot, and those who import it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pyarrow as pa

from connectors import arrow
from connectors.base import SourceQuery
from connectors.postgresql.drivers import Session, tell
from connectors.postgresql.rows import from_result
from connectors.postgresql.sql import inlined
from connectors.tally import SESSION, Tally

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_PIECE = 20_000  # rows of one FETCH


def exported(connection: psycopg.Connection[Any], tally: Tally) -> str | None:
    """Begin a transaction; the name under which others find its state, None where the server exports none."""
    tally.add(SESSION, 2)
    try:
        cursor = connection.execute(f"{_BEGIN}; SELECT pg_export_snapshot()", prepare=False)
        cursor.nextset()
        row = cursor.fetchone()
    except psycopg.Error as error:
        if connection.closed or error.sqlstate == "57014":
            raise
        tally.add(SESSION, 3)
        connection.execute(f"ROLLBACK; {_BEGIN}; SELECT 1", prepare=False)  # the first statement makes the state
        return None
    return None if row is None else str(row[0])


@contextlib.contextmanager
def inside(snapshot: str | None, session: Session, tally: Tally) -> Iterator[None]:
    """The body's statements, over a connection of either driver, read that state; None: each its own."""
    if snapshot is None:
        yield
        return
    tell(session, _BEGIN, f"SET TRANSACTION SNAPSHOT '{snapshot}'")
    yield
    tell(session, "COMMIT")
    tally.add(SESSION, 3)


def fetched(connection: psycopg.Connection[Any], query: SourceQuery, tally: Tally) -> Iterator[pa.RecordBatch]:
    """All rows of a statement, a piece at a time; the connection is in a transaction, to which ADBC has no way."""
    connection.execute(f"DECLARE rows NO SCROLL CURSOR FOR {inlined(query)}", prepare=False)
    tally.add(SESSION, 2)
    while True:
        cursor = connection.execute(f"FETCH {_PIECE} FROM rows", binary=True, prepare=False)
        batch = from_result(cursor.pgresult, query)
        if not batch.num_rows:
            break
        tally.add(SESSION)
        yield batch
    connection.execute("CLOSE rows", prepare=False)
    yield arrow.empty(query.columns)
