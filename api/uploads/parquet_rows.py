"""Rows of a Parquet file, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from api.uploads.describe import Description
from api.uploads.formats import MOST_COLUMNS, Values, malformed, matched
from connectors.errors import QueryError

BATCH = 4096  # rows


class Parquet:
    """Only what is described is read; nested values are an error."""

    def __init__(self, stream: IO[bytes], description: Description) -> None:
        self._stream, self._description = stream, description
        self._names = [a.called for a in description.kept]

    def records(self) -> Iterator[tuple[int, Values]]:
        """Marked by the row's number, from 1."""
        try:
            file = pq.ParquetFile(self._stream)
            names = file.schema_arrow.names
            if len(names) > MOST_COLUMNS:
                raise malformed(f"the file has more than {MOST_COLUMNS:,} columns", "the file's schema")
            at = matched(names, self._description, "the file's schema")
            for i in at:
                kind = file.schema_arrow.field(i).type
                if pa.types.is_nested(kind):
                    raise QueryError(f'the column "{names[i]}" holds {kind}, not single values', sqlstate="42804")
            number = 1
            for batch in file.iter_batches(BATCH, columns=self._names, use_threads=False):
                columns = [_values(batch.column(batch.schema.get_field_index(name))) for name in self._names]
                for row in zip(*columns, strict=True):
                    yield number, row
                    number += 1
        except MemoryError:
            raise  # Arrow's own is both
        except (pa.ArrowException, OSError, UnicodeError, OverflowError) as error:
            text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise malformed(f"this is no Parquet that can be read: {text}", "the file") from None

    def place(self, mark: Any, attribute: int) -> str:
        """Row and column by name."""
        return f'row {mark}, "{self._names[attribute]}"'


def _values(column: pa.Array) -> list[Any]:
    """As Python has them; nanoseconds, which it does not have, where they are whole microseconds."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz))
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    values: list[Any] = column.to_pylist()
    return values
