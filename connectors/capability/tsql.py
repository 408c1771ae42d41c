"""Candidates for SQL Server, UNPROVEN: written from its manual and semantics.md, and not run on any server here.

No booleans: a condition is no value and a bit is no condition. = pads with blanks whatever the collation, so equality
of texts is a superset at best; `[` in LIKE opens a class of characters; LEN leaves trailing blanks out; TOP and OFFSET
come from sqlglot; integers' sums overflow in their own type.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.capability.generic import Words, table
from connectors.capability.rules import RELATIONAL, SET_OPERATIONS, Arg, V

_SUPERSET = (V.SUPERSET, V.SUPERSET, V.SUPERSET)
_DATED = {
    "year": "YEAR({0})", "month": "MONTH({0})", "day": "DAY({0})", "quarter": "DATEPART(QUARTER, {0})",
    "doy": "DATEPART(DAYOFYEAR, {0})", "week": "DATEPART(ISO_WEEK, {0})",
}  # fmt: skip
_TIMED = {"hour": "DATEPART(HOUR, {0})", "minute": "DATEPART(MINUTE, {0})"}
# Of 2012, without DATETRUNC: from the first day of all. A Monday is day 0 since 1900-01-01 is one.
_TRUNCATED = {
    "year": "CAST(DATEFROMPARTS(YEAR({0}), 1, 1) AS DATETIME2(6))",
    "quarter": "CAST(DATEFROMPARTS(YEAR({0}), DATEPART(QUARTER, {0}) * 3 - 2, 1) AS DATETIME2(6))",
    "month": "CAST(DATEFROMPARTS(YEAR({0}), MONTH({0}), 1) AS DATETIME2(6))",
    "week": "",
    "day": "CAST(CAST({0} AS DATE) AS DATETIME2(6))",
    "hour": "DATEADD(HOUR, DATEPART(HOUR, {0}), CAST(CAST({0} AS DATE) AS DATETIME2(6)))",
    "minute": "DATEADD(MINUTE, DATEPART(HOUR, {0}) * 60 + DATEPART(MINUTE, {0}),"
    " CAST(CAST({0} AS DATE) AS DATETIME2(6)))",
    "second": "",
}


def _pattern(args: Sequence[Arg]) -> str:
    """A constant without what opens a class of characters."""
    text = args[1].literal if len(args) > 1 else None
    return "" if text is None or "[" not in text else "a pattern with [, which opens a class of characters there"


WORDS = Words(
    "tsql",
    {
        ("||", "text", "text"): "{0} + {1}",
        ("length", "text"): "LEN({0} + N'x') - 1",
        ("substring", "text", "int"): "SUBSTRING({0}, {1}, 2147483647)",
        ("left", "text", "int"): "LEFT({0}, {1})",
        ("btrim", "text"): "LTRIM(RTRIM({0}))",
        ("-", "date", "date"): "DATEDIFF(DAY, {1}, {0})",
        ("cast", "date", "to timestamp"): "CAST({0} AS DATETIME2(6))",
        **{(f"extract {part}", kind): text for kind in ("date", "timestamp") for part, text in _DATED.items()},
        **{(f"extract {part}", "timestamp"): text for part, text in _TIMED.items()},
        **{(f"date_trunc {unit}", "timestamp"): text for unit, text in _TRUNCATED.items()},
    },
    features=frozenset((*RELATIONAL, *SET_OPERATIONS, "distinct", "full join")),
    booleans=False,
    equal=_SUPERSET,
    like=_SUPERSET,
    not_null=_pattern,
)
CANDIDATES = table(WORDS)
