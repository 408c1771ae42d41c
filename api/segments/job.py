"""Fits one segmentation, in a process of its own (see api.bounded)."""

from __future__ import annotations

import importlib.util
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from api.segments.encode import Column
from api.segments.fit import fit
from api.segments.model import Placed
from api.segments.profile import profiles
from api.segments.request import Request
from api.uploads.describe import read
from connectors.errors import Error, QueryError

ROW = "row_number"  # the key of customers that have none


def run(job: dict[str, Any]) -> dict[str, Any]:
    """The Arrow file `fd` with the columns `types` (PostgreSQL's), segmented as `request` says; members as Parquet at
    `into`. Gives the model and what is told of it."""
    _libraries()
    warnings.simplefilter("ignore")  # what they say is told, or is an error
    request, key = read(Request, job["request"], "segmentation"), job["key"]
    with os.fdopen(job["fd"], "rb", closefd=False) as stream:
        stream.seek(0)
        table = pa.ipc.open_stream(stream).read_all()
    table = _in_order(table, key)
    columns = {by.name: _column(table, by.name) for by in request.by}
    fitted = fit(request, columns, job["types"])
    placed = fitted.model.place(columns)
    told = profiles(fitted.model, columns, placed.segment)
    model = fitted.model
    if not model.labels:
        model = replace(model, labels=tuple(one["label"] for one in told))
    pq.write_table(_members(table, key, placed, model.labels), job["into"], compression="zstd")
    for one in told:
        for figures in one["profile"].values():
            figures.pop("word")
    return {
        "model": model.json(),
        "told": {
            "rows": table.num_rows,
            "left_out": fitted.dropped,
            "cleaning": fitted.cleaning,
            "quality": fitted.quality,
            "notes": fitted.notes,
            "segment_count": len(model.centers),
            "segments": told,
        },
        "bytes": Path(job["into"]).stat().st_size,
    }


def _libraries() -> None:
    missing = [name for name in ("sklearn", "minisom") if importlib.util.find_spec(name) is None]
    if missing:
        message = f"the server lacks what segmentations are computed with ({', '.join(missing)})"
        raise Error(message, sqlstate="0A000", hint='Install it there: pip install "vdw[segmentation]".')


def _in_order(table: pa.Table, key: str | None) -> pa.Table:
    """Sources give rows in any order, and the same customers are to give the same segments."""
    if not table.num_rows:
        raise QueryError("there are no customers to segment", sqlstate="02000")
    if key is None:
        ordered = table.sort_by([(name, "ascending") for name in table.schema.names])
        return ordered.append_column(ROW, pa.array(range(1, table.num_rows + 1), pa.int64()))
    column = table.column(key)
    if column.null_count:
        raise QueryError(f'the key "{key}" is missing in {column.null_count} rows', sqlstate="23502")
    ordered = table.sort_by(key)
    values = ordered.column(key).combine_chunks()
    if len(values.unique()) < len(values):
        count = f"it has {len(values.unique()):,} values in {len(values):,} rows"
        message = f'the key "{key}" does not identify a customer: {count}'
        raise QueryError(message, sqlstate="23505", hint="Group the rows by it, or name another key.")
    return ordered


def _column(table: pa.Table, name: str) -> Column:
    try:
        values: list[Any] = table.column(name).to_pylist()
    except (ValueError, OverflowError):
        raise QueryError(f'attribute "{name}" holds a day that is out of range', sqlstate="22008") from None
    return values


def _members(table: pa.Table, key: str | None, placed: Placed, labels: tuple[str, ...]) -> pa.Table:
    """Who is in which segment; those who are in none are left out."""
    rows = np.nonzero(placed.segment)[0]
    segment = placed.segment[rows]
    name = key or ROW
    taken = {"label": "segment_label", "segment": "segment_number"}.get(name, name)
    return pa.table(
        {
            taken: table.column(name).take(pa.array(rows)),
            "segment": pa.array(segment, pa.int64()),
            "label": pa.array([labels[number - 1] for number in segment], pa.string()),
            "distance": pa.array(placed.distance[rows], pa.float64()),
            "confidence": pa.array(placed.confidence[rows], pa.float64()),
        }
    )
