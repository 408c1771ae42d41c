"""Arrays as parameters of engines that have no `= ANY`: behind a bare `IN (` an array stands for its elements."""

from __future__ import annotations

import re

from connectors.base import SourceQuery

_OPENS = re.compile(r"\bIN\s*\(\s*$", re.IGNORECASE)


def listed(query: SourceQuery, place: int) -> bool:
    """Whether `query.parts[place]` is an array parameter right behind `IN (`."""
    part, before = query.parts[place], query.parts[place - 1] if place else ""
    is_array = isinstance(part, int) and query.params[part].type.name.startswith("_")
    return is_array and isinstance(before, str) and bool(_OPENS.search(before))
