"""Arrow IPC (Feather) files and streams; and Arrow's types as PostgreSQL's, for every format that PyArrow reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
from pyarrow import ipc

from connectors import arrow
from connectors.base import Column, Unfit
from connectors.errors import SourceError
from connectors.files.csv import unreadable
from connectors.files.places import File
from connectors.files.printed import printed
from connectors.files.table import MARK, NONE, OfFiles, Opened, Policies, Spec, Work, made, same_names, youngest
from connectors.files.typed import Misfit, convert
from connectors.types import PgType, numeric

_MAGIC = b"ARROW1"
_SAME = {
    pa.bool_(): "bool", pa.int8(): "int2", pa.int16(): "int2", pa.int32(): "int4", pa.int64(): "int8",
    pa.uint8(): "int2", pa.uint16(): "int4", pa.uint32(): "int8", pa.float16(): "float4", pa.float32(): "float4",
    pa.float64(): "float8", pa.string(): "text", pa.large_string(): "text", pa.string_view(): "text",
    pa.binary(): "bytea", pa.large_binary(): "bytea", pa.binary_view(): "bytea", pa.date32(): "date",
    pa.date64(): "date", pa.null(): "text",
}  # fmt: skip


def mapped(kind: pa.DataType) -> PgType:
    """The PostgreSQL type of an Arrow type: nested ones are json, durations and intervals text.

    >>> mapped(pa.uint64()).sql, mapped(pa.decimal256(60, 2)).sql, mapped(pa.list_(pa.int8())).sql
    ('numeric(20,0)', 'numeric(60,2)', 'json')
    """
    if isinstance(kind, pa.BaseExtensionType):
        known = {"arrow.uuid": "uuid", "arrow.json": "json", "arrow.bool8": "bool"}.get(kind.extension_name)
        return PgType(known) if known else mapped(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return mapped(kind.value_type)
    if kind in _SAME:
        return PgType(_SAME[kind])
    if pa.types.is_decimal(kind):
        return numeric(kind.precision, kind.scale)
    if pa.types.is_timestamp(kind):
        return PgType("timestamptz" if kind.tz else "timestamp")
    if pa.types.is_fixed_size_binary(kind):
        return PgType("bytea")
    if kind == pa.uint64():
        return numeric(20, 0)
    return PgType("time" if pa.types.is_time(kind) else "json" if pa.types.is_nested(kind) else "text")


def typed(values: pa.Array, kind: PgType, place: str, column: str) -> pa.Array:
    """A column of any Arrow type as `kind.arrow`; SourceError HV004 where a value does not fit."""
    try:
        return _plain(values, kind)
    except (pa.ArrowInvalid, ValueError, Misfit):
        raise SourceError(
            f"{place}: column {column} holds a value of {values.type} that {kind.sql} cannot hold",
            sqlstate="HV004",
            hint="nanoseconds, years beyond 294276 and decimals of more digits do not fit; correct them in the file",
        ) from None
    except SourceError as error:
        error.message = error.message.replace("column c0", f"{place}: column {column}")
        raise


def _plain(values: pa.Array, kind: PgType) -> pa.Array:
    if isinstance(values, pa.ExtensionArray):
        return printed(values, kind) if kind.name == "uuid" else _plain(values.storage, kind)
    if pa.types.is_dictionary(values.type):
        return _plain(values.dictionary_decode(), kind)
    target = kind.arrow
    if _textual(values.type):
        values.validate(full=True)  # readers do not look whether it is UTF-8
    if values.type == target and kind.name != "text":
        return values if not pa.types.is_string(target) else arrow.conform(values, kind, "c0")
    if _textual(values.type) and kind != PgType("text"):
        return convert(values.cast(pa.string()), kind)
    if pa.types.is_string(target) and not _textual(values.type):
        return printed(values, kind)
    if pa.types.is_timestamp(values.type):
        return values.cast(pa.timestamp("us", values.type.tz)).cast(pa.int64()).cast(target)
    return arrow.conform(values.cast(target), kind, "c0")


def _textual(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def open_table(spec: Spec, before: Opened | None, work: Work) -> Opened:
    """The Arrow files of now, as one table by the names of their columns."""
    files = spec.files(work)
    if before is not None and before.key == files:
        return before
    schemas = {}
    for file in files:
        with _opened(spec, file, work) as reader:
            schemas[file.path] = reader.schema
    return _Arrow(spec, files, united(spec, schemas), _rows(spec, files, work), youngest(files))


def _rows(spec: Spec, files: Sequence[File], work: Work) -> int | None:
    """Rows of local files, which are in memory as far as the disk is; those of others are not asked for."""
    if spec.place.remote or sum(file.size for file in files) > spec.prove:
        return None
    rows = 0
    for file in files:
        with _opened(spec, file, work, ()) as reader:
            rows += sum(batch.num_rows for batch in _batches(reader))
    return rows


def united(spec: Spec, schemas: dict[str, pa.Schema]) -> tuple[Column, ...]:
    """The columns of several files: numbers as wide as the widest, text where types have nothing in common."""
    kinds: dict[str, PgType] = {}
    natives: dict[str, str] = {}
    for path, schema in schemas.items():
        same_names(schema.names, path)
        for column in schema:
            kind = spec.types.get(column.name) or mapped(column.type)
            kinds[column.name] = wider(kinds.get(column.name, kind), kind)
            natives.setdefault(column.name, str(column.type))
    return tuple(made(name, kind, natives[name]) for name, kind in kinds.items())


def wider(one: PgType, other: PgType) -> PgType:
    """A type that holds all values of both, exactly."""
    if one == other:
        return one
    whole = ("int2", "int4", "int8")
    if one.name in whole and other.name in whole:
        return max(one, other, key=lambda kind: whole.index(kind.name))
    exact = (*whole, "numeric")
    if one.name in exact and other.name in exact:
        return PgType("numeric")
    if {one.name, other.name} == {"float4", "float8"}:
        return PgType("float8")
    return PgType("text")


@dataclass(frozen=True, slots=True)
class _Arrow(OfFiles):
    """Record batches, as they are."""

    def scan(self, names: Sequence[str], work: Work, spared: Policies = NONE) -> Iterator[pa.RecordBatch]:
        kinds = self.kinds
        for file in self.key:
            try:
                with _opened(self.spec, file, work, names) as reader:
                    for batch in _batches(reader):
                        work.check()
                        yield conformed(batch, names, kinds, file.path, spared)
            except (pa.ArrowInvalid, OSError) as error:
                raise unreadable(file, error) from None


def conformed(
    batch: pa.RecordBatch, names: Sequence[str], kinds: dict[str, PgType], place: str, spared: Policies = NONE
) -> pa.RecordBatch:
    """A batch with exactly these columns, those of `spared` as texts; NULLs where it has none of the name."""
    held = {*batch.schema.names}
    arrays = []
    for name in names:
        kind = kinds[name]
        if name not in held:
            arrays.append(pa.nulls(batch.num_rows, pa.string() if name in spared else kind.arrow))
        elif name in spared:
            arrays.append(told(batch.column(name), kind, spared[name]))
        else:
            arrays.append(typed(batch.column(name), kind, place, name))
    return pa.RecordBatch.from_arrays(arrays, names=list(names))


def told(values: pa.Array, kind: PgType, policy: Unfit) -> pa.Array:
    """Each value's text: of one that does not fit a marked one, or where the column is text its own."""
    if policy == "text":
        return _spelled(values)
    try:
        return _spelled(typed(values, kind, "", ""))
    except SourceError:
        if len(values) == 1:
            return pa.array([MARK])
    half = len(values) // 2
    return pa.concat_arrays([told(part, kind, policy) for part in (values[:half], values[half:])])


def _spelled(values: pa.Array) -> pa.Array:
    """What `convert` reads as the same value."""
    kind = values.type
    if isinstance(values, pa.ExtensionArray):
        return printed(values, PgType("uuid")) if kind.extension_name == "arrow.uuid" else _spelled(values.storage)
    if pa.types.is_dictionary(kind):
        return _spelled(values.dictionary_decode())
    if _textual(kind):
        return values.cast(pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.array([None if v is None else f"\\x{v.hex()}" for v in values.to_pylist()], pa.string())
    if any(
        test(kind) for test in (pa.types.is_decimal, pa.types.is_nested, pa.types.is_duration, pa.types.is_interval)
    ):
        return printed(values, PgType("text"))
    return values.cast(pa.string())


class _opened:
    """A reader of an Arrow file, or of a stream; only the columns of `names`, where given."""

    def __init__(self, spec: Spec, file: File, work: Work, names: Sequence[str] | None = None) -> None:
        self._spec, self._file, self._work, self._names = spec, file, work, names

    def __enter__(self) -> ipc.RecordBatchFileReader | ipc.RecordBatchStreamReader:
        try:
            self._raw: BinaryIO = self._spec.place.open(self._file, self._work)
            return self._reader()
        except (pa.ArrowInvalid, OSError) as error:
            raise unreadable(self._file, error) from None

    def _reader(self) -> ipc.RecordBatchFileReader | ipc.RecordBatchStreamReader:
        start = self._raw.read(len(_MAGIC))
        self._raw.seek(0)
        if start != _MAGIC:
            return ipc.open_stream(self._raw)
        if self._names is None:
            return ipc.open_file(self._raw)
        with ipc.open_file(self._raw) as reader:
            here = reader.schema.names
        included = [here.index(name) for name in self._names if name in here]
        return ipc.open_file(self._raw, options=ipc.IpcReadOptions(included_fields=included or [0]))

    def __exit__(self, *_: object) -> None:
        self._raw.close()


def _batches(reader: ipc.RecordBatchFileReader | ipc.RecordBatchStreamReader) -> Iterator[pa.RecordBatch]:
    if isinstance(reader, ipc.RecordBatchStreamReader):
        yield from reader
    else:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)
