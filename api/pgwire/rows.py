"""Arrow batches to runs of DataRow messages, equal byte for byte to what the canon would send."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from api.pgwire import binary, few, textual
from api.pgwire.encodings import known, transcoded
from api.pgwire.packets import data_row, spread
from api.pgwire.zones import Zone, zone
from connectors.types import PgType

Columns = Sequence[tuple[str, PgType]]
RUN = 2 << 20  # bytes of Arrow data that are encoded at once, about
ROWS = 65_536
FEW = 50  # rows up to which values are encoded one by one


def zone_folder() -> Path | None:
    """The zone files of the PostgreSQL that is the canon; None where it uses the system's."""
    return _folder[0]


def use_zones(folder: Path | None) -> None:
    """Take the zone files of that folder."""
    _folder[0] = folder if folder is not None and folder.is_dir() else None


_folder: list[Path | None] = [None]


def supports(columns: Columns, settings: Mapping[str, str], formats: Sequence[int] = ()) -> bool:
    """Whether these columns can be encoded exactly under these settings, in these formats (as Bind has them)."""
    codes = spread(formats, len(columns))
    return all(_supported(kind, code, settings) for (_, kind), code in zip(columns, codes, strict=True))


def _supported(kind: PgType, code: int, settings: Mapping[str, str]) -> bool:
    if code:
        return binary.encodes(kind) and (kind.name not in binary.AS_TEXT or known(settings))
    if kind.name in ("date", "timestamp", "timestamptz"):
        if not settings.get("DateStyle", "ISO").upper().startswith("ISO"):
            return False
        return kind.name != "timestamptz" or _zone_known(settings)
    if kind.name in ("float4", "float8"):
        return int(settings.get("extra_float_digits", "1")) > 0
    if kind.name == "bytea":
        return settings.get("bytea_output", "hex") == "hex"
    if kind.arrow == pa.string():
        return known(settings) and not _styled(kind, settings)
    return True


def _styled(kind: PgType, settings: Mapping[str, str]) -> bool:
    """Whether a type that travels as text would be written differently in this session."""
    if kind.name in binary.AS_TEXT or kind.name in (
        "jsonb",
        "uuid",
        "numeric",
        "inet",
        "cidr",
        "macaddr",
        "bit",
        "varbit",
    ):
        return False
    plain = {"IntervalStyle": "postgres", "DateStyle": "ISO", "bytea_output": "hex", "TimeZone": "UTC"}
    return any(not settings.get(name, value).upper().startswith(value.upper()) for name, value in plain.items())


def _zone_known(settings: Mapping[str, str]) -> bool:
    try:
        zone(settings.get("TimeZone", "UTC"), zone_folder())
    except KeyError:
        return False
    return True


def session_zone(settings: Mapping[str, str]) -> Zone | None:
    """The session's time zone; None for UTC."""
    return zone(settings.get("TimeZone", "UTC"), zone_folder())


def text_columns(batch: pa.RecordBatch, columns: Columns, settings: Mapping[str, str]) -> list[list[str | None]]:
    """Each column's values as PostgreSQL prints them."""
    where = session_zone(settings)
    return [
        textual.text(array, kind, where).to_pylist() for array, (_, kind) in zip(batch.columns, columns, strict=True)
    ]


def slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in pieces that are encoded at once, so that memory stays small."""
    if batch.num_rows <= FEW:
        yield batch
        return
    each = max(1, min(ROWS, batch.num_rows * RUN // max(batch.nbytes, 1)))
    for start in range(0, batch.num_rows, each):
        yield batch.slice(start, each)


def data_rows(
    batch: pa.RecordBatch, columns: Columns, formats: Sequence[int], settings: Mapping[str, str], kind: bytes = b"D"
) -> bytes:
    """The batch's rows as messages: DataRow, or the CopyData of a binary COPY (kind d)."""
    count, width = batch.num_rows, batch.num_columns
    if not count:
        return b""
    if not width:
        return bytes(struct.pack("!cih", kind, 6, 0) * count)
    if count <= FEW:
        return _few(batch, columns, formats, settings, kind)
    pieces = cells(batch, columns, formats, settings)
    sizes = sum((size for _, size in pieces), np.full(count, 6, np.int64))
    head = np.empty((count, 7), np.uint8)
    head[:, 0] = kind[0]
    head[:, 1:5] = sizes.astype(">i4").view(np.uint8).reshape(count, 4)
    head[:, 5:7] = np.frombuffer(struct.pack("!h", width), np.uint8)
    return joined([head, *(piece for piece, _ in pieces)])


def _few(
    batch: pa.RecordBatch, columns: Columns, formats: Sequence[int], settings: Mapping[str, str], kind: bytes
) -> bytes:
    where = session_zone(settings) if any(each.name == "timestamptz" for _, each in columns) else None
    codes = spread(formats, len(columns))
    triples = zip(batch.columns, columns, codes, strict=True)
    made = [few.cells(array, each, code, where, settings) for array, (_, each), code in triples]
    return b"".join([data_row(row, kind) for row in zip(*made, strict=True)])


Piece: TypeAlias = Any  # np.ndarray | pa.Array: one cell per row: a matrix of bytes, or a binary column


def cells(
    batch: pa.RecordBatch, columns: Columns, formats: Sequence[int], settings: Mapping[str, str]
) -> list[tuple[Piece, np.ndarray]]:
    """The parts of each column's cells, length words first, and how many bytes each adds to its row."""
    where = session_zone(settings) if any(kind.name == "timestamptz" for _, kind in columns) else None
    codes = spread(formats, len(columns))
    parts: list[tuple[Piece, np.ndarray]] = []
    for array, (_, kind), code in zip(batch.columns, columns, codes, strict=True):
        parts += _cell(array, kind, code, where, settings)
    return parts


def _cell(
    array: pa.Array, kind: PgType, code: int, where: Zone | None, settings: Mapping[str, str]
) -> list[tuple[Piece, np.ndarray]]:
    matrix = binary.fixed(array, kind) if code else None
    if matrix is None:
        values = binary.binary(array, kind) if code else textual.text(array, kind, where)
        return _varying(transcoded(values, settings) if kind.name != "jsonb" or not code else values)
    count, width = matrix.shape
    if not array.null_count:
        head = np.broadcast_to(np.frombuffer(struct.pack("!i", width), np.uint8), (count, 4))
        return [(np.concatenate((head, matrix), axis=1), np.full(count, width + 4, np.int64))]
    valid = array.is_valid()
    flags = valid.to_numpy(zero_copy_only=False)
    values = pc.if_else(valid, column(matrix), pa.scalar(b"", pa.binary()))
    lengths = np.where(flags, width, -1)
    return [(words(lengths), np.full(count, 4, np.int64)), (values, np.where(flags, width, 0))]


def _varying(values: pa.Array) -> list[tuple[Piece, np.ndarray]]:
    lengths = pc.binary_length(values)
    if values.null_count:
        lengths, values = pc.fill_null(lengths, -1), pc.fill_null(values, b"" if values.type == pa.binary() else "")
    sizes = lengths.to_numpy(zero_copy_only=False)
    count = len(values)
    return [(words(sizes), np.full(count, 4, np.int64)), (values, np.maximum(sizes, 0).astype(np.int64))]


def words(lengths: np.ndarray) -> np.ndarray:
    """Length words of the protocol, one row each."""
    return lengths.astype(">i4").view(np.uint8).reshape(len(lengths), 4)


def column(matrix: np.ndarray) -> pa.Array:
    """A matrix of bytes as a binary column, a row each."""
    count, width = matrix.shape
    ends = np.arange(0, (count + 1) * width, width, dtype=np.int32) if width else np.zeros(count + 1, np.int32)
    return pa.Array.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(matrix))]
    )


def joined(pieces: Sequence[Piece]) -> bytes:
    """The pieces' cells, row by row, as one run of bytes."""
    merged: list[Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if isinstance(piece, np.ndarray) and isinstance(last, np.ndarray):
            merged[-1] = np.concatenate((last, piece), axis=1)
        else:
            merged.append(piece)
    if len(merged) == 1 and isinstance(merged[0], np.ndarray):
        return bytes(merged[0].tobytes())
    arrays = [column(piece) if isinstance(piece, np.ndarray) else _plain(piece) for piece in merged]
    rows = pc.binary_join_element_wise(*arrays, pa.scalar(b"", pa.binary()))
    ends = np.frombuffer(rows.buffers()[1], np.int32)[rows.offset : rows.offset + len(rows) + 1]
    return bytes(memoryview(rows.buffers()[2])[ends[0] : ends[-1]])


def _plain(piece: pa.Array) -> pa.Array:
    return piece if piece.type == pa.binary() else piece.cast(pa.binary())
