"""Arrow columns to PostgreSQL's binary output, a column at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from api.pgwire.textual import digits, numbers
from connectors.types import PgType

EPOCH_DAYS = 10_957  # 2000-01-01, PostgreSQL's epoch, in days since 1970
EPOCH = EPOCH_DAYS * 86_400_000_000
AS_TEXT = frozenset({"text", "varchar", "bpchar", "name", "json", "unknown"})  # their binary form is their text

_NUMBERS: Mapping[str, tuple[pa.DataType, str]] = {
    "int2": (pa.int16(), ">i2"),
    "int4": (pa.int32(), ">i4"),
    "int8": (pa.int64(), ">i8"),
    "oid": (pa.int64(), ">u4"),
    "float4": (pa.float32(), ">f4"),
    "float8": (pa.float64(), ">f8"),
    "time": (pa.int64(), ">i8"),
}


def encodes(kind: PgType) -> bool:
    """Whether values of this type have their binary form made here."""
    return kind.name in _NUMBERS or kind.name in AS_TEXT or kind.name in _OTHERS


def fixed(array: pa.Array, kind: PgType) -> np.ndarray | None:
    """The values as a matrix of bytes, one row each, where their width is fixed; None where it is not."""
    if kind.name in _NUMBERS:
        arrow, layout = _NUMBERS[kind.name]
        return _matrix(numbers(array, arrow).astype(layout))
    encode = _FIXED.get(kind.name)
    return None if encode is None else encode(array)


def binary(array: pa.Array, kind: PgType) -> pa.Array:
    """The binary form of values whose width varies, NULLs kept; KeyError for a type that has none here."""
    if kind.name in AS_TEXT:
        return array
    if kind.name == "bytea":
        return array
    if kind.name == "jsonb":
        return pc.binary_join_element_wise(pa.scalar("\x01"), array, "")
    if kind.name == "numeric":
        return _decimal(array) if pa.types.is_decimal(array.type) else _numeric(array)
    raise KeyError(kind.name)


def _matrix(values: np.ndarray) -> np.ndarray:
    return values.view(np.uint8).reshape(len(values), values.dtype.itemsize)


def _bool(array: pa.Array) -> np.ndarray:
    filled = pc.fill_null(array, False) if array.null_count else array
    return _matrix(filled.to_numpy(zero_copy_only=False).astype(np.uint8))


def _date(array: pa.Array) -> np.ndarray:
    days = numbers(array, pa.int32()).astype(np.int64)
    shifted = np.where(np.abs(days) == 2**31 - 1, np.where(days > 0, 2**31 - 1, -(2**31)), days - EPOCH_DAYS)
    return _matrix(shifted.astype(">i4"))


def _moment(array: pa.Array) -> np.ndarray:
    values = numbers(array, pa.int64())
    late, early = values == 2**63 - 1, values == -(2**63 - 1)
    shifted = np.where(late | early, 0, values) - EPOCH
    shifted[late], shifted[early] = 2**63 - 1, -(2**63)
    return _matrix(shifted.astype(">i8"))


_NIBBLES = np.zeros(256, np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_UUID = np.array([i for i in range(36) if i not in (8, 13, 18, 23)])


def _uuid(array: pa.Array) -> np.ndarray:
    filled = pc.fill_null(array, "00000000-0000-0000-0000-000000000000") if array.null_count else array
    letters = _bytes(filled).reshape(len(array), 36)[:, _UUID]
    nibbles = _NIBBLES[letters]
    return np.ascontiguousarray(nibbles[:, ::2] << 4 | nibbles[:, 1::2])


def _bytes(array: pa.Array) -> np.ndarray:
    """All bytes of a string column, one value behind the other."""
    offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
    data = array.buffers()[2]
    return np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]] if data is not None else np.empty(0, np.uint8)


def _decimal(array: pa.Array) -> pa.Array:
    """numeric_send, from the digits as text: groups of four, those of zeros at both ends left out."""
    scale, count = array.type.scale, len(array)
    whole_groups = (array.type.precision - scale + 3) // 4
    part_groups = (scale + 3) // 4
    groups = whole_groups + part_groups
    words = pc.fill_null(digits(array), "0")
    negative = pc.starts_with(words, "-").to_numpy(zero_copy_only=False)
    padded = pc.ascii_lpad(pc.ascii_ltrim(words, "-"), whole_groups * 4 + scale, "0")
    letters = np.zeros((count, groups * 4), np.uint8)
    letters[:, : whole_groups * 4 + scale] = _bytes(padded).reshape(count, -1) - ord("0")
    values = letters.reshape(count, groups, 4).astype(np.uint16) @ np.array([1000, 100, 10, 1], np.uint16)
    used = values != 0
    some = used.any(axis=1)
    first = np.where(some, used.argmax(axis=1), 0)
    last = np.where(some, groups - used[:, ::-1].argmax(axis=1), 0)
    cells = np.zeros((count, 4 + groups), ">i2")
    cells[:, 0] = last - first
    cells[:, 1] = np.where(some, whole_groups - 1 - first, 0)
    cells[:, 2] = np.where(negative & some, 0x4000, 0)
    cells[:, 3] = scale
    cells[:, 4:] = values
    places = np.arange(groups)
    kept = np.ones((count, 4 + groups), bool)
    kept[:, 4:] = (places >= first[:, None]) & (places < last[:, None])
    ends = np.zeros(count + 1, np.int32)
    np.cumsum((4 + last - first) * 2, out=ends[1:])
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(cells[kept].tobytes())]
    return _with_nulls(pa.Array.from_buffers(pa.binary(), count, buffers), array)


def _with_nulls(made: pa.Array, array: pa.Array) -> pa.Array:
    return pc.if_else(array.is_valid(), made, pa.scalar(None, made.type)) if array.null_count else made


def _numeric(array: pa.Array) -> pa.Array:
    return pa.array([None if word is None else numeric(word) for word in array.to_pylist()], pa.binary())


_SPECIAL = {"NaN": 0xC000, "Infinity": 0xD000, "-Infinity": 0xF000}


def numeric(word: str) -> bytes:
    """numeric_send of one value, from numeric_out's text."""
    if word in _SPECIAL:
        return np.array([0, 0, _SPECIAL[word], 0x20 if word != "NaN" else 0], ">u2").tobytes()
    sign, word = (0x4000, word[1:]) if word.startswith("-") else (0, word)
    whole, _, part = word.partition(".")
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    letters = whole + part.ljust(-(-len(part) // 4) * 4, "0")
    groups = [int(letters[i : i + 4]) for i in range(0, len(letters), 4)]
    weight = len(whole) // 4 - 1
    while groups and not groups[-1]:
        groups.pop()
    while groups and not groups[0]:
        groups.pop(0)
        weight -= 1
    if not groups:
        sign = weight = 0
    return np.array([len(groups), weight & 0xFFFF, sign, len(part), *groups], ">u2").tobytes()


_FIXED: Mapping[str, Callable[[pa.Array], np.ndarray]] = {
    "bool": _bool,
    "date": _date,
    "timestamp": _moment,
    "timestamptz": _moment,
    "uuid": _uuid,
}
_OTHERS = frozenset({*_FIXED, "bytea", "jsonb", "numeric"})
