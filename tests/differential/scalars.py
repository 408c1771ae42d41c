"""Expressions over columns in scope: predicates, values made of them, aggregates; literals that nearly match."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.conformance.texts import python_text
from connectors.types import PgType
from tests.differential.forms import FORMS, aggregates

_TEXT = ("text", "varchar", "bpchar")
_INTEGERS = ("int2", "int4", "int8")
UNORDERED = ("jsonb", "interval", "_int4", "_text", "float4", "float8")  # equal values may print differently


@dataclass(frozen=True, slots=True)
class Ref:
    """A column in scope."""

    sql: str
    type: PgType
    values: tuple[Any, ...]

    @property
    def is_text(self) -> bool:
        return self.type.name in _TEXT


class Scalars:
    """Writes one expression after the other from one stream of choices; `forms` are those of one argument by type."""

    def __init__(self, r: random.Random, forms: dict[str, tuple[str, ...]] = FORMS) -> None:
        self.r = r
        self.forms = forms

    def chance(self, share: float) -> bool:
        return self.r.random() < share

    # predicates

    def literal(self, ref: Ref) -> str:
        """A value of the column, or one that only a loose comparison takes for it."""
        value = self.r.choice(ref.values) if ref.values else None
        if value is None:
            return f"NULL::{ref.type.sql}"
        return self.constant(ref, python_text(value, ref.type) or "")

    def constant(self, ref: Ref, text: str) -> str:
        """A constant of the column's type; a text sometimes as another case or length."""
        if ref.is_text and self.chance(0.4):
            text = self.r.choice(
                (text.swapcase(), text + " ", text.rstrip(), text.upper(), text[:1], text.replace("e", "é"))
            )
        quoted = "'" + text.replace("'", "''") + "'"
        if ref.type.name in _INTEGERS or (ref.type.name == "numeric" and self.chance(0.5)):
            return f"({text})"
        return quoted if ref.is_text else f"{quoted}::{ref.type.bare.sql}"

    def predicate(self, columns: Sequence[Ref], depth: int) -> str:
        """A boolean over the columns."""
        if depth > 0 and self.chance(0.45):
            one, other = self.predicate(columns, depth - 1), self.predicate(columns, depth - 1)
            return self.r.choice(
                (f"({one} AND {other})", f"({one} OR {other})", f"(NOT {one})", f"({one}) IS NOT TRUE")
            )
        ref = self.r.choice([c for c in columns if c.type.name not in ("jsonb",)])
        if self.chance(0.12):
            return f"{ref.sql} IS {self.r.choice(('', 'NOT '))}NULL"
        if ref.type.name == "bool":
            return self.r.choice((ref.sql, f"NOT {ref.sql}", f"{ref.sql} IS NOT TRUE", f"{ref.sql} = false"))
        if ref.is_text and self.chance(0.3):
            return self.like(ref)
        if ref.type.name in self.forms and self.chance(0.2):
            form, operator = (
                self.r.choice(self.forms[ref.type.name]),
                self.r.choice(("=", "=", "<>", "<", ">=", "IS DISTINCT FROM")),
            )
            return f"({form.format(ref.sql)}) {operator} ({form.format(self.literal(ref))})"
        same = [c for c in columns if c.type.name == ref.type.name and c.sql != ref.sql]
        other = self.r.choice(same).sql if same and self.chance(0.2) else self.literal(ref)
        return self.compared(ref, other)

    def compared(self, ref: Ref, other: str) -> str:
        shape = self.r.randrange(10)
        if shape == 0:
            return f"{ref.sql} IN ({other}, {self.literal(ref)}, {self.literal(ref)})"
        if shape == 1:
            return f"{ref.sql} NOT IN ({other}, {self.literal(ref)})"
        if shape == 2:
            return f"{ref.sql} BETWEEN {other} AND {self.literal(ref)}"
        if shape == 3:
            return f"{ref.sql} IS {self.r.choice(('', 'NOT '))}DISTINCT FROM {other}"
        return f"{ref.sql} {self.r.choice(('=', '=', '=', '<>', '<', '<=', '>', '>='))} {other}"

    def like(self, ref: Ref) -> str:
        stem = str(self.r.choice(ref.values or ("a",)))[:2].replace("\\", "\\\\").replace("'", "''")
        pattern = self.r.choice((f"{stem}%", f"%{stem}", f"{stem.swapcase()}%", f"%{stem}%", f"{stem}_", "_", "%"))
        return f"{ref.sql} {self.r.choice(('LIKE', 'LIKE', 'LIKE', 'NOT LIKE', 'ILIKE'))} '{pattern}'"

    def expression(self, ref: Ref, columns: Sequence[Ref]) -> str:
        """A value made of one column, sometimes of two."""
        luck = self.r.random()
        if luck < 0.4 and ref.type.name in self.forms:
            return self.r.choice(self.forms[ref.type.name]).format(ref.sql)
        same = [c.sql for c in columns if c.type == ref.type and c.sql != ref.sql]
        if luck < 0.5 and same:
            other, condition = self.r.choice(same), self.predicate(columns, 0)
            forms = ("CASE WHEN {2} THEN {0} ELSE {1} END", "coalesce({0}, {1})", "nullif({0}, {1})", "{0} = {1}")
            return self.r.choice(forms).format(ref.sql, other, condition)
        return ref.sql

    def aggregate(self, columns: Sequence[Ref]) -> str:
        ref = self.r.choice(columns)
        text = self.r.choice(aggregates(ref.type)).format(ref.sql)
        return f"{text} FILTER (WHERE {self.predicate(columns, 0)})" if self.chance(0.15) else text


def comparable(one: PgType, other: PgType) -> bool:
    families = (_TEXT, (*_INTEGERS, "numeric"), ("date", "timestamp", "timestamptz"))
    return one.name == other.name or any(one.name in family and other.name in family for family in families)
