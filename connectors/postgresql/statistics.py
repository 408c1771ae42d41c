"""What PostgreSQL's ANALYZE found and what its counters say since: catalogs only, never the tables themselves."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from connectors.base import Collation, Column, Table
from connectors.statistics import Bucket, ColumnStatistics, Estimate, Key, Position, TableStatistics, fold, position

Ask = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
A_PAGE = 291  # rows that a page of 8 kB holds at the most
_SAMPLED = 300  # rows, and pages, that ANALYZE looks at for each unit of its target

# Partitions count through their parent, as they are read.
_SIZES = """
SELECT n.nspname::text, c.relname::text, s.rows::float8, s.analyzed::float8, s.pages::float8, s.changed::float8,
       s.revision, current_setting('default_statistics_target')::int
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN unnest($1::text[], $2::text[]) w(schema, name) ON w.schema = n.nspname AND w.name = c.relname
CROSS JOIN LATERAL (
  SELECT sum(p.reltuples) FILTER (WHERE p.reltuples >= 0) AS rows,
         sum(p.relpages) FILTER (WHERE p.reltuples >= 0) AS analyzed,
         sum(pg_relation_size(p.oid) / current_setting('block_size')::int) AS pages,
         sum(coalesce(pg_stat_get_mod_since_analyze(p.oid), 0)) AS changed,
         md5(string_agg(concat_ws(' ', p.oid, p.reltuples, pg_stat_get_last_analyze_time(p.oid),
                                  pg_stat_get_last_autoanalyze_time(p.oid)), ',' ORDER BY p.oid)) AS revision
  FROM pg_class p
  WHERE p.relkind IN ('r', 'm')
    AND (p.oid = c.oid OR c.relkind = 'p' AND p.oid IN (SELECT relid FROM pg_partition_tree(c.oid) WHERE isleaf))
) s
WHERE c.relkind IN ('r', 'm', 'p') AND s.pages IS NOT NULL
"""
_COLUMNS = """
SELECT s.schemaname::text, s.tablename::text, s.attname::text, s.null_frac::float8, s.n_distinct::float8, s.avg_width,
       s.correlation::float8, s.most_common_vals::text::text[], s.most_common_freqs::float8[],
       s.histogram_bounds::text::text[]
FROM pg_stats s
JOIN unnest($1::text[], $2::text[]) w(schema, name) ON w.schema = s.schemaname AND w.name = s.tablename
ORDER BY s.inherited
"""
_COMBINATIONS = """
SELECT x.schemaname::text, x.tablename::text, x.n_distinct::text,
       (SELECT json_object_agg(a.attnum, a.attname)::text FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = x.schemaname AND c.relname = x.tablename AND a.attnum > 0)
FROM pg_stats_ext x
JOIN unnest($1::text[], $2::text[]) w(schema, name) ON w.schema = x.schemaname AND w.name = x.tablename
WHERE x.n_distinct IS NOT NULL
"""


def read(ask: Ask, tables: Sequence[Table], known: Mapping[Key, TableStatistics]) -> dict[Key, TableStatistics]:
    """Sizes of all tables; columns of those that were analysed since `known` was read. Three queries at the most."""
    wanted = {(table.schema or "", table.name): table for table in tables}
    sizes = {(row[0], row[1]): row[2:] for row in ask(_SIZES, _names(list(wanted)))}
    anew = [key for key, row in sizes.items() if key not in known or known[key].revision != row[4]]
    columns: dict[Key, dict[str, tuple[Any, ...]]] = {key: {} for key in anew}
    combinations: dict[Key, list[tuple[str, str]]] = {key: [] for key in anew}
    if anew:
        for row in ask(_COLUMNS, _names(anew)):
            columns[row[0], row[1]][row[2]] = row[3:]
        for row in ask(_COMBINATIONS, _names(anew)):
            combinations[row[0], row[1]].append((row[2], row[3]))
    found = {}
    for key, row in sizes.items():
        size = TableStatistics(rows=_rows(row), sample=_sample(row), stale=row[3], revision=row[4])
        if key in columns:
            own = _columns(wanted[key], columns[key], row[0] or 0.0, size.sample)
            found[key] = replace(size, columns=own, distinct=_together(combinations[key], row[0]))
        else:
            found[key] = replace(size, columns=known[key].columns, distinct=known[key].distinct)
    return found


def _names(keys: Sequence[Key]) -> tuple[list[str], list[str]]:
    return [schema for schema, _ in keys], [name for _, name in keys]


def _rows(row: tuple[Any, ...]) -> Estimate:
    """Rows now: as many on each page as when it was analysed; exactly known where every page was and none changed."""
    counted, analyzed, pages, changed, _, target = row
    if counted is None or (not analyzed and pages):
        return Estimate(0.0, pages * 60.0, pages * A_PAGE)
    likely = counted if not analyzed else counted / analyzed * pages
    if analyzed == pages <= _SAMPLED * target:
        return Estimate.of(counted - changed, counted, counted + changed)
    doubt = changed + 0.1 * likely
    return Estimate.of(likely - doubt, likely, min(likely + doubt, pages * A_PAGE))


def _sample(row: tuple[Any, ...]) -> float:
    """Rows that ANALYZE's shares are made of: all of a small table's."""
    counted, _, _, _, _, target = row
    if counted is None:
        return 0.0
    return math.inf if counted <= _SAMPLED * target else float(_SAMPLED * target)


def _columns(
    table: Table, told: Mapping[str, tuple[Any, ...]], rows: float, sample: float
) -> dict[str, ColumnStatistics]:
    return {
        column.name: _column(column, told[column.name], rows, sample) for column in table.columns if column.name in told
    }


def _column(column: Column, facts: tuple[Any, ...], rows: float, sample: float) -> ColumnStatistics:
    nulls, distinct, width, correlation, values, shares, bounds = facts
    count = _distinct(float(distinct), rows, float(nulls), len(bounds or ()) + len(values or ()), sample)
    places = [position(value, column.type) for value in values or ()]
    spread = [at for bound in bounds or () if (at := position(bound, column.type)) is not None]
    if None in places or len(spread) < len(bounds or ()):  # NaN and infinities lie beyond all that have a place
        return ColumnStatistics(float(nulls), count, width=float(width))
    common: dict[Position, float] = {}
    for at, share in zip(places, shares or (), strict=True):
        if at is not None:
            common[fold(at, column.collation)] = common.get(fold(at, column.collation), 0.0) + float(share)
    if column.collation is not Collation.BYTES and any(isinstance(at, str) for at in (*spread, *common)):
        return ColumnStatistics(float(nulls), count, most_common=common, width=float(width))
    rest = max(0.0, 1 - float(nulls) - sum(common.values()))
    buckets = tuple(Bucket(a, b, rest / (len(spread) - 1)) for a, b in pairwise(spread))
    ends = [*spread, *common] if math.isinf(sample) else []
    return ColumnStatistics(
        nulls=float(nulls),
        distinct=count,
        low=min(ends, default=None),
        high=max(ends, default=None),
        most_common=common,
        buckets=buckets,
        correlation=correlation,
        width=float(width),
    )


def _distinct(told: float, rows: float, nulls: float, seen: int, sample: float) -> Estimate:
    """n_distinct: a number, or (negative) a share of the rows; from a sample it is a guess."""
    likely = told if told >= 0 else -told * rows
    if math.isinf(sample):
        return Estimate.exactly(float(round(likely)))
    return Estimate.of(float(min(seen, likely)), likely, max(rows * (1 - nulls), likely) * 1.5)


def _together(rows: Sequence[tuple[str, str]], count: float | None) -> dict[tuple[str, ...], Estimate]:
    """Extended statistics: {"1, 3": 42} by column numbers."""
    found: dict[tuple[str, ...], Estimate] = {}
    for counts, names in rows:
        of = json.loads(names)
        for numbers, distinct in json.loads(counts).items():
            columns = [of.get(number.strip()) for number in numbers.split(",")]
            if None not in columns:
                found[tuple(sorted(columns))] = Estimate.of(1.0, float(distinct), count or math.inf)
    return found
