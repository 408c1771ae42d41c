"""How a source says that it would run a statement: which tables it reads, from end to end or by an index."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMED = re.compile(r"""(?:"|`)(?P<table>[^"`]+)(?:"|`) AS (?:"|`)?(?P<alias>\w+)""")


@dataclass(frozen=True, slots=True)
class Step:
    """One table (the source's own name) in a source's plan. `rows` that are read of it, in all its repetitions; None
    where the source does not say. `index` that is used; '' where the table is read from end to end."""

    table: str
    rows: float | None
    index: str = ""
    repeated: float = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """A source's plan of a statement, and its text for people."""

    steps: tuple[Step, ...]
    text: str = ""


def aliased(text: str) -> dict[str, str]:
    """Tables by their aliases in one of our statements, for sources whose plans name aliases only."""
    return {match["alias"]: match["table"] for match in _NAMED.finditer(text)}
