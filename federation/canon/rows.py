"""Rows of the canon as Arrow: PostgreSQL's binary values to exactly the Arrow type that PgType.arrow promises."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from psycopg.pq.abc import PGresult

from connectors.errors import Error
from connectors.postgresql.rows import few
from connectors.types import PgType
from federation.canon.arrays import AS_TEXT, EPOCH_DAYS, EPOCH_MICROS, FIXED, LAST_DAY, LAST_MICRO, MOMENTS

Cells = list[bytes | None]
LATEST = LAST_MICRO - EPOCH_MICROS  # later moments have no place in Arrow's 64 bits


def readable(sql: str, columns: Sequence[PgType]) -> str:
    """The statement with its columns in types that `batch` reads in binary; the others as PostgreSQL prints them."""
    printed = [_printed(kind, f"c{i}") for i, kind in enumerate(columns)]
    if all(text == f"c{i}" for i, text in enumerate(printed)):
        return sql
    names = ", ".join(f"c{i}" for i in range(len(columns)))
    return f"SELECT {', '.join(printed)} FROM ({sql}\n) AS r({names})"  # noqa: S608


def _printed(kind: PgType, name: str) -> str:
    if kind.name in FIXED or kind.name in MOMENTS or kind.name in AS_TEXT or kind.name in ("bytea", "xml"):
        return name
    if kind.name in ("inet", "cidr"):
        return f"textin({kind.name}_out({name}))"  # their cast to text is not their output
    return f"{name}::text"


def batch(result: PGresult, columns: Sequence[PgType]) -> pa.RecordBatch:
    """The rows of a binary result of a `readable` statement; columns are c0, c1 ...

    Error (22003, 22008) for a value that the Arrow type cannot hold: NaN in numeric(p,s), a year past 294246.
    """
    made_at_once = few(result, columns)
    if made_at_once is not None:
        return made_at_once
    count, get = result.ntuples, result.get_value
    if not columns:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * count, pa.struct([])))
    made = [_column([get(row, at) for row in range(count)], kind) for at, kind in enumerate(columns)]
    return pa.RecordBatch.from_arrays(made, schema=_schema(tuple(columns)))


@lru_cache(512)
def _schema(columns: tuple[PgType, ...]) -> pa.Schema:
    return pa.schema([pa.field(f"c{i}", kind.arrow) for i, kind in enumerate(columns)])


def _column(cells: Cells, kind: PgType) -> pa.Array:
    if kind.name == "bytea":
        return pa.array(cells, pa.binary())
    if kind.name in FIXED:
        return _fixed(cells, FIXED[kind.name], kind.arrow)
    if kind.name in MOMENTS:
        return _moments(cells, kind)
    text = pa.array(cells, pa.string())
    if not pa.types.is_decimal(kind.arrow):
        return text
    try:
        return text.cast(kind.arrow)
    except pa.ArrowInvalid as error:
        raise Error(f"a value of {kind.sql} has no decimal form: NaN or Infinity", sqlstate="22003") from error


def _joined(cells: Cells, form: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
    """The numbers of fixed-width cells, and where they are NULL."""
    if None not in cells:
        return np.frombuffer(b"".join(cells), form), None  # type: ignore[arg-type]
    blank = bytes(np.dtype(form).itemsize)
    null = np.fromiter((cell is None for cell in cells), bool, len(cells))
    return np.frombuffer(b"".join([blank if cell is None else cell for cell in cells]), form), null


def _fixed(cells: Cells, form: str, arrow: pa.DataType) -> pa.Array:
    values, null = _joined(cells, form)
    native = values.astype(bool) if form == "u1" else values.astype(values.dtype.newbyteorder("="))
    return pa.array(native, mask=null).cast(arrow)


def _moments(cells: Cells, kind: PgType) -> pa.Array:
    day = kind.name == "date"
    values, null = _joined(cells, ">i4" if day else ">i8")
    plain: npt.NDArray[Any] = values.astype(np.int32 if day else np.int64)
    if kind.name != "time":
        last, epoch = (LAST_DAY, EPOCH_DAYS) if day else (LAST_MICRO, EPOCH_MICROS)
        finite = (plain != last) & (plain != -last - 1)
        if not day and bool(np.any(finite & (plain > LATEST))):
            raise Error("timestamp out of range: past the year 294246", sqlstate="22008")
        plain = np.where(finite, plain + finite.astype(plain.dtype) * plain.dtype.type(epoch), np.sign(plain) * last)
        plain = plain.astype(np.int32 if day else np.int64)
    return pa.array(plain, mask=null).view(kind.arrow)
