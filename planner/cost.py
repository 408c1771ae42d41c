"""What a plan costs, in milliseconds as we price them: a millisecond of a source that people work with is dear."""

from __future__ import annotations

import math
from dataclasses import dataclass

from connectors.statistics import Estimate
from planner import ir
from planner.access import accesses, serving
from planner.estimate import Estimator, stack
from planner.ir import Rel
from planner.scalar import Col, KeyIn
from views.catalog import Catalog, Source

# Milliseconds for a row. A source reads some five million rows a second, an operational one's time is priced
# twenty times its length: others wait for it.
OPERATIONAL, WAREHOUSE = 0.004, 0.0002
LOCAL = 0.0005  # a row that is merged here
BYTE = 0.00001  # a byte on its way: 100 MB/s
STATEMENT = 0.5  # a round trip
EMBEDDED = 0.1  # a statement to a file in our own process
KEYS_A_STATEMENT = 1_000
_FILES = frozenset(("sqlite", "duckdb", "parquet"))


@dataclass(frozen=True, slots=True)
class Cost:
    """`source`: the price of what sources do; `transfer`: round trips and bytes; `local`: our own work. All in ms.

    `examined`: rows that sources read, `rows`: those that they send, `statements` as they are likely."""

    source: float = 0.0
    transfer: float = 0.0
    local: float = 0.0
    examined: float = 0.0
    rows: float = 0.0
    statements: float = 0.0

    @property
    def total(self) -> float:
        """The number to compare plans by."""
        return self.source + self.transfer + self.local

    def plus(self, other: Cost) -> Cost:
        """Both, one after the other."""
        return Cost(
            self.source + other.source,
            self.transfer + other.transfer,
            self.local + other.local,
            self.examined + other.examined,
            self.rows + other.rows,
            self.statements + other.statements,
        )


def cost(rel: Rel, estimator: Estimator, catalog: Catalog) -> Cost:
    """The cost of a relation: Cuts, and filtered scans where nothing is cut yet, at their sources, the rest here."""
    _, below = stack(rel)
    if isinstance(rel, ir.Cut):
        return fragment(rel.rel, catalog.sources[rel.source], estimator)
    if isinstance(below, ir.Scan):
        return fragment(rel, catalog.sources[below.table.schema], estimator)
    total = Cost(local=LOCAL * estimator.rows(rel).likely)
    for branch in ir.inputs(rel):
        total = total.plus(cost(branch, estimator, catalog))
        total = total.plus(Cost(local=LOCAL * estimator.rows(branch).likely))
    return total


def fragment(rel: Rel, source: Source, estimator: Estimator) -> Cost:
    """The cost of a relation that runs whole at `source`, its rows brought here."""
    read = sum(access.examined.likely for access in accesses(rel, estimator))
    return _priced(source, read, estimator.rows(rel).likely, estimator.width(rel), 1.0)


def bound(rel: Rel, source: Source, estimator: Estimator, column: int, keys: Estimate) -> Cost:
    """The cost of the same with `column IN keys` (a bind join): looked up where an index leads with the column."""
    predicates, scan = stack(rel)
    estimator.look(rel)
    statements = max(1.0, math.ceil(keys.likely / KEYS_A_STATEMENT))
    rows = estimator.rows(rel).likely
    values = max(estimator.distinct(rel, (column,)).likely, 1.0)
    sent = min(rows, rows / values * keys.likely)
    if not isinstance(scan, ir.Scan):
        read = sum(access.examined.likely for access in accesses(rel, estimator)) * statements
        return _priced(source, read, sent, estimator.width(rel), statements)
    known = estimator.known(column)
    driver = KeyIn((Col(column, known.column.type if known is not None else None),), (column,))
    access = serving(scan, (*predicates, driver), estimator)
    table = estimator.table(scan).rows.likely
    led = known is not None and access.index[:1] == (known.name,)
    each = table / max(estimator.distinct(scan, (column,)).likely, 1.0)
    read = min(keys.likely * each, table * statements) if led else access.examined.likely * statements
    return _priced(source, read, sent, estimator.width(rel), statements)


def _priced(source: Source, read: float, sent: float, width: float, statements: float) -> Cost:
    weight = OPERATIONAL if source.operational else WAREHOUSE
    trip = EMBEDDED if source.kind in _FILES else STATEMENT
    return Cost(
        source=weight * read,
        transfer=trip * statements + BYTE * width * sent,
        local=LOCAL * sent,
        examined=read,
        rows=sent,
        statements=statements,
    )
