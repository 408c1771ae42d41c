"""Literals as parameters: two statements that differ only in plain constants are one shape, analysed and planned once.

Only such literals count as PostgreSQL understands a parameter in their place exactly as it does them: compared with
something, or in a list after IN; and none that GROUP BY or ORDER BY must recognise. All others stay text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from connectors.base import Bound
from connectors.types import BUILTIN, PgType
from federation.canon.lex import Token, words

MOST = 64  # slots of a statement; longer lists are not worth their parameters
_COMPARISONS = frozenset(("=", "<", ">", "<=", ">=", "<>", "!="))
# What may follow a literal that stands alone on its side of a comparison.
_AFTER = frozenset(
    ") , ; as and or then when else end group order having limit offset fetch union intersect except window join left "
    "right inner full cross natural".split()
)
_ENDS = frozenset("having limit offset fetch window for union intersect except range rows groups".split())
_PLAIN = re.compile(r"'(?:[^']|'')*'")
_WHOLE = re.compile(r"[0-9]+")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]*)\.[0-9]+")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?")
_ZONED = re.compile(_MOMENT.pattern + r"(?:Z|\+00(?::00)?)")
_READ = frozenset("text varchar int2 int4 int8 numeric uuid date timestamp".split())
_BITS = {"int2": 15, "int4": 31, "int8": 63}


@dataclass(frozen=True, slots=True)
class Slot:
    """A literal: where it stands in the text, what it says, and the oid of its type (0: as its neighbours decide)."""

    start: int
    end: int
    said: str
    oid: int


@dataclass(frozen=True, slots=True)
class Shape:
    """A statement with `slots` as parameters behind the client's `own`. `text` is all that distinguishes shapes."""

    text: str
    own: int
    slots: tuple[Slot, ...]

    def without(self, sql: str, kept: frozenset[int]) -> Shape:
        """The shape of `sql` in which the slots of those places stay literals."""
        return _shape(sql, self.own, tuple(slot for at, slot in enumerate(self.slots) if at not in kept))

    def declared(self, own: Sequence[int]) -> tuple[int, ...]:
        """Oids of all parameters' types, the client's first."""
        return (*own, *([0] * (self.own - len(own))), *(slot.oid for slot in self.slots))


def shape(sql: str, declared: int) -> Shape | None:
    """The shape of a statement under standard_conforming_strings; None where it has no slots. `declared` is how many
    parameters the client gave types."""
    tokens = list(words(sql))
    if any(token.kind == "error" for token in tokens):
        return None
    found = _slots(tokens)
    if not found or len(found) > MOST:
        return None
    own = max((int(token.text[1:]) for token in tokens if token.kind == "param"), default=0)
    return _shape(sql, max(own, declared), found)


def _shape(sql: str, own: int, slots: tuple[Slot, ...]) -> Shape:
    pieces, at = [], 0
    for number, slot in enumerate(slots, own + 1):
        pieces += [sql[at : slot.start], f"${number}"]
        at = slot.end
    return Shape("".join(pieces) + sql[at:], own, slots)


def bound(slot: Slot, kind: PgType, utc: bool) -> Bound | None:
    """The slot's value as a parameter of the type that it turned out to be; None where only PostgreSQL knows what the
    text means. `utc`: the session's time zone is UTC."""
    value = _value(slot.said, kind.name, utc)
    return None if value is None else Bound(kind, value)


def readable(kind: PgType, utc: bool) -> bool:
    """Whether values of the type can be read here at all."""
    return kind.name in _READ or (kind.name == "timestamptz" and utc)


def _slots(tokens: Sequence[Token]) -> tuple[Slot, ...]:
    found: list[tuple[str, Slot]] = []
    known: set[str] = set()  # literals that stay text somewhere: equal ones do so everywhere
    lists = [False]  # for each open parenthesis, whether it is a list after IN
    ordering = 0  # the depth at which GROUP BY or ORDER BY began, 0 outside
    between = 0
    last = ""
    for at, token in enumerate(tokens):
        word = token.text.lower() if token.kind in ("word", "punct", "op") else ""
        if word == "(":
            following = tokens[at + 1].text.lower() if at + 1 < len(tokens) else ""
            lists.append(last == "in" and following not in ("select", "with", "values", "("))
        elif word == ")" and len(lists) > 1:
            lists.pop()
            ordering = 0 if ordering > len(lists) else ordering
        elif word in ("by", "on") and last in ("group", "order", "partition", "distinct") and not ordering:
            ordering = len(lists)
        elif word in _ENDS and ordering == len(lists):
            ordering = 0
        elif word == "between":
            between = len(lists)
        elif token.kind in ("string", "number"):
            after = tokens[at + 1].text.lower() if at + 1 < len(tokens) else ";"
            compared = last in _COMPARISONS or last == "between" or (last == "and" and between == len(lists))
            between = 0 if last == "and" else between
            alone = after in _AFTER or (after == "::" and token.kind == "string")
            slot = _slot(token) if alone and (compared or (lists[-1] and last in ("(", ","))) else None
            if slot is None or ordering:
                known.add(token.text)
            else:
                found.append((token.text, slot))
        last = word if word else token.kind
    return tuple(slot for text, slot in found if text not in known)


def _slot(token: Token) -> Slot | None:
    text = token.text
    if token.kind == "string":
        if _PLAIN.fullmatch(text) is None:
            return None
        return Slot(token.start, token.end, text[1:-1].replace("''", "'"), 0)
    if _WHOLE.fullmatch(text) is not None:
        kind = "int4" if int(text) < 1 << 31 else "int8"
        return Slot(token.start, token.end, text, BUILTIN[kind][0]) if int(text) < 1 << 63 else None
    if _DECIMAL.fullmatch(text) is not None:
        return Slot(token.start, token.end, text, BUILTIN["numeric"][0])
    return None


def _value(said: str, kind: str, utc: bool) -> object:
    if kind in ("text", "varchar"):
        return None if "\0" in said else said
    if kind in _BITS:
        plain = said.isdecimal() or _INTEGER.fullmatch(said)
        return int(said) if plain and -(1 << _BITS[kind]) <= int(said) < 1 << _BITS[kind] else None
    if kind == "numeric":
        return said if _DECIMAL.fullmatch(said) or _INTEGER.fullmatch(said) else None
    try:
        return _moment(said, kind, utc)
    except ValueError:  # a date that is none: PostgreSQL says so better
        return None


def _moment(said: str, kind: str, utc: bool) -> object:
    if kind == "uuid":
        return said.lower() if len(said) == 36 and str(UUID(said)) == said.lower() else None
    if kind == "date":
        return date.fromisoformat(said) if _DAY.fullmatch(said) else None
    if kind == "timestamp" and (_DAY.fullmatch(said) or _MOMENT.fullmatch(said)):
        return datetime.fromisoformat(said)
    if kind == "timestamptz" and _ZONED.fullmatch(said):
        return datetime.fromisoformat(said)
    if kind == "timestamptz" and utc and (_DAY.fullmatch(said) or _MOMENT.fullmatch(said)):
        return datetime.fromisoformat(said + ("" if "T" in said or " " in said else " 00:00:00") + "+00:00")
    return None
