"""What MariaDB and MySQL know of their tables: InnoDB's guesses, index cardinalities, MariaDB's column histograms."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from connectors.base import Bound, Collation, Column, Table
from connectors.mariadb.sql import literal
from connectors.statistics import Bucket, ColumnStatistics, Estimate, Key, TableStatistics, position
from connectors.types import PgType

Row = tuple[str | None, ...]
Ask = Callable[[str], list[Row]]
_COUNTED = frozenset(("MyISAM", "Aria", "MEMORY", "ROCKSDB"))  # engines that count every row
_TABLES = """SELECT table_schema, table_name, engine, table_rows
FROM information_schema.tables WHERE table_type <> 'VIEW' AND (table_schema, table_name) IN ({})"""
_INDEXES = """SELECT table_schema, table_name, index_name, column_name, cardinality, non_unique, nullable, sub_part
FROM information_schema.statistics WHERE (table_schema, table_name) IN ({})
ORDER BY table_schema, table_name, index_name, seq_in_index"""
# only for those who may read the server's own tables, and only where ANALYZE TABLE ... PERSISTENT was run
_HISTOGRAMS = """SELECT db_name, table_name, column_name, min_value, max_value, nulls_ratio, avg_length, avg_frequency,
hist_type, decode_histogram(hist_type, histogram) FROM mysql.column_stats WHERE (db_name, table_name) IN ({})"""


def read(ask: Ask, try_: Ask, tables: Sequence[Table]) -> dict[Key, TableStatistics]:
    """Three queries, however many tables; `try_` gives no rows where the server refuses."""
    if not tables:
        return {}
    wanted = {(table.schema or "", table.name): table for table in tables}
    text = PgType("text")
    names = ", ".join(f"({literal(Bound(text, s))}, {literal(Bound(text, t))})" for s, t in wanted)
    indexes: dict[Key, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in ask(_INDEXES.format(names)):
        indexes[str(row[0]), str(row[1])][str(row[2])].append(row[3:])
    columns: dict[Key, dict[str, Row]] = defaultdict(dict)
    for row in try_(_HISTOGRAMS.format(names)):
        columns[str(row[0]), str(row[1])][str(row[2])] = row[3:]
    found = {}
    for row in ask(_TABLES.format(names)):
        key = (str(row[0]), str(row[1]))
        if row[3] is not None and key in wanted:
            found[key] = _table(wanted[key], row[2:], indexes[key], columns[key])
    return found


def _table(table: Table, row: Row, indexes: Mapping[str, Sequence[Row]], told: Mapping[str, Row]) -> TableStatistics:
    engine, counted = row
    likely = float(counted or 0)
    # InnoDB looks at a few pages; its word is often half or double of the truth
    rows = Estimate.exactly(likely) if engine in _COUNTED else Estimate(likely / 4, max(likely, 1.0), likely * 4 + 1000)
    distinct: dict[tuple[str, ...], Estimate] = {}
    for index in indexes.values():
        for at, part in enumerate(index, 1):
            columns = tuple(sorted(str(p[0]) for p in index[:at]))
            if part[1] is None or any(p[0] is None or p[4] is not None for p in index[:at]):
                break
            whole = at == len(index) and part[2] == "0" and not any(p[3] == "YES" for p in index)
            count = rows if whole else Estimate.of(1.0, float(part[1]), rows.high)
            if columns not in distinct or whole:
                distinct[columns] = count
    columns_ = {
        column.name: _column(column, distinct.get((column.name,)), told.get(column.name), rows)
        for column in table.columns
        if (column.name,) in distinct or column.name in told
    }
    together = {names: count for names, count in distinct.items() if len(names) > 1}
    return TableStatistics(rows, columns_, together)


def _column(column: Column, count: Estimate | None, told: Row | None, rows: Estimate) -> ColumnStatistics:
    if told is None:
        return ColumnStatistics(distinct=count or Estimate(0.0, math.inf, math.inf))
    least, most, nulls, width, frequency, kind, histogram = told
    share = float(nulls or 0.0)
    if count is None and frequency and float(frequency) > 0:
        count = Estimate.of(1.0, rows.likely * (1 - share) / float(frequency), rows.high)
    low, high = position(least, column.type), position(most, column.type)
    buckets: tuple[Bucket, ...] = ()
    if kind in ("SINGLE_PREC_HB", "DOUBLE_PREC_HB") and histogram:
        buckets = _buckets(low, high, [float(part) for part in histogram.split(",")], 1 - share)
    texts = isinstance(low, str) and column.collation is not Collation.BYTES
    return ColumnStatistics(
        nulls=share,
        distinct=count or Estimate(0.0, math.inf, math.inf),
        low=None if texts else low,
        high=None if texts else high,
        buckets=buckets,
        width=float(width) if width else None,
    )


def _buckets(low: object, high: object, widths: Sequence[float], values: float) -> tuple[Bucket, ...]:
    """Buckets of equal height, whose widths are told as parts of the way from the least value to the greatest."""
    if not isinstance(low, float) or not isinstance(high, float) or not widths:
        return ()
    found, at = [], low
    for width in widths:
        end = min(at + width * (high - low), high)
        found.append(Bucket(at, end, values / len(widths)))
        at = end
    return tuple(found)
