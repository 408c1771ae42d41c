"""Asks a source's EXPLAIN about a fragment, where the estimate leaves open whether it keeps within a budget."""

from __future__ import annotations

import logging
from functools import partial

from connectors.base import Connector, SourceQuery
from connectors.errors import Error
from connectors.reading import Reading
from connectors.statistics import Estimate
from federation.gate.gate import Gate
from federation.gate.patience import patiently
from planner.plan import Fragment
from views.catalog import Catalog

PATIENCE = 2.0  # seconds; it takes a millisecond, and the query waits for it
log = logging.getLogger(__name__)


async def examined(
    fragment: Fragment, query: SourceQuery, connector: Connector | None, catalog: Catalog, gate: Gate
) -> Estimate | None:
    """Rows that the source would read for this statement; None where it does not tell."""
    ask = getattr(connector, "explain", None)
    if ask is None:
        return None
    try:
        # a lookup: it takes as long as one, and a query waits for it
        work = partial(ask, query, timeout=PATIENCE)
        reading: Reading = await patiently(work, PATIENCE, gate, "explain", kind="lookup")
    except (Error, TimeoutError) as error:
        log.warning("source %s does not explain a statement: %s", fragment.source, error)
        return None
    total = 0.0
    for step in reading.steps:
        if step.rows is not None:
            total += step.rows
        elif not step.index:
            total += _rows(step.table, fragment.source, catalog) * step.repeated
        else:
            total += fragment.expected.rows.likely  # SQLite names the index, and no number
    return Estimate.exactly(total)


def _rows(table: str, source: str, catalog: Catalog) -> float:
    """Rows of a table by the source's own name of it."""
    known = catalog.statistics.tables.get((source, table))
    return known.rows.likely if known is not None else 0.0
