"""Delta Lake through delta-rs: one version of the log, deletion vectors and column mapping included."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import SourceError
from connectors.files import needs
from connectors.files.ipc import conformed, mapped
from connectors.files.table import NONE, Opened, Policies, Spec, Work, made

with needs("Delta Lake", "deltalake"):
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError


def open_table(spec: Spec, before: Opened | None, work: Work) -> Opened:
    """The table at the version of now, or at the declared one."""
    try:
        if isinstance(before, _Delta) and spec.reading.version is None:
            newest = work.waited(lambda: _newest(before))
            return before if newest is before else newest
        if before is not None:
            return before
        return work.waited(lambda: _Delta.of(spec, _load(spec)))
    except (DeltaError, OSError) as error:
        raise _fault(spec, error) from None


def _load(spec: Spec) -> DeltaTable:
    options = spec.place.delta_options()
    return DeltaTable(spec.path, version=spec.reading.version, storage_options=options)


def _newest(before: _Delta) -> _Delta:
    """The table of before where its log has no further version."""
    table = _load(before.spec)
    same = table.version() == before.table.version() and table.metadata().id == before.table.metadata().id
    return before if same else _Delta.of(before.spec, table)


@dataclass(frozen=True, slots=True)
class _Delta(Opened):
    table: DeltaTable

    @staticmethod
    def of(spec: Spec, table: DeltaTable) -> _Delta:
        schema = pa.schema(table.schema().to_arrow())
        columns = tuple(
            made(
                field.name,
                spec.types.get(field.name) or mapped(field.type),
                str(field.type),
                nullable=field.nullable or field.name in table.metadata().partition_columns,
            )
            for field in schema
        )
        key = (table.metadata().id, table.version())
        return _Delta(spec, key, columns, _count(table), _committed(table), table)

    def scan(self, names: Sequence[str], work: Work, spared: Policies = NONE) -> Iterator[pa.RecordBatch]:
        kinds, parts = self.kinds, [name for name in self.table.metadata().partition_columns if name in names]
        try:
            reader = work.waited(lambda: pa.RecordBatchReader.from_stream(self.table.scan(columns=list(names))))
            for batch in work.each(lambda: _next(reader)):
                for name in parts:
                    batch = _partitioned(batch, name)
                yield conformed(batch, names, kinds, f"{self.spec.name}@{self.table.version()}", spared)
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise _fault(self.spec, error) from None


def _partitioned(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """With NULL for an empty partition value, as Delta's protocol has it: delta-rs makes an empty text of it."""
    at, values = batch.schema.get_field_index(name), batch.column(name)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if values.type not in (pa.string(), pa.large_string(), pa.string_view()):
        return batch
    texts = values.cast(pa.string())
    return batch.set_column(at, name, pc.if_else(pc.equal(texts, ""), None, texts))


def _next(reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _count(table: DeltaTable) -> int | None:
    """The log's own count, which does not know of rows that deletion vectors take away."""
    features = table.protocol().reader_features or []
    return None if "deletionVectors" in features else table.count()


def _committed(table: DeltaTable) -> dt.datetime:
    newest: Any = next(iter(table.history(1)), {})
    return dt.datetime.fromtimestamp(newest.get("timestamp", 0) / 1000, dt.UTC)


def _fault(spec: Spec, error: Exception) -> SourceError:
    told = str(error).splitlines()[0] if str(error) else type(error).__name__
    return SourceError(
        f"table {spec.name}: Delta Lake cannot read it",
        sqlstate="HV000",
        hint="check the path and the version, whether its files were vacuumed, and which reader features it needs",
        detail=told,
    )
