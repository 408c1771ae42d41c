"""What a plan costs, in milliseconds as we price them: a millisecond of a source that people work with is dear."""

from __future__ import annotations

from dataclasses import dataclass

from planner import ir
from planner.access import examined
from planner.estimate import Estimator, stack
from planner.ir import Rel
from views.catalog import Catalog, Source

# Milliseconds for a row. A source reads some five million rows a second, an operational one's time is priced
# twenty times its length: others wait for it.
OPERATIONAL, WAREHOUSE = 0.004, 0.0002
LOCAL = 0.0005  # a row that is merged here
BYTE = 0.00001  # a byte on its way: 100 MB/s
STATEMENT = 0.5  # a round trip
EMBEDDED = 0.1  # a statement to a file in our own process
PAST = 1_000.0  # times the price of rows past the owner's budget
_FILES = frozenset(("sqlite", "duckdb", "files"))


@dataclass(frozen=True, slots=True)
class Cost:
    """`source`: the price of what sources do; `transfer`: round trips and bytes; `local`: our own work. All in ms."""

    source: float = 0.0
    transfer: float = 0.0
    local: float = 0.0

    @property
    def total(self) -> float:
        """The number to compare plans by."""
        return self.source + self.transfer + self.local

    def plus(self, other: Cost) -> Cost:
        """Both, one after the other."""
        return Cost(self.source + other.source, self.transfer + other.transfer, self.local + other.local)


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
    """The cost of a relation that runs whole at `source`, its rows brought here; past the owner's budget any other
    plan is better."""
    read, sent = examined(rel, estimator).likely, estimator.rows(rel).likely
    weight = OPERATIONAL if source.operational else WAREHOUSE
    most = source.limits.examined_rows
    if most is not None and read > most:
        weight *= PAST
    trip = EMBEDDED if source.kind in _FILES else STATEMENT
    return Cost(weight * read, trip + BYTE * estimator.width(rel) * sent, LOCAL * sent)
