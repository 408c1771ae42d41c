"""Rows of ODBC -> Arrow.

A cell costs ODBC drivers more than its bytes do, and their conversions lose digits, dates and signs. So proven engines
send each row as one text, made by the engine itself: its cells as the engine prints them, as a line of CSV. That is as
quick as fetching columns into arrays, and holds cells of any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.csv

from connectors import arrow
from connectors.errors import SourceError
from connectors.types import PgType

_PARSE = pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
_LEAST_BLOCK = 1 << 16
_END = ",."  # behind each line: the last cell may be empty, and so may the line


def cells(lines: Sequence[str | bytes | None], count: int) -> list[pa.Array]:
    """The cells of so many columns of lines of CSV, as binary; NULL where a cell is empty and unquoted. SourceError
    where a line is not what was asked for."""
    if not lines:
        return [pa.array([], pa.binary()) for _ in range(count)]
    if None in lines:
        raise SourceError(
            "a row is longer than the source can send as one text",
            sqlstate="HV004",
            hint="raise the server's limit (max_allowed_packet of MariaDB), or leave out the long columns",
        )
    data = _joined(lines)
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            read_options=_reading(count, max(len(data) + 1, _LEAST_BLOCK)),
            parse_options=_PARSE,
            convert_options=_converting(count),
        )
    except pa.ArrowInvalid:
        raise _garbled() from None
    if table.num_rows != len(lines) or table.num_columns != count + 1:
        raise _garbled()
    return [_chunk(table.column(at)) for at in range(count)]


def text(values: pa.Array, column: str, expected: PgType) -> pa.Array:
    """Binary as strings; HV004 where it is not UTF-8."""
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        raise arrow.unfit(column, "text that is not UTF-8", expected) from None


def unhexed(values: pa.Array) -> pa.Array:
    """Binary of hexadecimal digits behind one other character."""
    found = [None if value is None else bytes.fromhex(str(value[1:], "ascii")) for value in values.to_pylist()]
    return pa.array(found, pa.binary())


def _joined(lines: Sequence[Any]) -> bytes:
    if isinstance(lines[0], bytes):
        return b"".join([piece for line in lines for piece in (line, b",.\n")])
    try:
        return (f"{_END}\n".join(lines) + f"{_END}\n").encode()
    except UnicodeEncodeError:  # half of a pair of UTF-16
        raise SourceError("the source holds text that is no Unicode", sqlstate="HV004", hint="correct it") from None


def _chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _garbled() -> SourceError:
    return SourceError(
        "the source delivers other columns than were planned",
        sqlstate="HV004",
        hint="its tables have changed, perhaps: introspect it anew",
    )


@lru_cache(256)
def _names(count: int) -> list[str]:
    return [f"c{i}" for i in range(count + 1)]


def _reading(count: int, size: int) -> pyarrow.csv.ReadOptions:
    return pyarrow.csv.ReadOptions(use_threads=False, column_names=_names(count), block_size=size)


@lru_cache(256)
def _converting(count: int) -> pyarrow.csv.ConvertOptions:
    return pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(_names(count), pa.binary()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        check_utf8=False,
    )
