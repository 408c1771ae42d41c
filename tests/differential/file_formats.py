"""Pieces as files of the formats that one source of files has side by side, each drawn by its piece's seed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake
from pyarrow import ipc

from connectors.conformance.texts import python_text
from connectors.files.ipc import mapped
from tests.differential.placements import Piece

_BARE = ("int2", "int4", "int8", "numeric", "float4", "float8")


def load_files(folder: Path, pieces: list[Piece]) -> dict[str, Any]:
    """A file, or a folder of Delta Lake, for each piece; text formats have their types declared, but for texts."""
    place = folder / "files"
    place.mkdir()
    declared = {}
    for piece in pieces:
        form = _FORMS[piece.spot.seed % len(_FORMS)]
        if form is _delta and any(pa.types.is_time(column.native) for column in piece.columns):
            form = _parquet  # Delta Lake has no time of day
        form(place / piece.name, piece)
        if form in (_csv, _json):
            declared |= {
                f"{piece.name}.{column.stored}": mapped(column.native).sql
                for column in piece.columns
                # a file of objects that has none does not say what they would have
                if not pa.types.is_string(column.native) or piece.spot.seed % 2 or not piece.table.rows
            }
    return {"folder": "files", "types": declared}


def _columns(piece: Piece) -> list[list[Any]]:
    return [[column.encode(value) for value in piece.table.values(column.name)] for column in piece.columns]


def _table(piece: Piece) -> pa.Table:
    arrays = [pa.array(v, c.native) for c, v in zip(piece.columns, _columns(piece), strict=True)]
    return pa.Table.from_arrays(arrays, names=[column.stored for column in piece.columns])


def _texts(piece: Piece) -> list[tuple[str | None, ...]]:
    columns = [
        [None if value is None else python_text(value, mapped(column.native)) for value in values]
        for column, values in zip(piece.columns, _columns(piece), strict=True)
    ]
    return list(zip(*columns, strict=True))


def _parquet(file: Path, piece: Piece) -> None:
    pq.write_table(_table(piece), file.with_suffix(".parquet"), row_group_size=64)


def _arrow(file: Path, piece: Piece) -> None:
    table = _table(piece)
    with ipc.new_file(str(file.with_suffix(".arrow")), table.schema) as writer:
        writer.write_table(table, max_chunksize=64)


def _delta(file: Path, piece: Piece) -> None:
    table = _table(piece)
    half = table.num_rows // 2
    write_deltalake(str(file), table.slice(0, half))
    write_deltalake(str(file), table.slice(half), mode="append")


def _csv(file: Path, piece: Piece) -> None:
    """What is NULL is not quoted, all else is."""
    with file.with_suffix(".csv").open("w", newline="") as out:
        csv.writer(out).writerow([column.stored for column in piece.columns])
        for row in _texts(piece):
            cells = ("" if text is None else '"' + text.replace('"', '""') + '"' for text in row)
            out.write(",".join(cells) + "\r\n")


def _json(file: Path, piece: Piece) -> None:
    kinds = [mapped(column.native) for column in piece.columns]
    names = [json.dumps(column.stored) for column in piece.columns]
    with file.with_suffix(".ndjson").open("w") as out:
        for row in _texts(piece):
            values = []
            for text, kind in zip(row, kinds, strict=True):
                number = text is not None and kind.name in _BARE and text[-1].isdigit()
                values.append("null" if text is None else text if number else json.dumps(text))
            members = (f"{name}: {value}" for name, value in zip(names, values, strict=True))
            out.write("{" + ", ".join(members) + "}\n")


_FORMS: tuple[Callable[[Path, Piece], None], ...] = (_parquet, _csv, _json, _arrow, _delta)
