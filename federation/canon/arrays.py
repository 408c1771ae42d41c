"""Arrow columns as PostgreSQL arrays in binary, the form in which rows enter the canon; whole columns at a time.

A type whose binary form is not written here travels as text and is cast in the canon: PostgreSQL's own input
function then decides, which keeps numeric's scale, intervals, ranges and the rest exact.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from connectors.types import PgType

Bytes = npt.NDArray[np.uint8]
EPOCH_DAYS = 10_957  # from 1970-01-01 to 2000-01-01
EPOCH_MICROS = EPOCH_DAYS * 86_400_000_000
LAST_DAY, LAST_MICRO = 2**31 - 1, 2**63 - 1  # infinity, in Arrow and in PostgreSQL
TEXT = PgType("text")
AS_TEXT = frozenset({"text", "varchar", "bpchar", "name", "json"})  # whose binary form is their text
FIXED = {"bool": "u1", "int2": ">i2", "int4": ">i4", "int8": ">i8", "oid": ">u4", "float4": ">f4", "float8": ">f8"}
CODES = {"bool": "?", "int2": "h", "int4": "i", "int8": "q", "oid": "I", "float4": "f", "float8": "d"}
PACKED = {name: struct.Struct(">i" + code) for name, code in CODES.items()}
LENGTH = struct.Struct(">i").pack
NULL = LENGTH(-1)
FEW = 200  # values
COUNTED: dict[str, tuple[Callable[[int], bytes], int, int]] = {
    "date": (partial(struct.Struct(">ii").pack, 4), EPOCH_DAYS, LAST_DAY),
    "timestamp": (partial(struct.Struct(">iq").pack, 8), EPOCH_MICROS, LAST_MICRO),
    "timestamptz": (partial(struct.Struct(">iq").pack, 8), EPOCH_MICROS, LAST_MICRO),
}  # how each is packed, its epoch, and its infinity
NIBBLE = np.zeros(256, np.uint8)
NIBBLE[list(b"0123456789abcdef")] = range(16)
NIBBLE[list(b"ABCDEF")] = range(10, 16)
DIGITS = [at for at in range(36) if at not in (8, 13, 18, 23)]  # of a UUID's text
HIGH, LOW = DIGITS[0::2], DIGITS[1::2]
MOMENTS = frozenset({"date", "time", "timestamp", "timestamptz"})


def wire_type(kind: PgType) -> PgType:
    """The element type of the array in which a column of type `kind` travels."""
    native = (
        kind.name in FIXED or kind.name in MOMENTS or kind.name in AS_TEXT or kind.name in ("bytea", "uuid", "jsonb")
    )
    return kind.bare if native or pa.types.is_decimal(kind.arrow) else TEXT


def arrays(table: pa.Table, types: Sequence[PgType]) -> list[bytes]:
    """Each column of `table` as a binary array of `wire_type`; types[i] is column i's.

    A table without columns gives one array of booleans, a NULL for each row: rows must be counted all the same.
    """
    if not types:
        nulls = pa.nulls(table.num_rows, pa.bool_())
        return [array(nulls, PgType("bool"))]
    return [array(column, kind) for column, kind in zip(table.columns, types, strict=True)]


def array(column: pa.Array | pa.ChunkedArray, kind: PgType) -> bytes:
    """One column as a binary array of `wire_type(kind)`; values as PgType.arrow has them."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [_elements(chunk, kind) for chunk in chunks if len(chunk)]
    length = sum(len(chunk) for chunk in chunks)
    return b"".join([header(length, column.null_count > 0, wire_type(kind).type_oid), *parts])


def header(length: int, nulls: bool, oid: int) -> bytes:
    """What stands before the elements of a one-dimensional array."""
    if length == 0:
        return struct.pack(">iii", 0, 0, oid)
    return struct.pack(">iiiii", 1, int(nulls), oid, length, 1)


def _elements(column: pa.Array, kind: PgType) -> bytes:
    if column.type != kind.arrow:
        column = column.cast(kind.arrow)
    if len(column) <= FEW and (packed := _few(column, kind.name)) is not None:
        return packed
    if pa.types.is_decimal(column.type):
        return _fixed(_decimal(column), column)
    if kind.name in FIXED:
        values = _filled(column, False if kind.name == "bool" else 0).to_numpy(zero_copy_only=False)
        return _fixed(values.astype(FIXED[kind.name]), column)
    if kind.name in MOMENTS:
        return _fixed(_moments(column, kind.name), column)
    if kind.name == "uuid":
        return _fixed(_uuid(column), column)
    return _variable(column, b"\x01" if kind.name == "jsonb" else b"")


def _few(column: pa.Array, name: str) -> bytes | None:
    """A few values one by one, which is faster than setting up for many; None for types that are not worth it."""
    if name in FIXED:
        pack = PACKED[name].pack
        size = PACKED[name].size - 4
        return b"".join([NULL if value is None else pack(size, value) for value in column.to_pylist()])
    if name in COUNTED:
        return _few_moments(column, name)
    if name in AS_TEXT or (column.type == pa.string() and name not in ("uuid", "jsonb")):
        texts = [None if value is None else value.encode() for value in column.to_pylist()]
        return b"".join([NULL if text is None else LENGTH(len(text)) + text for text in texts])
    return None


def _few_moments(column: pa.Array, name: str) -> bytes:
    pack, epoch, last = COUNTED[name]
    plain = column.view(pa.int32() if name == "date" else pa.int64()).to_pylist()
    return b"".join([NULL if value is None else pack(_shifted(value, epoch, last)) for value in plain])


def _shifted(value: int, epoch: int, last: int) -> int:
    if abs(value) == last:
        return value if value > 0 else value - 1
    return value - epoch


def _filled(column: pa.Array, blank: object) -> pa.Array:
    return column.fill_null(blank) if column.null_count else column


def _bytes(values: npt.NDArray[np.generic]) -> Bytes:
    """The bytes of each value, one row a value."""
    made: Bytes = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    return made


def _fixed(values: npt.NDArray[Any], column: pa.Array) -> bytes:
    """Elements of one width: each behind its length, a NULL as the length -1 alone."""
    packed = np.ascontiguousarray(values)
    width = packed.nbytes // len(packed)
    rows = np.empty(len(values), [("length", ">i4"), ("value", f"V{width}")])
    rows["length"] = width
    rows["value"] = packed.view(f"V{width}").reshape(-1)
    if column.null_count == 0:
        return rows.tobytes()
    null = column.is_null().to_numpy(zero_copy_only=False)
    rows["length"][null] = -1
    kept = np.ones((len(rows), width + 4), bool)
    kept[null, 4:] = False
    return _bytes(rows)[kept].tobytes()


def _variable(column: pa.Array, prefix: bytes) -> bytes:
    """Elements of any width, `prefix` before each one's bytes."""
    binary = column.cast(pa.large_binary())
    lengths = pc.add(pc.binary_length(binary), len(prefix)).fill_null(-1).to_numpy(zero_copy_only=False)
    starts = pa.Array.from_buffers(
        pa.large_binary(),
        len(column),
        [None, pa.py_buffer(np.arange(0, 4 * len(column) + 1, 4, dtype=np.int64)), pa.py_buffer(lengths.astype(">i4"))],
    )
    parts = [starts, pa.scalar(prefix, pa.large_binary()), binary] if prefix else [starts, binary]
    if column.null_count:
        parts[-1] = binary.fill_null(b"")
        if prefix:
            parts[1] = pc.if_else(column.is_null(), pa.scalar(b"", pa.large_binary()), parts[1])
    joined = pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.large_binary()))
    _, offsets, data = joined.buffers()
    ends = np.frombuffer(offsets, np.int64)
    first, last = ends[joined.offset], ends[joined.offset + len(joined)]
    return bytes(memoryview(data)[first:last]) if data is not None else b""


def _moments(column: pa.Array, name: str) -> npt.NDArray[Any]:
    """Dates and times counted from 2000; infinities are the ends of the range."""
    counted = column.view(pa.int32() if name == "date" else pa.int64())
    plain: npt.NDArray[Any] = _filled(counted, 0).to_numpy(zero_copy_only=False)
    if name == "time":
        return plain.astype(">i8")
    last, epoch = (LAST_DAY, EPOCH_DAYS) if name == "date" else (LAST_MICRO, EPOCH_MICROS)
    with np.errstate(over="ignore"):
        shifted: npt.NDArray[Any] = plain - plain.dtype.type(epoch)
    shifted[plain == last] = last
    shifted[plain == -last] = -last - 1
    return shifted.astype(">i4" if name == "date" else ">i8")


def _uuid(column: pa.Array) -> npt.NDArray[Any]:
    """Canonical text (36 characters) to 16 bytes."""
    text = _filled(column, "00000000-0000-0000-0000-000000000000").cast(pa.binary())
    codes = np.frombuffer(text.cast(pa.binary(36)).buffers()[1], np.uint8)[: 36 * len(text)].reshape(len(text), 36)
    nibbles = NIBBLE[codes]
    return (nibbles[:, HIGH] << np.uint8(4)) | nibbles[:, LOW]


def _decimal(column: pa.Array) -> npt.NDArray[Any]:
    """Decimals as numeric's digits of base 10,000, all as many; the server drops leading and trailing zeros."""
    precision, scale = column.type.precision, column.type.scale
    words = np.frombuffer(column.buffers()[1], np.uint64)[2 * column.offset : 2 * (column.offset + len(column))]
    low, high = words[0::2].copy(), words[1::2].view(np.int64).copy()
    if column.null_count:
        null = column.is_null().to_numpy(zero_copy_only=False)
        low[null], high[null] = 0, 0
    narrow = bool(np.all(high == (low.view(np.int64) >> 63)))
    negative = high < 0
    fraction, missing = -(-scale // 4), -scale % 4  # groups behind the point; digits that its last group lacks
    groups = fraction + -(-(precision - scale) // 4)
    groups = min(groups, 6) if narrow else groups  # 64 bits have 19 digits
    rows = np.empty((4 + groups, len(column)), np.int16)
    rows[0], rows[1], rows[3] = groups, groups - fraction - 1, scale
    rows[2] = np.where(negative, 0x4000, 0)
    number = _Narrow(low, negative) if narrow else _Wide(low, high, negative)
    rows[3 + groups] = number.take(10 ** (4 - missing)) * np.uint64(10**missing)
    for at in range(groups - 2, -1, -1):
        rows[4 + at] = number.take(10_000)
    return np.ascontiguousarray(rows.T.astype(">i2"))


class _Narrow:
    """Numbers that fit 64 bits, from which digits are taken at the right."""

    def __init__(self, low: npt.NDArray[np.uint64], negative: npt.NDArray[np.bool_]) -> None:
        self.rest = np.where(negative, np.uint64(0) - low, low)

    def take(self, base: int) -> npt.NDArray[np.uint64]:
        """The remainders by `base`; the quotients remain."""
        whole = self.rest // np.uint64(base)
        digits: npt.NDArray[np.uint64] = self.rest - whole * np.uint64(base)
        self.rest = whole
        return digits


class _Wide:
    """The same for 128 bits: long division over limbs of 32 bits."""

    def __init__(
        self, low: npt.NDArray[np.uint64], high: npt.NDArray[np.int64], negative: npt.NDArray[np.bool_]
    ) -> None:
        mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
        unsigned = high.view(np.uint64)
        tops = np.where(negative, ~unsigned + (low == 0), unsigned)
        lows = np.where(negative, np.uint64(0) - low, low)
        self.limbs = [tops >> shift, tops & mask, lows >> shift, lows & mask]

    def take(self, base: int) -> npt.NDArray[np.uint64]:
        """As above."""
        carry = np.zeros_like(self.limbs[0])
        for i, limb in enumerate(self.limbs):
            part = (carry << np.uint64(32)) | limb
            self.limbs[i] = part // np.uint64(base)
            carry = part - self.limbs[i] * np.uint64(base)
        return carry
