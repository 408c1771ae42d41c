"""What a window call partitions and orders by, read out of PostgreSQL's text of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from planner.scalar import Col, Scalar, Verbatim

_ARG = r"\x00\d+\x00"
_NUMBER = re.compile(r"\x00(\d+)\x00")
_PARTITION = re.compile(rf"OVER \(PARTITION BY ({_ARG}(?:, {_ARG})*)(?: ORDER BY| ROWS| RANGE| GROUPS|\))")
_KEY = rf"{_ARG}(?: ASC| DESC)?(?: NULLS FIRST| NULLS LAST)?"
_RANKING = re.compile(
    rf"(ROW_NUMBER|RANK|DENSE_RANK)\(\) OVER \((?:PARTITION BY (?P<by>{_ARG}(?:, {_ARG})*))? ?"
    rf"(?:ORDER BY (?P<order>{_KEY}(?:, {_KEY})*))?\)",
    re.IGNORECASE,
)
_WORDS = re.compile(r"\s*(?:ROW_NUMBER|RANK|DENSE_RANK)\(\)\s*OVER\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ranking:
    """row_number, rank or dense_rank by columns: `partition` and `order` (place, DESC, NULLS FIRST) by their places
    among the call's arguments."""

    name: str
    partition: tuple[int, ...]
    order: tuple[tuple[int, bool, bool], ...]


def ranking(e: Scalar) -> Ranking | None:
    """The call as a ranking over columns; None where it is another window call, or has a frame."""
    if not isinstance(e, Verbatim) or e.kind != "window":
        return None
    found = _RANKING.fullmatch(_text(e))
    if found is None or not all(isinstance(arg, Col) for arg in e.args):
        return None
    order = tuple(_key(term) for term in (found["order"] or "").split(", ") if term)
    return Ranking(found[1].lower(), tuple(map(int, _NUMBER.findall(found["by"] or ""))), order)


def ranks(text: str) -> bool:
    """Whether text of a window call is that of a ranking, whose value is a bigint."""
    return _WORDS.match(text) is not None


def partition(e: Scalar) -> frozenset[int]:
    """The columns by which a window call partitions; none where it is something else."""
    if not isinstance(e, Verbatim) or e.kind != "window":
        return frozenset()
    found = _PARTITION.search(_text(e))
    args = (e.args[int(n)] for n in _NUMBER.findall(found[1])) if found else ()
    return frozenset(a.id for a in args if isinstance(a, Col))


def _text(e: Verbatim) -> str:
    return "".join(p if isinstance(p, str) else f"\x00{p}\x00" for p in e.parts)


def _key(term: str) -> tuple[int, bool, bool]:
    """One ORDER BY term with PostgreSQL's defaults: NULLs come last ascending, first descending."""
    (place,) = _NUMBER.findall(term)
    desc = " DESC" in term.upper()
    first = "NULLS FIRST" in term.upper() or (desc and "NULLS LAST" not in term.upper())
    return int(place), desc, first
