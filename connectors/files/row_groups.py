"""Parquet by PyArrow, some rows at a time: a row group may be large, what is held of it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.files.csv import unreadable
from connectors.files.places import File
from connectors.files.table import Spec, Work

_BYTES = 4 << 20  # of a batch, about, as it is decoded
_LEAST, _MOST = 512, 65_536  # rows of a batch
_BUFFER = 1 << 20  # of a column, read from a local file ahead


def batches(spec: Spec, file: File, names: Sequence[str], work: Work) -> Iterator[pa.RecordBatch]:
    """The columns of these names that the file has, any one where it has none: rows must be counted."""
    buffer = 0 if spec.place.remote else _BUFFER  # there a request for each buffer would take too long
    try:
        with spec.place.open(file, work) as raw, pq.ParquetFile(raw, buffer_size=buffer, pre_buffer=False) as parquet:
            here = [name for name in names if name in parquet.schema_arrow.names] or parquet.schema_arrow.names[:1]
            for group in range(parquet.num_row_groups):
                rows = _rows(parquet.metadata.row_group(group))
                for batch in parquet.iter_batches(rows, row_groups=[group], columns=here):
                    work.check()
                    yield batch
    except (pa.ArrowInvalid, OSError) as error:
        raise unreadable(file, error) from None


def _rows(group: pq.RowGroupMetaData) -> int:
    """Rows of a batch; what a dictionary keeps short is long once decoded."""
    if not group.num_rows:
        return _LEAST
    decoded: int = 4 * max(group.total_byte_size // group.num_rows, 1)
    return max(_LEAST, min(_MOST, _BYTES // decoded))
