"""The connector of kind `files`: tables of now as views in a DuckDB that reaches these files and nothing else."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from connectors.base import PING, Cancel, SourceQuery, Table
from connectors.duckdb import statistics as duckdb_statistics
from connectors.duckdb.engine import PATIENCE, Embedded
from connectors.duckdb.instance import Instance
from connectors.duckdb.schema import quote
from connectors.errors import Error, SourceError
from connectors.files.discover import Discovery
from connectors.files.formats import opener
from connectors.files.mentioned import Mentioned, mentioned
from connectors.files.options import FilesOptions
from connectors.files.statement import Statement
from connectors.files.stream import Stream, selected
from connectors.files.table import Changed, Opened, Spec, Work
from connectors.statistics import Key, TableStatistics

SCHEMA = "main"
_log = logging.getLogger(__name__)


class FilesConnector(Embedded):
    """Files as tables. A statement pins the files that it reads; what changes meanwhile is an error, never a mix."""

    Options = FilesOptions
    orphaned = 0.0  # it runs in our process
    side_by_side = True

    def __init__(self, name: str, options: FilesOptions) -> None:
        super().__init__(name, options)
        self._options = options
        self._discovery = Discovery(options)
        self._opened: dict[str, Opened] = {}
        self._views: dict[str, str] = {}  # those that outlive a statement
        self._lock = threading.Lock()

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """The tables of now: new files become tables, those that are gone vanish."""
        if schemas and SCHEMA not in schemas:
            return ()
        with self._work(PATIENCE, Cancel()) as (_, work):
            found = self._all(work)
        return tuple(
            Table(self.name, SCHEMA, name, table.columns, row_count=table.rows)
            for name, table in found.items()
            if not tables or {name, f"{SCHEMA}.{name}"} & {*tables}
        )

    def statistics(self, tables: Sequence[Table], known: Mapping[Key, TableStatistics]) -> dict[Key, TableStatistics]:
        """Zone maps of Parquet's footers; what was counted of the others."""
        del known
        found: dict[Key, TableStatistics] = {}
        with self._work(PATIENCE, Cancel()) as (cursor, work):
            opened = self._all(work)
            for table in tables:
                if (now := opened.get(table.name)) is None:
                    continue
                footers, told = now.footers(work), now.statistics()
                if footers is not None:
                    found |= duckdb_statistics.of_files(cursor, [table], {table.name: footers})
                elif told is not None:
                    found[table.schema or "", table.name] = told
        return found

    def modified(self) -> dt.datetime:
        """When the youngest of the files last changed, or the last version was committed."""
        with self._work(PATIENCE, Cancel()) as (_, work):
            times = [table.modified for table in self._all(work).values()]
        if not times:
            raise SourceError("none of its files can be read", sqlstate="08001", place=self._place)
        return max(times)

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """Stream one SELECT as Arrow; begun anew, once, where a file changed before the first row was given."""
        delivered = False
        try:
            for batch in super().execute(query, timeout=timeout, cancel=cancel):
                yield batch
                delivered = True
        except Changed:
            if delivered:
                raise
            yield from super().execute(query, timeout=timeout, cancel=cancel)

    def _connect(self) -> Instance:
        said = self._options
        prefixes = tuple(place.prefix for place in self._discovery.places if place.prefix)
        instance = Instance(":memory:", False, said.threads, said.memory_limit, (*self._discovery.folders(), *prefixes))
        for place in self._discovery.places:
            place.register(instance.root)
        self._views.clear()
        return instance

    @contextlib.contextmanager
    def _work(self, seconds: float, cancel: Cancel) -> Iterator[tuple[duckdb.DuckDBPyConnection, Work]]:
        """A cursor, and the time that there is."""
        with self._cursor(seconds, cancel) as cursor:
            work = Work.of(self.name, seconds, cancel, lambda sql: cursor.execute(sql).fetchall())
            try:
                yield cursor, work
            finally:
                for place in self._discovery.places:
                    place.release(work)

    @contextlib.contextmanager
    def _prepared(
        self, cursor: duckdb.DuckDBPyConnection, query: SourceQuery, seconds: float, cancel: Cancel
    ) -> Iterator[Statement]:
        """The tables that a statement mentions, as they are now; at its end they must still be that."""
        work = Work.of(self.name, seconds, cancel, lambda sql: cursor.execute(sql).fetchall())
        streams: list[Stream] = []
        try:
            used = self._mentioned(mentioned(query.sql), work)
            statement = Statement.of(query, used, work)
            for name, table in used.items() if statement.reader is None else ():
                self._show(cursor, name, table, statement, streams)
            yield statement
            for table in used.values():
                table.check()
        except (duckdb.Error, pa.ArrowException, OSError):
            for stream in streams:
                if stream.fault is not None:
                    raise stream.fault from None
            for place in self._discovery.places:
                place.blame(work)
            raise
        finally:
            for place in self._discovery.places:
                place.release(work)

    def _reader(self, cursor: duckdb.DuckDBPyConnection, query: SourceQuery, seen: Statement) -> Any:
        return seen.reader or super()._reader(cursor, query, seen)

    def _batch(self, rows: pa.RecordBatch, query: SourceQuery, seen: Statement) -> pa.RecordBatch:
        del query
        return seen.batch(rows)

    def _show(
        self, cursor: duckdb.DuckDBPyConnection, name: str, table: Opened, statement: Statement, streams: list[Stream]
    ) -> None:
        sql = table.sql(statement.work)
        if sql is None:
            columns, spared = mentioned(statement.query.sql).columns(table.columns), statement.spared(name)
            streams.append(Stream(table, [column.name for column in columns], statement.work, spared))
            cursor.register(f"{name} as it streams", streams[-1])
            source = quote(f"{name} as it streams")
            cursor.execute(f"CREATE TEMP VIEW {quote(name)} AS {selected(columns, source, spared)}")
        elif table.spec.place.remote:
            cursor.execute(f"CREATE TEMP VIEW {quote(name)} AS {sql}")
        else:
            with self._lock:
                if self._views.get(name) != sql:
                    cursor.execute(f"CREATE OR REPLACE VIEW main.{quote(name)} AS {sql}")
                    self._views[name] = sql

    def ping(self, timeout: float = PING) -> None:
        """SELECT 1, after a look at what there is."""
        with self._work(timeout, Cancel()) as (_, work):
            self._discovery.specs(work)
            work.ask("SELECT 1")

    def _open(self, name: str, spec: Spec, work: Work) -> Opened:
        before = self._opened.get(name)
        same = before is not None and before.spec == spec
        now = opener(spec.format)(spec, before if same else None, work)
        self._opened[name] = now
        return now

    def _mentioned(self, words: Mentioned, work: Work) -> dict[str, Opened]:
        specs = self._discovery.specs(work, words)
        return {name: self._open(name, spec, work) for name, spec in specs.items() if words.table(name)}

    def _all(self, work: Work) -> dict[str, Opened]:
        """Every table that can be read; one that cannot must not hide the others."""
        found = {}
        for name, spec in self._discovery.specs(work).items():
            try:
                found[name] = self._open(name, spec, work)
            except (Error, duckdb.Error, OSError, pa.ArrowException) as error:
                work.check()
                _log.warning("%s: table %s cannot be read: %s", self._place, name, str(error).splitlines()[0])
        return found
