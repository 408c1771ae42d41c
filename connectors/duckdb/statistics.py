"""Zone maps: what DuckDB's files and Parquet's footers say of their values, without reading a row."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb

from connectors.base import Column, Table
from connectors.duckdb.schema import quote
from connectors.statistics import Bucket, ColumnStatistics, Estimate, Key, Position, TableStatistics, position

MOST_ZONES = 256  # of one column; beyond, neighbours are taken together
FEW_VALUES = 200.0  # what a column likely has at least, where its table has as many rows
MOST_FOOTERS = 200_000  # column chunks that are looked at for one table
_DISCRETE = frozenset(("int2", "int4", "int8", "date"))
_SIZES = """
    SELECT schema_name, table_name, estimated_size FROM duckdb_tables()
    WHERE database_name = current_database() AND NOT internal
"""
_FOOTERS = """
    SELECT path_in_schema, row_group_num_rows, coalesce(stats_min_value, stats_min),
           coalesce(stats_max_value, stats_max), stats_null_count, total_uncompressed_size
    FROM parquet_metadata({}) ORDER BY file_name, row_group_id LIMIT {}
"""
_ROWS = "SELECT sum(num_rows), max(num_row_groups) FROM parquet_file_metadata({})"


def of_files(
    cursor: duckdb.DuckDBPyConnection, tables: Sequence[Table], files: Mapping[str, str]
) -> dict[Key, TableStatistics]:
    """Parquet: rows, ends, NULLs and sizes of each row group, from the footers; `files` are lists in DuckDB's SQL."""
    found = {}
    for table in tables:
        if table.name in files:
            listed = files[table.name]
            rows = cursor.execute(_ROWS.format(listed)).fetchone()
            chunks = cursor.execute(_FOOTERS.format(listed, MOST_FOOTERS + 1)).fetchall()
            if rows is not None and rows[0] is not None:
                whole = chunks if len(chunks) <= MOST_FOOTERS else []
                found[table.schema or "", table.name] = _of_chunks(table, float(rows[0]), whole)
    return found


def _of_chunks(table: Table, rows: float, chunks: Iterable[tuple[Any, ...]]) -> TableStatistics:
    by_column: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for path, *chunk in chunks:
        by_column[path].append(tuple(chunk))
    columns = {
        column.name: _column(column, by_column[column.name], rows)
        for column in table.columns
        if by_column.get(column.name) and rows
    }
    return TableStatistics(Estimate.exactly(rows), columns, sample=math.inf)


def _column(column: Column, chunks: Sequence[tuple[Any, ...]], rows: float) -> ColumnStatistics:
    zones: list[Bucket] = []
    nulls, complete = 0.0, True
    for count, least, most, empty, _ in chunks:
        low, high = position(least, column.type), position(most, column.type)
        if empty is None:
            complete = False
            continue
        nulls += float(empty)
        if float(empty) >= float(count):
            continue
        if low is None or high is None:
            complete = False
            continue
        zones.append(Bucket(low, high, (float(count) - float(empty)) / rows))
    width = sum(float(chunk[-1] or 0) for chunk in chunks) / rows
    if not complete or not zones:
        return ColumnStatistics(width=width)
    zones = _fewer(zones)
    low, high = min(zone.low for zone in zones), max(zone.high for zone in zones)
    return ColumnStatistics(
        nulls=nulls / rows,
        distinct=_values(column, low, high, rows - nulls),
        low=low,
        high=high,
        buckets=tuple(zones),
        width=width,
    )


def _values(column: Column, low: Position, high: Position, rows: float) -> Estimate:
    """Distinct values: no more than whole numbers or days fit between the ends."""
    if column.type.name not in _DISCRETE or isinstance(low, str) or isinstance(high, str):
        return Estimate(1.0, max(1.0, rows / 10, min(rows, FEW_VALUES)), rows)
    fit = min(high - low + 1, rows)
    return Estimate(1.0, fit, fit)


def _fewer(zones: list[Bucket]) -> list[Bucket]:
    step = math.ceil(len(zones) / MOST_ZONES)
    groups = [zones[at : at + step] for at in range(0, len(zones), step)] if step > 1 else []
    return [
        Bucket(
            min(zone.low for zone in group),
            max(zone.high for zone in group),
            sum(zone.share for zone in group),
        )
        for group in groups
    ] or zones


def of_tables(cursor: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> dict[Key, TableStatistics]:
    """DuckDB's own tables: rows, ends and about how many values each column has; one row is read of each table."""
    sizes = {(schema, name): size for schema, name, size in cursor.execute(_SIZES).fetchall()}
    found = {}
    for table in tables:
        key = (table.schema or "", table.name)
        if key in sizes:
            found[key] = _of_table(cursor, table, float(sizes[key] or 0))
    return found


def _of_table(cursor: duckdb.DuckDBPyConnection, table: Table, rows: float) -> TableStatistics:
    terms = ", ".join(f"stats({quote(column.name)})" for column in table.columns)
    whole = f"{quote(table.schema or 'main')}.{quote(table.name)}"
    told = cursor.execute(f"SELECT {terms} FROM {whole} LIMIT 1").fetchone()  # noqa: S608 -- quoted
    columns = {}
    for column, facts in zip(table.columns, told or (), strict=False):
        if isinstance(facts, dict):
            columns[column.name] = _told(column, facts, rows)
    # deleted rows may still be counted, and stay within the ends
    return TableStatistics(Estimate.of(0.0, rows, rows), columns)


def _told(column: Column, facts: Mapping[str, Any], rows: float) -> ColumnStatistics:
    texts = "min_string_length" in facts  # whose ends are cut off
    low = None if texts else position(facts.get("min"), column.type)
    high = None if texts else position(facts.get("max"), column.type)
    values = facts.get("approx_unique")
    return ColumnStatistics(
        nulls=0.0 if facts.get("has_null") is False else None,
        distinct=Estimate.of(1.0, float(values), rows) if values else Estimate(0.0, math.inf, math.inf),
        low=low,
        high=high,
        width=float(facts["total_string_length"]) / rows if texts and rows and "total_string_length" in facts else None,
    )
