"""A locked-down DuckDB of one source, apart from the merge engine: statements, cancellation, errors."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa
from pydantic import Field

from connectors.base import PING, Cancel, Profile, SourceQuery, Table
from connectors.deadlines import Deadlines
from connectors.duckdb import schema as duckdb_schema
from connectors.duckdb import statistics as duckdb_statistics
from connectors.duckdb import types as duckdb_types
from connectors.duckdb.answer import answer
from connectors.duckdb.instance import Instance, Instances
from connectors.errors import SourceError
from connectors.leases import Leases
from connectors.registry import ConnectionOptions
from connectors.statistics import Key, TableStatistics
from connectors.stopping import Stopper, stopping, timed_out

PATIENCE = 60.0  # seconds for our own questions
# Errors of values that PostgreSQL has too.
_STATES = (("Out of Range Error", "22003"), ("out of range", "22003"), ("Division by zero", "22012"))


class EngineOptions(ConnectionOptions):
    """What a source's own DuckDB may use."""

    threads: int = Field(default=2, ge=1, le=256, description="Threads of this source's own DuckDB.")
    memory_limit: str = Field(default="1GB", description="Memory of this source's own DuckDB; beyond it, it spills.")
    base_folder: str = Field(default=".", description="The project folder; set by vdw itself.")


class Embedded:
    """What connectors over a DuckDB of their own share."""

    side_by_side = False  # whether two instances may read the files at once

    def __init__(self, name: str, options: EngineOptions) -> None:
        self.name = name
        self._place = f'source "{name}"'
        self._leases = Leases(name, options.pool_size)
        self._instances = Instances(self._connect, self._stale, self._fault, side_by_side=self.side_by_side)
        self._deadlines = Deadlines()

    def profile(self) -> Profile:
        """Version and settings, as DuckDB itself tells them."""
        rows = self._ask("SELECT version(), current_setting('TimeZone'), current_setting('default_null_order')")
        version, zone, nulls = rows[0]
        numbers = tuple(int(part) for part in version.lstrip("v").split("-")[0].split("."))
        return Profile("duckdb", numbers, {"replica": False, "timezone": zone, "default_null_order": nulls})

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """Tables and views with their types, keys and row counts."""
        with self._cursor(PATIENCE, Cancel()) as cursor:
            found = duckdb_schema.read(cursor, self.name)
        wanted = (table for table in found if not schemas or table.schema in schemas)
        return tuple(
            table for table in wanted if not tables or {table.name, f"{table.schema}.{table.name}"} & {*tables}
        )

    def statistics(self, tables: Sequence[Table], known: Mapping[Key, TableStatistics]) -> dict[Key, TableStatistics]:
        """Rows, ends and numbers of values, as DuckDB keeps them."""
        del known
        with self._cursor(PATIENCE, Cancel()) as cursor:
            return duckdb_statistics.of_tables(cursor, tables)

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """Stream one SELECT as Arrow."""
        schema, rows = query.schema, 0
        with (
            self._cursor(timeout, cancel) as cursor,
            self._prepared(cursor, query, timeout, cancel) as seen,
            contextlib.closing(self._reader(cursor, query, seen)) as reader,
        ):
            for batch in reader:
                cancel.check()
                if batch.num_rows:
                    yield self._batch(batch, query, seen)
                    rows += batch.num_rows
            if not rows:
                yield pa.RecordBatch.from_pylist([], schema)

    def ping(self, timeout: float = PING) -> None:
        """SELECT 1, after a look at the file."""
        self._ask("SELECT 1", timeout)

    def close(self) -> None:
        """Close the instance; a statement that still runs keeps its cursor."""
        self._leases.close()
        self._deadlines.close()
        self._instances.end()

    def _connect(self) -> Instance:
        raise NotImplementedError

    def _stale(self) -> bool:
        """Whether the instance should be opened anew."""
        return False

    @contextlib.contextmanager
    def _prepared(
        self,
        cursor: duckdb.DuckDBPyConnection,  # noqa: ARG002 -- for connectors that show it something
        query: SourceQuery,  # noqa: ARG002
        seconds: float,  # noqa: ARG002
        cancel: Cancel,  # noqa: ARG002
    ) -> Iterator[Any]:
        """What must be there while a statement runs; `_batch` is given it."""
        yield

    def _reader(self, cursor: duckdb.DuckDBPyConnection, query: SourceQuery, seen: Any) -> Any:  # noqa: ARG002
        """The rows of a statement, as batches for `_batch`; to be closed."""
        return answer(cursor, query, self._place)

    def _batch(self, rows: pa.RecordBatch, query: SourceQuery, seen: Any) -> pa.RecordBatch:  # noqa: ARG002
        """DuckDB's rows in the contract's form."""
        return duckdb_types.batch(rows, query)

    def _ask(self, sql: str, seconds: float = PATIENCE) -> list[Any]:
        with self._cursor(seconds, Cancel()) as cursor:
            rows: list[Any] = cursor.execute(sql).fetchall()
            return rows

    @contextlib.contextmanager
    def _cursor(self, seconds: float, cancel: Cancel) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one statement."""
        deadline = time.monotonic() + seconds
        late = timed_out(self.name, seconds)
        with self._leases.lease(self._instances, deadline, cancel) as lease:
            lease.broken = True  # never kept
            cursor = lease.session.cursor
            with (
                stopping(cancel, cursor.interrupt) as stopper,
                self._deadlines.within(deadline, lambda: stopper.ask(late)),
                self._errors(stopper),
            ):
                yield cursor

    @contextlib.contextmanager
    def _errors(self, stopper: Stopper) -> Iterator[None]:
        try:
            yield
        except SourceError as error:
            error.place = error.place or self._place
            raise
        except (duckdb.Error, pa.ArrowException, OSError) as error:  # in mid-stream pyarrow says OSError for all
            if stopper.reason is not None:
                raise stopper.reason from error
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> SourceError:
        """DuckDB's error as ours; its text begins with its class, whatever Python class carried it."""
        text = str(error)
        if "Conversion Error" in text.splitlines()[0] and "out of range" not in text:
            return SourceError(
                "a value does not fit the type that was asked for",
                sqlstate="HV004",
                place=self._place,
                hint="exclude such rows with a filter, or cast the column in the source",
                detail=text,
            )
        lost = isinstance(error, duckdb.IOException) or text.startswith("IO Error")
        state = next((state for words, state in _STATES if words in text), "HV000")
        return SourceError(
            f"DuckDB says: {text.splitlines()[0]}",
            sqlstate="08006" if lost else state,
            place=self._place,
            detail=text,
        )
