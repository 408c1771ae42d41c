"""Candidates for Oracle, UNPROVEN: written from its manual and semantics.md, and not run on any server here.

'' is NULL: no constant of text may be '', and what may make an empty text is left out. || leaves NULLs out. A DATE has
a time: the connector has to call it timestamp(0). No booleans: a condition is no value. / does not truncate. The
session has to compare by bytes (NLS_SORT and NLS_COMP BINARY), or the column's collation is not BYTES.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.capability.generic import Words, table
from connectors.capability.rules import RELATIONAL, Arg, nulls_ordered

_UNITS = {
    "year": "'YYYY'", "quarter": "'Q'", "month": "'MM'", "week": "'IW'", "day": "'DD'", "hour": "'HH24'",
    "minute": "'MI'",
}  # fmt: skip


def _not_empty(args: Sequence[Arg]) -> str:
    """Texts to compare with that are constants other than ''; and columns, which hold none."""
    return "a constant '', which is NULL there" if any(a.literal == "" for a in args) else ""


WORDS = Words(
    "oracle",
    {
        ("/", "int", "int"): "TRUNC({0} / {1})",
        ("%", "int", "int"): "MOD({0}, {1})",
        ("||", "text", "text"): "CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL THEN {0} || {1} END",
        ("length", "text"): "LENGTH({0})",
        ("substring", "text", "int"): "",
        ("substring", "text", "int", "int"): "",
        ("left", "text", "int"): "",
        ("btrim", "text"): "",
        ("ltrim", "text"): "",
        ("rtrim", "text"): "",
        ("replace", "text", "text", "text"): "",
        ("-", "date", "date"): "",
        ("cast", "date", "to timestamp"): "CAST({0} AS TIMESTAMP(6))",
        ("cast", "timestamp", "to date"): "",
        ("cast", "int", "to numeric"): "CAST({0} AS NUMBER(19,0))",
        ("cast", "int", "to text"): "TO_CHAR({0})",
        **{(f"extract {part}", kind): "" for part in ("quarter",) for kind in ("date", "timestamp")},
        ("date_trunc second", "timestamp"): "",
        **{
            (f"date_trunc {unit}", "timestamp"): f"CAST(TRUNC({{0}}, {text}) AS TIMESTAMP(6))"
            for unit, text in _UNITS.items()
        },
    },
    sort=nulls_ordered,
    features=frozenset((*RELATIONAL, "union all", "union", "intersect", "distinct", "full join")),
    booleans=False,
    not_null=_not_empty,
    sums=("SUM({0})", "SUM({0})"),
)
CANDIDATES = table(WORDS)
