"""Services without SQL: rows are fetched and DuckDB filters them, so that its proofs hold; nothing else is asked there.

Joins, groups and orders would all be computed here over fetched rows: the merge engines do that as well, and keys of
other tables can go to each table on its own.
"""

from __future__ import annotations

from dataclasses import replace

from connectors.capability import duckdb
from connectors.capability.rules import ALWAYS, Rule, binary, membership

# A uuid travels as its one canonical text, which compares byte by byte.
_UUIDS = {
    ("=", "uuid", "uuid"): Rule(binary("=")),
    ("<>", "uuid", "uuid"): Rule(binary("<>")),
    ("in", "uuid", "..."): Rule(membership),
    ("any", "uuid", "array of uuid"): Rule(duckdb.any_of, ALWAYS),
}

CAPABILITY = replace(
    duckdb.CAPABILITY,
    engine="rest",
    scalars=duckdb.CAPABILITY.scalars | _UUIDS,
    aggregates={},
    keys={},
    order={},
    features=frozenset(("typed", "filter", "one table")),
)
