"""Short codes for why something was not pushed, for tools and tests: the texts are for people and may change."""

from __future__ import annotations

# The first that is in the text counts.
_CODES = (
    ("is not proven in", "NOT_PROVEN"),
    ("no rule for", "NO_RULE"),
    ("aggregate that no rule knows", "NO_RULE"),
    ("collation", "TEXT_COLLATION"),
    ("stored values may not be", "STORED_TYPE"),
    ("different sources", "OTHER_SOURCE"),
    ("neither side is unique", "JOIN_EXPANDS"),
    ("enclosing query", "CORRELATED"),
    ("sub-query", "SUB_QUERY"),
    ("LATERAL", "LATERAL"),
    ("LIMIT below", "ABOVE_LIMIT"),
    ("escape character", "LIKE_ESCAPE"),
    ("may overflow", "OVERFLOW"),
    ("FULL JOIN", "NO_FULL_JOIN"),
    ("GROUPING SETS", "GROUPING_SETS"),
    ("FILTER", "AGGREGATE_FILTER"),
    ("order by an expression", "ORDER_EXPRESSION"),
    ("DISTINCT ON", "DISTINCT_ON"),
    ("few of the groups", "FEW_GROUPS"),
    ("nothing is known of the engine", "UNKNOWN_ENGINE"),
    ("constant", "CONSTANT"),
    ("parameter of", "PARAMETER_TYPE"),
    (" below ", "ABOVE_SUPERSET"),
)


def code(reason: str) -> str:
    """The code of a reason; '' where there is none, OTHER where it has no code of its own."""
    if not reason:
        return ""
    return next((code for text, code in _CODES if text in reason), "OTHER")
