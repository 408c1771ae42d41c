"""What Trino's SHOW STATS knows of tables: one statement for each, so few at a time, those known longest ago last."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from connectors.base import Table
from connectors.statistics import ColumnStatistics, Estimate, Key, TableStatistics, position
from connectors.trino.sql import quoted

Ask = Callable[[str], list[list[Any]]]
AT_ONCE = 64  # tables asked in one go, at most
PATIENCE = 6.0  # seconds for them all


class Reader:
    """Asks for each table in its turn. To be used by one thread at a time."""

    def __init__(self) -> None:
        self._asked: dict[Key, float] = {}

    def read(self, try_: Ask, catalog: str, tables: Sequence[Table]) -> dict[Key, TableStatistics]:
        """Of those tables whose turn it is; the others' last statistics serve on."""
        end = time.monotonic() + PATIENCE
        wanted = {(table.schema or "", table.name): table for table in tables}
        found = {}
        for key in sorted(wanted, key=lambda key: self._asked.get(key, 0.0))[:AT_ONCE]:
            if time.monotonic() >= end:
                break
            told = try_(f"SHOW STATS FOR {quoted(catalog)}.{quoted(key[0])}.{quoted(key[1])}")
            self._asked[key] = time.monotonic()
            if (one := _table(wanted[key], told)) is not None:
                found[key] = one
        return found


def _table(table: Table, told: Sequence[Sequence[Any]]) -> TableStatistics | None:
    """None where the number of rows is not known, without which the rest says nothing."""
    count = next((row[4] for row in told if row[0] is None), None)
    if count is None:
        return None
    likely = float(count)
    # as old as the last ANALYZE, or a guess of the server behind it
    rows = Estimate.of(likely / 4, likely, likely * 4 + 1000)
    columns = {row[0]: _column(table, row, rows) for row in told if row[0] is not None}
    return TableStatistics(rows, columns)


def _column(table: Table, row: Sequence[Any], rows: Estimate) -> ColumnStatistics:
    name, size, distinct, nulls, _, low, high = row
    kind = table.column(name).type
    values = rows.likely * (1 - float(nulls or 0.0))
    return ColumnStatistics(
        nulls=None if nulls is None else float(nulls),
        distinct=Estimate(0.0, math.inf, math.inf)
        if distinct is None
        else Estimate.of(min(1.0, float(distinct)), float(distinct), rows.high),
        low=position(low, kind),
        high=position(high, kind),
        width=None if size is None or values <= 0 else float(size) / values,
    )
