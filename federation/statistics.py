"""What is known of the sources' contents: read from them out of band, and learned from the queries that ran."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cachetools import LRUCache

from connectors.base import Connector, Table
from connectors.errors import Error
from connectors.statistics import Estimate, Key, TableStatistics
from federation.gate.gates import Gates
from federation.gate.patience import patiently
from views.catalog import Catalog, Source, Statistics

PATIENCE = 10.0  # seconds that one source may take
REMEMBERED = 4_096  # fragments
WRONG, FEW = 10.0, 1_000.0  # an estimate that is so many times, and rows, off was wrong
GROWN = 2.0  # plans are made again when a table has so many times the rows, or part of them, that it had then
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Statistician:
    """Keeps `current`, which is replaced and never changed. To be used from one event loop.

    Refreshing leaves catalog and plans as they are; `current.epoch` grows, and with it plans are made again, when a
    table has grown or shrunk past GROWN or became known. `learns`: whether queries that run tell us anything.
    """

    current: Statistics = field(default_factory=Statistics)
    learns: bool = True
    gates: Gates = field(default_factory=Gates)
    _due: dict[str, float] = field(default_factory=dict)
    _failing: set[str] = field(default_factory=set)
    _planned: dict[Key, float] = field(default_factory=dict)  # rows when the epoch began
    _measured: LRUCache[str, Estimate] = field(default_factory=lambda: LRUCache(REMEMBERED))
    _readings: LRUCache[str, Estimate] = field(default_factory=lambda: LRUCache(REMEMBERED))

    def due(self, catalog: Catalog) -> tuple[str, ...]:
        """Sources whose statistics are due to be read again."""
        now = time.monotonic()
        return tuple(
            name for name, source in catalog.sources.items() if source.refresh and self._due.get(name, 0.0) <= now
        )

    async def refresh(
        self, catalog: Catalog, connectors: Mapping[str, Connector], names: Iterable[str] | None = None
    ) -> None:
        """Read the statistics of these sources, of all where None; what cannot be read stays as it was."""
        wanted = [name for name in (catalog.sources if names is None else names) if not catalog.sources[name].fault]
        found = await asyncio.gather(*(self._read(catalog, name, connectors.get(name)) for name in wanted))
        tables = {key: known for key, known in self.current.tables.items() if key in catalog.tables}
        for of_source in found:
            tables.update(of_source)
        if set(wanted) & {key[0] for key in catalog.tables}:
            self._readings.clear()  # a source may read its tables differently now
        self._replace(tables)

    def measured(self, fingerprint: str, rows: int, expected: Estimate) -> bool:
        """Note the rows of a fragment that ran; whether plans with it should be made again."""
        if not fingerprint or not self.learns:
            return False
        seen, count = self._measured.get(fingerprint), float(rows)
        if seen is None:
            self._measured[fingerprint] = Estimate.exactly(count)
        else:
            likely = 0.7 * seen.likely + 0.3 * count
            self._measured[fingerprint] = Estimate(min(seen.low, count), likely, max(seen.high, count))
        if seen is None or not seen.low / 2 <= count <= seen.high * 2:
            self._replace(self.current.tables)
        return _far(count, expected.likely)

    def read(self, fingerprint: str, examined: Estimate) -> None:
        """Note what a source's EXPLAIN said of a fragment."""
        self._readings[fingerprint] = examined
        self._replace(self.current.tables)

    def knows(self, fingerprint: str) -> bool:
        """Whether EXPLAIN was asked of it."""
        return fingerprint in self._readings

    def _replace(self, tables: Mapping[Key, TableStatistics]) -> None:
        epoch = self.current.epoch
        rows = {key: known.rows.likely for key, known in tables.items()}
        if tables is not self.current.tables and any(_changed(self._planned.get(key), rows[key]) for key in rows):
            self._planned, epoch = rows, epoch + 1
        self.current = Statistics(dict(tables), dict(self._measured), dict(self._readings), epoch)

    async def _read(self, catalog: Catalog, name: str, connector: Connector | None) -> dict[Key, TableStatistics]:
        """What one source says; nothing, and one line in the log, while it does not."""
        ask = getattr(connector, "statistics", None)
        source = catalog.sources[name]
        self._due[name] = time.monotonic() + source.refresh
        if ask is None:
            return {}
        try:
            work = partial(_asked, ask, catalog, source, self.current)
            found = await patiently(work, PATIENCE, self.gates.of(name), "statistics")
        except (Error, TimeoutError) as error:
            if name not in self._failing:
                log.warning("source %s: its statistics cannot be read, the last ones serve: %s", name, error)
            self._failing.add(name)
            return {}
        self._failing.discard(name)
        return found


def _asked(
    ask: Callable[..., Mapping[Key, TableStatistics]], catalog: Catalog, source: Source, current: Statistics
) -> dict[Key, TableStatistics]:
    """By our names; the connector is given and gives the source's own."""
    own: dict[Key, tuple[Key, Table]] = {}
    for key, relation in catalog.tables.items():
        table = relation.table
        if key[0] == source.name and table is not None:
            own[table.schema or "", table.name] = key, table
    known = {theirs: current.tables[ours] for theirs, (ours, _) in own.items() if ours in current.tables}
    told: Mapping[Any, TableStatistics] = ask([table for _, table in own.values()], known)
    return {own[theirs][0]: statistics for theirs, statistics in told.items() if theirs in own}


def _changed(before: float | None, now: float) -> bool:
    if before is None:
        return True
    most, least = max(before, now), min(before, now)
    return most > GROWN * least and most - least > FEW


def _far(actual: float, likely: float) -> bool:
    most, least = max(actual, likely), min(actual, likely)
    return most > WRONG * max(least, 1.0) and most - least > FEW
