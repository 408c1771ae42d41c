"""A statement's text as analysis needs it: alone, parameters marked, and positions that lead back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.errors import QueryError
from connectors.types import PgType
from federation.canon.lex import params, statements, words

OPENING = frozenset({"select", "values", "table", "with", "("})
LONGEST = 256 * 1024  # characters; reading and planning a text takes microseconds for each, and nobody else a turn
# Words that PostgreSQL turns into a constant while it reads a statement. It takes letters together as one word, so
# there is no clock in 'known'; but behind an escape, as in E'\nnow', no letter tells where a word begins.
_CLOCK = re.compile(r"(?:(?<![a-z])|\\.*)(?:now|today|tomorrow|yesterday)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Marked:
    """`text` is the statement with a marker for each parameter; `places` are (end here, characters more)."""

    sql: str
    start: int
    text: str
    places: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, sql: str, one: tuple[int, int], types: Sequence[PgType], standard: bool) -> Marked:
        """Markers for the parameters of `sql[one[0]:one[1]]`; `types` are those of $1, $2 ..."""
        start, end = one
        parts: list[str] = []
        places: list[tuple[int, int]] = []
        at, length = start, 0
        for first, last, number in params(sql, standard) if types else ():
            marker = f" (vdw.param({number}, NULL::{types[number - 1].bare.sql})) "
            parts += [sql[at:first], marker]
            length += first - at + len(marker)
            places.append((length, len(marker) - (last - first)))
            at = last
        parts.append(sql[at:end])
        return cls(sql, start, "".join(parts), tuple(places))

    def position(self, here: int) -> int | None:
        """The position in the user's text (from 1) of offset `here` (from 0) in the marked one."""
        if here < 0:
            return None
        grown = sum(more for end, more in self.places if here >= end)
        return min(self.start + here - grown, len(self.sql)) + 1

    def told_again(self, error: QueryError, head: int) -> QueryError:
        """The error of what was made of this statement, behind `head` characters, in the user's terms."""
        error.position = None if error.position is None else self.position(error.position - 1 - head)
        return error


def bounded(length: int) -> None:
    """QueryError 54000 for a text that would keep everybody else waiting while it is read."""
    if length > LONGEST:
        raise QueryError(
            f"the statement has {length:,} characters; one over virtual views may have {LONGEST:,}",
            sqlstate="54000",
            hint="Send long lists and texts as parameters (= ANY($1)), or join a temporary table that holds them.",
        )


def single(sql: str, standard: bool) -> tuple[int, int]:
    """Where the one statement of the text stands; QueryError when it is too long, none, many, or does not select."""
    bounded(len(sql))
    found = statements(sql, standard)
    if len(found) > 1:
        raise QueryError("cannot insert multiple commands into a prepared statement", sqlstate="42601")
    if not found:
        raise QueryError("the statement is empty", sqlstate="42601")
    first = next(words(sql, standard))
    if first.text.lower() not in OPENING:
        raise QueryError(
            f"only SELECT can be planned, not {first.text.upper()[:40]}",
            sqlstate="0A000",
            hint="Virtual views are read-only.",
            position=first.start + 1,
        )
    return found[0]


def fleeting(sql: str, standard: bool) -> bool:
    """Whether PostgreSQL may have read the clock while it read the text: 'today'::date and the like."""
    return _CLOCK.search(sql) is not None and any(
        token.kind == "string" and _CLOCK.search(token.text) for token in words(sql, standard)
    )
