"""What is quickly known of a SQLite file's tables: ANALYZE's averages, and both ends of each index."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from connectors.base import Table
from connectors.sqlite.asking import Asking, Refused
from connectors.sqlite.schema import quote
from connectors.sqlite.types import Misfit, decode
from connectors.statistics import ColumnStatistics, Estimate, Key, Position, TableStatistics, position
from connectors.types import PgType

COUNTED = 10_000  # rows up to which a table is counted; beyond, its greatest rowid says enough


def read(asking: Asking, tables: Sequence[Table]) -> dict[Key, TableStatistics]:
    """A few lookups for each table, none of which reads more than COUNTED rows."""
    averages = _averages(asking)
    return {
        ("main", table.name): _table(asking, table, averages.get(table.name, {}))
        for table in tables
        if table.row_count is not None
    }


def _averages(asking: Asking) -> dict[str, dict[str, list[float]]]:
    """sqlite_stat1 by table and index: rows, then rows for each value of the first column, of the first two ..."""
    found: dict[str, dict[str, list[float]]] = defaultdict(dict)
    try:
        rows = asking.rows("SELECT tbl, coalesce(idx, ''), stat FROM sqlite_stat1")
    except Refused:  # never analysed
        return found
    for table, index, told in rows:
        found[table][index] = [float(word) for word in str(told).split() if word.isdigit()]
    return found


def _table(asking: Asking, table: Table, averages: dict[str, list[float]]) -> TableStatistics:
    rows = _rows(asking, table, averages)
    distinct: dict[tuple[str, ...], Estimate] = {}
    for index, told in averages.items():
        for at, names in enumerate(_prefixes(asking, index), 1):
            if at < len(told) and told[0]:
                likely = told[0] / max(told[at], 1.0)
                distinct[tuple(sorted(names))] = Estimate.of(1.0, likely, rows.high)
    for key in table.keys:
        distinct[tuple(sorted(key))] = rows
    columns = {}
    for name in dict.fromkeys(index[0] for index in (*table.indexes, *table.keys) if index):
        column = table.column(name)
        low, high = _ends(asking, table.name, name, column.type) if column.exact else (None, None)
        counted = distinct.get((name,), Estimate(0.0, math.inf, math.inf))
        columns[name] = ColumnStatistics(distinct=counted, low=low, high=high)
    together = {names: count for names, count in distinct.items() if len(names) > 1}
    sample = math.inf if rows.low == rows.high else 0.0
    return TableStatistics(rows, columns, together, sample)


def _rows(asking: Asking, table: Table, averages: dict[str, list[float]]) -> Estimate:
    name = quote(table.name)
    limited = f"SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {COUNTED + 1})"  # noqa: S608 -- quoted
    counted = float(asking.rows(limited)[0][0])
    if counted <= COUNTED:
        return Estimate.exactly(counted)
    told = next((numbers[0] for numbers in averages.values() if numbers), None)
    try:
        greatest = asking.rows(f"SELECT max(_rowid_) FROM {name}")[0][0]  # noqa: S608 -- quoted
        least = asking.rows(f"SELECT min(_rowid_) FROM {name}")[0][0]  # noqa: S608 -- quoted
        most = float(int(greatest) - int(least) + 1)
    except Refused:  # WITHOUT ROWID
        most = math.inf
    likely = told if told is not None else float(table.row_count or most)
    return Estimate.of(counted, min(likely, most) if likely < math.inf else 100_000.0, most)


def _prefixes(asking: Asking, index: str) -> list[tuple[str, ...]]:
    if not index:
        return []
    names = [row[2] for row in asking.rows(f"PRAGMA main.index_info({quote(index)})")]
    return [tuple(names[:at]) for at in range(1, len(names) + 1) if None not in names[:at]]


def _ends(asking: Asking, table: str, column: str, kind: PgType) -> tuple[Position | None, Position | None]:
    """The least and the greatest value: each is one step down the index."""
    found = []
    for end in ("min", "max"):
        text = f"SELECT {end}({quote(column)}) AS v FROM {quote(table)}"  # noqa: S608 -- quoted
        try:
            value = decode([asking.value(text)], kind).to_pylist()[0]
        except (Misfit, ValueError, OverflowError):
            return None, None
        found.append(position(value, kind))
    return found[0], found[1]
