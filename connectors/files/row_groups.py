"""Parquet by PyArrow, some rows at a time: a row group may be large, what is held of it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.files.csv import unreadable
from connectors.files.places import File
from connectors.files.table import Spec, Work

_BYTES = 4 << 20  # of a batch, about, as it is decoded
_LEAST, _MOST = 512, 65_536  # rows of a batch
_BUFFER = 1 << 20  # of a column, read from a local file ahead
_COALESCED = 64 << 20  # bytes of a row group that are asked of a remote place at once


def batches(spec: Spec, file: File, names: Sequence[str], work: Work) -> Iterator[pa.RecordBatch]:
    """The columns of these names that the file has, any one where it has none: rows must be counted."""
    try:
        with _opened(spec, file, work) as raw, pq.ParquetFile(raw, buffer_size=_BUFFER, pre_buffer=False) as parquet:
            here = [name for name in names if name in parquet.schema_arrow.names] or parquet.schema_arrow.names[:1]
            for group, ahead in _groups(parquet, spec.place.remote):
                source = raw if ahead else None
                yield from _group(parquet, source, group, here, work)
    except (pa.ArrowInvalid, OSError) as error:
        raise unreadable(file, error) from None


def _opened(spec: Spec, file: File, work: Work) -> BinaryIO:
    return spec.place.unbuffered(file, work) if spec.place.remote else spec.place.open(file, work)


def _groups(parquet: pq.ParquetFile, remote: bool) -> Iterator[tuple[int, bool]]:
    """Each row group, and whether all that is wanted of it is asked for at once."""
    for number in range(parquet.num_row_groups):
        size = parquet.metadata.row_group(number)
        stored = sum(size.column(at).total_compressed_size for at in range(size.num_columns))
        yield number, remote and stored <= _COALESCED


def _group(
    parquet: pq.ParquetFile, source: BinaryIO | None, group: int, names: Sequence[str], work: Work
) -> Iterator[pa.RecordBatch]:
    work.check()
    rows = _rows(parquet.metadata.row_group(group))
    if source is None:
        reader = parquet
    else:
        reader = pq.ParquetFile(source, metadata=parquet.metadata, pre_buffer=True)  # closed with its source
    for batch in reader.iter_batches(rows, row_groups=[group], columns=list(names)):
        work.check()
        yield batch


def _rows(group: pq.RowGroupMetaData) -> int:
    """Rows of a batch; what a dictionary keeps short is long once decoded."""
    if not group.num_rows:
        return _LEAST
    decoded: int = 4 * max(group.total_byte_size // group.num_rows, 1)
    return max(_LEAST, min(_MOST, _BYTES // decoded))
