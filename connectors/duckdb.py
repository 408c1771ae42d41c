"""DuckDB files and Parquet folders, each in a locked-down DuckDB instance of its own, apart from the merge engine."""

from __future__ import annotations

import contextlib
import datetime as dt
import glob
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from pydantic import Field, model_validator

from connectors import duckdb_schema, duckdb_statistics, duckdb_types
from connectors.base import PING, Cancel, Profile, SourceQuery, Table
from connectors.deadlines import Deadlines
from connectors.duckdb_instance import Instance, Instances
from connectors.errors import SourceError
from connectors.leases import Leases
from connectors.lists import listed
from connectors.registry import ConnectionOptions
from connectors.statistics import Key, TableStatistics
from connectors.stopping import Stopper, stopping, timed_out

BATCH_ROWS = 8192  # a wide row takes a kilobyte: some MB at a time
_PATIENCE = 60.0  # seconds for our own questions
# Errors of values that PostgreSQL has too.
_STATES = (("Out of Range Error", "22003"), ("out of range", "22003"), ("Division by zero", "22012"))
_log = logging.getLogger(__name__)


class _Options(ConnectionOptions):
    threads: int = Field(default=2, ge=1, le=256, description="Threads of this source's own DuckDB.")
    memory_limit: str = Field(default="1GB", description="Memory of this source's own DuckDB; beyond it, it spills.")
    base_folder: str = Field(default=".", description="The project folder; set by vdw itself.")


class DuckdbOptions(_Options):
    """The `connection:` of a DuckDB source."""

    path: str = Field(description="The database file; a relative path starts at the project folder.")


class ParquetOptions(_Options):
    """The `connection:` of a Parquet source: a folder, or the files of each table, or both."""

    folder: str | None = Field(
        default=None, description="Each x.parquet in it is a table x, and each folder x of Parquet files too."
    )
    files: dict[str, str] = Field(default_factory=dict, description="Files by table: a path, * and ** allowed.")

    @model_validator(mode="after")
    def _something(self) -> ParquetOptions:
        if self.folder is None and not self.files:
            raise ValueError("neither folder nor files is given")
        return self


class _Embedded:
    """What both connectors share: statements, cancellation, errors."""

    side_by_side = False  # whether two instances may read the files at once

    def __init__(self, name: str, options: _Options) -> None:
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
        return Profile("duckdb", numbers, {"timezone": zone, "default_null_order": nulls})

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """Tables and views with their types, keys and row counts."""
        with self._cursor(_PATIENCE, Cancel()) as cursor:
            found = duckdb_schema.read(cursor, self.name)
        wanted = (table for table in found if not schemas or table.schema in schemas)
        return tuple(
            table for table in wanted if not tables or {table.name, f"{table.schema}.{table.name}"} & {*tables}
        )

    def statistics(self, tables: Sequence[Table], known: Mapping[Key, TableStatistics]) -> dict[Key, TableStatistics]:
        """Rows, ends and numbers of values, as DuckDB keeps them."""
        del known
        with self._cursor(_PATIENCE, Cancel()) as cursor:
            return duckdb_statistics.of_tables(cursor, tables)

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """Stream one SELECT as Arrow."""
        schema, rows = query.schema, 0
        with self._cursor(timeout, cancel) as cursor, contextlib.closing(self._reader(cursor, query)) as reader:
            for batch in reader:
                cancel.check()
                if batch.num_rows:
                    yield duckdb_types.batch(batch, query.columns)
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

    def _ask(self, sql: str, seconds: float = _PATIENCE) -> list[Any]:
        with self._cursor(seconds, Cancel()) as cursor:
            rows: list[Any] = cursor.execute(sql).fetchall()
            return rows

    def _reader(self, cursor: duckdb.DuckDBPyConnection, query: SourceQuery) -> pa.RecordBatchReader:
        encoded = [duckdb_types.encode(bound, self._place) for bound in query.params]
        marks = {
            i: f"SELECT unnest({encoded[part][0]})" if listed(query, i) else encoded[part][0]
            for i, part in enumerate(query.parts)
            if isinstance(part, int)
        }
        text = "".join(part if isinstance(part, str) else marks[i] for i, part in enumerate(query.parts))
        values = [encoded[part][1] for part in query.parts if isinstance(part, int)]
        relation = cursor.sql(text, params=values)
        if len(relation.types) != len(query.columns):
            raise SourceError(f"{len(relation.types)} columns came where {len(query.columns)} were asked")
        casts = [duckdb_types.cast(str(kind), want) for kind, want in zip(relation.types, query.columns, strict=True)]
        if any(casts):
            names = [f"c{number}" for number in range(len(casts))]
            columns = (f"CAST({name} AS {kind})" if kind else name for name, kind in zip(names, casts, strict=True))
            text = f"SELECT {', '.join(columns)} FROM ({text}) AS q({', '.join(names)})"  # noqa: S608 -- types are ours
            relation = cursor.sql(text, params=values)
        return relation.to_arrow_reader(BATCH_ROWS)

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
        if text.startswith("Conversion Error") and "out of range" not in text:
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


class DuckdbConnector(_Embedded):
    """One DuckDB file, read only. A file that replaces it is seen when no statement runs on the old one."""

    Options = DuckdbOptions
    orphaned = 0.0  # it runs in our process

    def __init__(self, name: str, options: DuckdbOptions) -> None:
        super().__init__(name, options)
        self._options = options
        self._file = (Path(options.base_folder) / options.path).resolve()
        self._identity = (0, 0)

    def modified(self) -> dt.datetime:
        """When the file last changed."""
        return _changed([self._file], self._place)

    def _connect(self) -> Instance:
        if not self._file.is_file():
            raise _missing(self._file, self._place)
        self._identity = self._found()
        return Instance(str(self._file), True, self._options.threads, self._options.memory_limit)

    def _found(self) -> tuple[int, int]:
        status = self._file.stat()
        return status.st_dev, status.st_ino

    def _stale(self) -> bool:
        return not self._file.is_file() or self._found() != self._identity


class ParquetConnector(_Embedded):
    """Parquet files as tables: views in an in-memory DuckDB that may read their folders and nothing else."""

    Options = ParquetOptions
    orphaned = 0.0  # it runs in our process
    side_by_side = True

    def __init__(self, name: str, options: ParquetOptions) -> None:
        super().__init__(name, options)
        self._options = options
        self._base = Path(options.base_folder).resolve()
        self._seen = 0

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """The files of now: new ones become tables, those that are gone vanish."""
        with self._cursor(_PATIENCE, Cancel()) as cursor:
            counts = self._expose(cursor)
        found = super().tables(schemas, tables)
        return tuple(duckdb_schema.counted(table, counts) for table in found)

    def statistics(self, tables: Sequence[Table], known: Mapping[Key, TableStatistics]) -> dict[Key, TableStatistics]:
        """The zone maps in the files' footers."""
        del known
        with self._cursor(_PATIENCE, Cancel()) as cursor:
            return duckdb_statistics.of_files(cursor, tables, self._patterns())

    def modified(self) -> dt.datetime:
        """When the youngest of the files last changed."""
        files = [Path(file) for pattern in self._patterns().values() for file in _matches(pattern)]
        return _changed(files, self._place)

    def _connect(self) -> Instance:
        self._seen = self._listing()
        folders = {_fixed(pattern) for pattern in self._patterns().values()}
        if self._options.folder is not None:
            folders.add(self._folder())
        said = self._options
        instance = Instance(":memory:", False, said.threads, said.memory_limit, tuple(sorted(folders)))
        self._expose(instance.root)
        return instance

    def _stale(self) -> bool:
        return self._listing() != self._seen

    def _listing(self) -> int:
        """Changes when a file comes into the folder, leaves it, or is replaced in it by rename."""
        return self._folder().stat().st_mtime_ns if self._options.folder is not None else 0

    def _folder(self) -> Path:
        folder = (self._base / (self._options.folder or "")).resolve()
        if not folder.is_dir():
            raise _missing(folder, self._place)
        return folder

    def _patterns(self) -> dict[str, str]:
        """The glob of each table."""
        found: dict[str, str] = {}
        if self._options.folder is not None:
            for entry in sorted(self._folder().iterdir()):
                if entry.is_dir() and next(entry.rglob("*.parquet"), None):
                    found[entry.name] = f"{glob.escape(str(entry))}/**/*.parquet"
                elif entry.suffix == ".parquet" and entry.is_file():
                    found[entry.stem] = glob.escape(str(entry))
        for table, pattern in self._options.files.items():
            found[table] = str(self._base / pattern)
        return found

    def _expose(self, cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
        """One view for each table; gives their row counts, which stand in the files' footers."""
        counts: dict[str, int] = {}
        for table, pattern in self._patterns().items():
            try:
                counts[table] = duckdb_schema.expose(cursor, table, pattern)
            except duckdb.Error as error:  # one file that is damaged must not hide the others
                _log.warning("%s: table %s cannot be read: %s", self._place, table, str(error).splitlines()[0])
        duckdb_schema.forget(cursor, set(counts))
        return counts


def _matches(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)  # noqa: PTH207 -- DuckDB's globs are of this kind, absolute


def _fixed(pattern: str) -> Path:
    """The folder of a glob that holds all it can match."""
    parts = Path(pattern).parts
    magic = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:magic])


def _changed(files: list[Path], place: str) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(max(file.stat().st_mtime for file in files), dt.UTC)
    except (OSError, ValueError) as error:
        raise SourceError("none of its files can be read", sqlstate="08001", place=place) from error


def _missing(path: Path, place: str) -> SourceError:
    return SourceError(
        f"{path.name} does not exist",
        sqlstate="08001",
        place=place,
        hint="check connection: in the source's file; a relative path starts at the project folder.",
    )
