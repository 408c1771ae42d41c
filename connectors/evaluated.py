"""A statement's filter and projection over rows that were fetched, by a locked-down DuckDB of the source's own."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa

from connectors.base import Bound, Cancel, SourceQuery
from connectors.duckdb import types as duckdb_types
from connectors.duckdb.answer import answer
from connectors.duckdb.instance import Instance
from connectors.errors import Error, SourceError
from connectors.types import PgType

_THREADS = 1  # some thousand rows at a time


class Evaluator:
    """Computes what capability tables prove of DuckDB over Arrow tables. Thread-safe; an instance of DuckDB is made
    when it is first needed."""

    def __init__(self, name: str, memory: str) -> None:
        self._name, self._memory = name, memory
        self._place = f'source "{name}"'
        self._instance: Instance | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def cursor(self, cancel: Cancel) -> Iterator[duckdb.DuckDBPyConnection]:
        """For one statement; interrupted when that is cancelled."""
        with self._lock:
            if self._instance is None:
                self._instance = Instance(":memory:", False, _THREADS, self._memory)
            cursor = self._instance.root.cursor()
        with contextlib.closing(cursor), cancel.hook(cursor.interrupt):
            yield cursor

    def run(
        self, cursor: duckdb.DuckDBPyConnection, table: str, rows: pa.Table, query: SourceQuery
    ) -> list[pa.RecordBatch]:
        """The statement over `rows` in the place of `table`; batches without rows are left out."""
        cursor.register(table, rows)
        try:
            with contextlib.closing(answer(cursor, _told(query), self._place)) as reader:
                return [duckdb_types.batch(batch, query) for batch in reader if batch.num_rows]
        except Error:
            raise
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise SourceError(
                f"filtering its rows failed: {str(error).splitlines()[0]}", sqlstate=_state(str(error))
            ) from error
        finally:
            cursor.unregister(table)

    def close(self) -> None:
        """Close the instance; no statement may run."""
        with self._lock:
            if self._instance is not None:
                self._instance.close()
                self._instance = None


def _told(query: SourceQuery) -> SourceQuery:
    """The statement with uuids as texts: the rows hold them so, and DuckDB compares no list of uuids with a text."""
    return replace(query, params=tuple(map(_text, query.params)))


def _text(bound: Bound) -> Bound:
    kind = {"uuid": "text", "_uuid": "_text"}.get(bound.type.name)
    if kind is None:
        return bound
    many = isinstance(bound.value, list)
    return Bound(PgType(kind), [_canonical(v) for v in bound.value] if many else _canonical(bound.value))


def _canonical(value: Any) -> str | None:
    return None if value is None else str(uuid.UUID(str(value)))


def _state(text: str) -> str:
    """Errors of values that PostgreSQL has too."""
    if "Division by zero" in text:
        return "22012"
    return "22003" if "out of range" in text.lower() else "HV000"
