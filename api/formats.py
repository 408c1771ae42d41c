"""Answers as CSV, JSON, Arrow or Parquet, written batch by batch, so that an answer of any size needs little memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.errors import QueryError
from connectors.types import PgType

Columns = Sequence[tuple[str, PgType]]
SETTINGS = {"TimeZone": "UTC", "DateStyle": "ISO, MDY", "IntervalStyle": "postgres"}
BINARY = frozenset({"arrow", "parquet"})
_SPECIAL = '[",\r\n]'


class Writer(Protocol):
    """Takes the batches of one answer. `close` ends the document; without it, what was written is not a whole one."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...


def writer(form: str, columns: Columns, stream: IO[bytes]) -> Writer:
    """A writer of "csv", "json", "arrow" or "parquet" into a stream of bytes, which stays open."""
    if form == "csv":
        return _Csv(columns, stream)
    if form == "json":
        return _Json(columns, stream)
    schema = pa.schema([pa.field(name, kind.arrow) for name, kind in columns])
    if form == "arrow":
        return _Arrow(schema, pa.ipc.new_stream(stream, schema))
    return _Arrow(schema, pq.ParquetWriter(pa.PythonFile(_Counted(stream), mode="w"), schema, compression="zstd"))


class _Csv:
    """As COPY ... (FORMAT csv, HEADER): PostgreSQL's own text of each value, NULL empty and '' quoted."""

    def __init__(self, columns: Columns, stream: IO[bytes]) -> None:
        self._columns, self._stream = columns, stream
        header = pa.array([name for name, _ in columns], pa.string())
        stream.write((",".join(_quoted(header, len(header)).to_pylist()) + "\n").encode())

    def write(self, batch: pa.RecordBatch) -> None:
        from api.pgwire import rows, textual

        for part in rows.slices(batch) if batch.num_rows else ():
            where = rows.session_zone(SETTINGS)
            pairs = zip(part.columns, self._columns, strict=True)
            cells = [_quoted(textual.text(array, kind, where), len(self._columns)) for array, (_, kind) in pairs]
            lines = pc.binary_join_element_wise(*cells, ",").to_pylist() if cells else [""] * part.num_rows
            self._stream.write(("\n".join(lines) + "\n").encode())

    def close(self) -> None:
        pass


def _quoted(words: pa.Array, width: int) -> pa.Array:
    """The texts with quotes around those that need them, NULL as nothing."""
    needed = pc.or_(pc.match_substring_regex(words, _SPECIAL), pc.equal(words, ""))
    if width == 1:
        needed = pc.or_(needed, pc.equal(words, "\\."))
    if pc.any(needed).as_py():
        doubled = pc.replace_substring(words, '"', '""')
        words = pc.if_else(needed, pc.binary_join_element_wise('"', doubled, '"', ""), words)
    return pc.fill_null(words, "")


class _Json:
    """One array of objects, one a line; values as over HTTP: bigint and numeric as text, as JSON has only doubles."""

    def __init__(self, columns: Columns, stream: IO[bytes]) -> None:
        from api.graphql.compile import Output

        names = [name for name, _ in columns]
        if len(set(names)) < len(names):
            message = "two columns have the same name, which a JSON object cannot hold"
            raise QueryError(message, sqlstate="42701", hint="Give them different names, or ask for csv or arrow.")
        self._outputs = [Output(name, i, kind) for i, (name, kind) in enumerate(columns)]
        self._stream, self._separator = stream, b"[\n"

    def write(self, batch: pa.RecordBatch) -> None:
        from api.graphql.encode import ROWS, lines

        for start in range(0, batch.num_rows, ROWS):
            part = batch.slice(start, ROWS)
            objects = lines(part, self._outputs) if self._outputs else b"{}\n" * part.num_rows
            self._stream.write(self._separator + objects.rstrip(b"\n").replace(b"}\n{", b"},\n{"))
            self._separator = b",\n"

    def close(self) -> None:
        self._stream.write(b"[]\n" if self._separator == b"[\n" else b"\n]\n")


class _Arrow:
    """What pyarrow writes itself: an Arrow IPC stream, or a Parquet file."""

    def __init__(self, schema: pa.Schema, inner: Any) -> None:
        self._schema, self._inner = schema, inner

    def write(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._inner.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=self._schema))

    def close(self) -> None:
        self._inner.close()


class _Counted:
    """A stream that knows its position, as Parquet wants, even where it is a pipe; and that others close."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._position = stream, 0

    def write(self, data: bytes) -> int:
        self._stream.write(data)
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        self._stream.flush()

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True
