"""Writes tables as Parquet files, sorted as they come, in several row groups."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from examples.crm.data import Table

ROW_GROUP = 8192
_TYPES = {
    "int8": pa.int64(),
    "int4": pa.int32(),
    "date": pa.date32(),
    "bool": pa.bool_(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "float8": pa.float64(),
}
_DECIMAL = re.compile(r"numeric\((\d+),(\d+)\)")


def write(folder: Path, tables: list[Table]) -> None:
    """One file for each table, put in place by rename."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        whole = folder / f"{table.name}.part"
        pq.write_table(arrow(table), whole, row_group_size=ROW_GROUP, compression="zstd")
        whole.rename(folder / f"{table.name}.parquet")


def arrow(table: Table) -> pa.Table:
    """The rows as Arrow."""
    kinds = zip(table.columns, table.types, table.columns.values(), strict=True)
    schema = pa.schema([pa.field(name, _type(kind), nullable=not mark.endswith("!")) for name, kind, mark in kinds])
    columns = list(zip(*table.rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema)


def _type(kind: str) -> pa.DataType:
    decimal = _DECIMAL.fullmatch(kind)
    return pa.decimal128(*map(int, decimal.groups())) if decimal else _TYPES.get(kind, pa.string())
