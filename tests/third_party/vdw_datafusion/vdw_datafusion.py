"""Apache DataFusion as a kind of source: the Parquet files of a folder, asked in DataFusion's SQL, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import datafusion
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from connectors import arrow
from connectors.base import PING, Bound, Cancel, Collation, Column, Profile, SourceQuery, Table
from connectors.errors import Error, SourceError
from connectors.files.ipc import mapped, typed
from connectors.leases import Leases
from connectors.lists import listed
from connectors.registry import ConnectionOptions
from connectors.stopping import Stopper, stopping, timed_out
from connectors.types import PgType

SELECT_ONLY = datafusion.SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)
ROWS = 2048  # in a batch; with one partition nothing is read ahead
NOTHING = "SELECT NULL WHERE FALSE"  # IN (NULL) would be NULL, which NOT IN must not be


class DatafusionOptions(ConnectionOptions):
    """The `connection:` of a source of kind datafusion."""

    folder: str = Field(description="the folder whose *.parquet are the tables; relative to the project folder")
    base_folder: str = Field(".", description="the project folder; set by vdw itself")


class DatafusionConnector:
    """A folder of Parquet files; see `connectors.base.Connector`."""

    Options = DatafusionOptions
    orphaned = 0.0  # it runs in our process

    def __init__(self, name: str, options: DatafusionOptions) -> None:
        self.name = name
        self._folder = Path(options.base_folder, options.folder)
        self._leases = Leases(name, options.pool_size)

    def profile(self) -> Profile:
        """The engine and its version; it writes SQL as PostgreSQL does."""
        version = tuple(int(part) for part in re.findall(r"\d+", datafusion.__version__)[:3])
        return Profile("datafusion", version, dialect="postgres")

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """The files of now, whose footers have their columns."""
        if schemas and "public" not in schemas:
            return ()
        return tuple(self._table(file) for file in self._files() if not tables or file.stem in tables)

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """See Connector.execute."""
        text, values = said(query)
        deadline, rows = time.monotonic() + timeout, 0
        with self._statement(deadline, timeout, cancel) as run:
            stream = self._asked(text, values)
            for batch in iter(partial(run, stream), None):
                rows += batch.num_rows
                yield arrow.assembled(query, batch.columns, partial(_column, query))
        if not rows:
            yield arrow.empty(query.columns)

    def ping(self, timeout: float = PING) -> None:
        """A look at the folder and the engine."""
        self._files()
        with self._statement(time.monotonic() + timeout, timeout, Cancel()) as run:
            run(datafusion.SessionContext().sql("SELECT 1").execute_stream())

    def close(self) -> None:
        """Nothing is kept; nothing more is begun."""
        self._leases.close()

    def _files(self) -> list[Path]:
        if not self._folder.is_dir():
            hint = "check connection: folder: in the source's file; it starts at the project folder"
            raise SourceError(f"the folder {self._folder.name} does not exist", sqlstate="08001", hint=hint)
        return sorted(self._folder.glob("*.parquet"))

    def _table(self, file: Path) -> Table:
        footer = pq.ParquetFile(file)
        columns = tuple(
            Column(field.name, kind, field.nullable, str(field.type), Collation.BYTES, exact=kind.arrow == field.type)
            for field in footer.schema_arrow
            for kind in (mapped(field.type),)
        )
        return Table(self.name, "public", file.stem, columns, row_count=footer.metadata.num_rows)

    def _asked(self, text: str, values: dict[str, Any]) -> Any:
        """The stream of an answer, over the files of now."""
        context = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(1).with_batch_size(ROWS))
        for file in self._files():
            context.register_parquet(file.stem, str(file))
        return context.sql_with_options(text, SELECT_ONLY, param_values=values).execute_stream()

    @contextlib.contextmanager
    def _statement(self, deadline: float, timeout: float, cancel: Cancel) -> Iterator[Any]:
        """A function that gives the next batch of a stream, None at its end; stopped by deadline and cancel."""
        with self._leases.lease(_Loops(), deadline, cancel) as lease:
            loop, lease.broken = lease.session, True
            tasks: list[asyncio.Task[Any]] = []
            late = timed_out(self.name, timeout)
            stop = partial(loop.call_soon_threadsafe, lambda: [task.cancel() for task in tasks])
            with stopping(cancel, stop, timeout, late) as stopper, self._errors(stopper):

                def run(stream: Any) -> pa.RecordBatch | None:
                    tasks[:] = [loop.create_task(_next(stream))]
                    batch = loop.run_until_complete(tasks[0])
                    stopper.check()
                    return batch

                yield run

    @contextlib.contextmanager
    def _errors(self, stopper: Stopper) -> Iterator[None]:
        try:
            yield
        except Error:
            raise
        except asyncio.CancelledError:
            stopper.check()
            raise
        except Exception as error:  # DataFusion's are of this very class
            stopper.check()
            text = str(error).partition("\n")[0].removeprefix("DataFusion error: ")
            raise SourceError(f"DataFusion says: {text}", place=f'source "{self.name}"') from None


class _Loops:
    """Event loops as the connections of connectors.leases."""

    def open(self, seconds: float) -> asyncio.AbstractEventLoop:
        del seconds
        return asyncio.new_event_loop()

    def alive(self, session: asyncio.AbstractEventLoop, idle: float) -> bool:
        del idle
        return not session.is_closed()

    def close(self, session: asyncio.AbstractEventLoop) -> None:
        session.close()


async def _next(stream: Any) -> pa.RecordBatch | None:
    batch = await anext(stream, None)
    return None if batch is None else batch.to_pyarrow()


def said(query: SourceQuery) -> tuple[str, dict[str, Any]]:
    """The statement with $p0, $p1 ... and what they stand for; a list has one for each of its items."""
    values: dict[str, Any] = {}

    def mark(kind: PgType, value: Any) -> str:
        values[f"p{len(values)}"] = _scalar(kind, value)
        return f"$p{len(values) - 1}"

    def marks(place: int, bound: Bound) -> str:
        if not listed(query, place):
            return mark(bound.type, bound.value)
        element = PgType(bound.type.name[1:])
        return ", ".join(mark(element, item) for item in bound.value or ()) or NOTHING

    pairs = enumerate(query.parts)
    text = "".join(part if isinstance(part, str) else marks(at, query.params[part]) for at, part in pairs)
    return text, values


def _scalar(kind: PgType, value: Any) -> pa.Scalar:
    """A parameter in the Arrow type of its own."""
    try:
        if kind.name == "numeric":
            return pa.scalar(Decimal(value)) if value is not None else pa.scalar(None, pa.decimal128(38, 0))
        return pa.scalar(value).cast(kind.arrow) if isinstance(value, str) else pa.scalar(value, kind.arrow)
    except pa.ArrowInvalid:
        hint = "it has no NaN or infinity of these, and no year beyond Arrow's"
        raise SourceError(f"DataFusion cannot compare with that {kind.sql}", sqlstate="HV004", hint=hint) from None


def _column(query: SourceQuery, at: int, values: pa.Array) -> pa.Array:
    return typed(values, query.columns[at], "the answer", f"c{at}")
