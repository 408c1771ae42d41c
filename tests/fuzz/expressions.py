"""The scalar half of the grammar: constants that may be parameters, predicates, sub-queries at any depth."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.conformance.texts import python_text
from connectors.types import PgType
from tests.differential.scalars import Ref, Scalars, comparable
from tests.fuzz.forms import SAFE, aggregates, crisp

Columns = tuple[tuple[str, PgType], ...]
Params = tuple[tuple[str, "str | None"], ...]  # (type, text)
# The columns of a SELECT, by asking PostgreSQL; None where it refuses the text.
Describe = Callable[[str], "Columns | None"]
_BOUND = frozenset(
    ("int2", "int4", "int8", "numeric", "text", "varchar", "bool", "date", "timestamp", "timestamptz", "uuid", "float8")
)
_PARAMETER = re.compile(r"\$(\d+)")
_COMPARISONS = ("=", "=", "=", "<>", "<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Relation:
    """Something to read FROM: its text without alias, and its columns as Ref, their `sql` the bare quoted name;
    `weight` is how many tables stand behind it."""

    sql: str
    columns: tuple[Ref, ...]
    weight: int = 1


def compact(sql: str, params: Params) -> tuple[str, Params]:
    """The text with the parameters that it names numbered from 1, and these."""
    order: dict[str, int] = {}
    text = _PARAMETER.sub(lambda found: f"${order.setdefault(found[1], len(order) + 1)}", sql)
    return text, tuple(params[int(n) - 1] for n in order)


class Expressions(Scalars):
    """Writes expressions over columns in scope; counts in `features` what it used."""

    def __init__(self, r: random.Random, relations: Sequence[Relation], describe: Describe, parameters: bool) -> None:
        super().__init__(r, SAFE)
        self.relations = tuple(relations)
        self.describe = describe
        self.features: set[str] = set()
        self.parameters = parameters
        self.params: list[tuple[str, str | None]] = []
        self.approx = False
        # Tables that a query reads, views expanded: many small queries find more than few large ones.
        self.budget = r.choice((2, 3, 4, 4, 6, 9))
        self._aliases = 0

    def alias(self) -> str:
        """A name that nothing else in the statement has."""
        self._aliases += 1
        return f"x{self._aliases}"

    def chosen(self) -> Relation:
        """A relation that the budget still allows, else a light one."""
        fit = [r for r in self.relations if r.weight <= self.budget]
        found = self.r.choice(fit or [r for r in self.relations if r.weight == 1])
        self.budget -= found.weight
        return found

    def used(self, feature: str) -> None:
        """Counts a feature as exercised by this query."""
        self.features.add(feature)

    # constants

    def constant(self, ref: Ref, text: str) -> str:
        """A literal, or a parameter of the extended protocol."""
        if self.parameters and ref.type.name in _BOUND and self.chance(0.4) and _plain(text):
            self.params.append((ref.type.name, text))
            self.used("parameter")
            return f"${len(self.params)}::{ref.type.bare.sql}"
        if ref.type.name == "numeric" and not _plain(text):
            return f"'{text}'::numeric"
        return super().constant(ref, text)

    def compared(self, ref: Ref, other: str) -> str:
        """A comparison; with a parameter whose type PostgreSQL infers, now and then."""
        values = [v for v in ref.values if v is not None]
        if self.parameters and values and ref.type.name in _BOUND - {"bool"} and self.chance(0.15):
            text = python_text(self.r.choice(values), ref.type) or ""
            if _plain(text):
                self.params.append((ref.type.name, text))
                self.used("untyped parameter")
                return f"{ref.sql} {self.r.choice(_COMPARISONS)} ${len(self.params)}"
        text = super().compared(ref, other)
        for feature in (" NOT IN ", " IN ", " BETWEEN ", "DISTINCT FROM"):
            if feature in text:
                self.used(feature.strip().lower())
                break
        return text

    # predicates

    def condition(self, columns: Sequence[Ref], depth: int, outer: Sequence[Ref] = ()) -> str:
        """A boolean that may hold sub-queries; `outer` are columns of enclosing queries."""
        luck = self.r.random()
        if depth > 0 and luck < 0.3:
            return self.membership(columns, depth - 1, outer)
        if outer and luck < 0.45:
            found = self.correlation(columns, outer)
            if found:
                return found
        return self.predicate(columns, self.r.choice((0, 1, 1, 2)))

    def correlation(self, columns: Sequence[Ref], outer: Sequence[Ref], equal: bool = False) -> str:
        """A comparison of a column with one of an enclosing query; '' where none fits."""
        pairs = [(a, b) for a in columns for b in outer if comparable(a.type, b.type) and orderable(a.type)]
        if not pairs:
            return ""
        same = [(a, b) for a, b in pairs if a.type == b.type]
        a, b = self.r.choice(same if same and self.chance(0.8) else pairs)
        self.used("correlated")
        operator = "=" if equal or self.chance(0.75) else self.r.choice(("<", ">=", "<>", "IS NOT DISTINCT FROM"))
        return f"{a.sql} {operator} {b.sql}"

    def membership(self, columns: Sequence[Ref], depth: int, outer: Sequence[Ref]) -> str:
        """A predicate with a sub-query."""
        shape = self.r.randrange(9)
        negated = self.r.choice(("", "", "NOT "))
        ref = self.r.choice([c for c in columns if orderable(c.type)] or list(columns))
        if shape < 2 or not orderable(ref.type):
            self.used(f"{negated.lower()}exists")
            return f"{negated}EXISTS ({self.inner(depth, (*columns, *outer))})"
        if shape < 5:
            self.used(f"{negated.lower()}in (query)")
            return f"{ref.sql} {negated}IN ({self.inner(depth, self.seen(columns, outer), ref)})"
        if shape == 5:
            quantifier = self.r.choice(("ANY", "ALL"))
            self.used(f"op {quantifier.lower()} (query)")
            inner = self.inner(depth, self.seen(columns, outer), ref)
            return f"{ref.sql} {self.r.choice(_COMPARISONS)} {quantifier} ({inner})"
        if shape == 6:
            other = self.r.choice([c for c in columns if orderable(c.type)])
            self.used("row in (query)")
            inner = self.inner(depth, self.seen(columns, outer), ref, other)
            return f"({ref.sql}, {other.sql}) {negated}IN ({inner})"
        inner = self.scalar(depth, (*columns, *outer), ref)
        return f"{ref.sql} {self.r.choice(_COMPARISONS)} ({inner})"

    def seen(self, columns: Sequence[Ref], outer: Sequence[Ref]) -> tuple[Ref, ...]:
        """What a sub-query correlates with: often nothing."""
        return (*columns, *outer) if self.chance(0.5) else ()

    def inner(self, depth: int, outer: Sequence[Ref], *like: Ref) -> str:
        """A SELECT of columns comparable with `like`, or of anything."""
        text, columns = self.origin(0)
        items = []
        for ref in like:
            fit = [c for c in columns if comparable(c.type, ref.type) and orderable(c.type)]
            items.append(self.r.choice(fit).sql if fit else self.literal(ref))
        where = self.filtered(columns, depth, outer, need=bool(outer) and self.chance(0.8))
        if not items:
            items = [self.r.choice(("1", "NULL", "count(*)", self.r.choice(columns).sql))]
            if items == ["count(*)"]:
                self.used("exists of an aggregate")
        distinct = "DISTINCT " if like and self.chance(0.1) else ""
        return f"SELECT {distinct}{', '.join(items)} FROM {text}{where}"

    def scalar(self, depth: int, outer: Sequence[Ref], like: Ref | None = None) -> str:
        """A SELECT of one value at most: an aggregate (COUNT over no rows is 0), or the first row of a total order."""
        text, columns = self.origin(0)
        where = self.filtered(columns, depth, outer, need=self.chance(0.8))
        fit = [c for c in columns if like is None or comparable(c.type, like.type)]
        fit = [c for c in fit if crisp(c.type) and orderable(c.type) and c.type.name not in ("bool", "uuid", "bytea")]
        number = like is None or like.type.name in ("int2", "int4", "int8", "numeric")
        if number and (not fit or self.chance(0.4)):
            self.used("scalar count")
            return f"SELECT count({self.r.choice(('*', columns[0].sql))}) FROM {text}{where}"
        if not fit:
            return f"SELECT {self.literal(like) if like else 'NULL'} FROM {text}{where} LIMIT 1"
        ref = self.r.choice(fit)
        if self.chance(0.7):
            self.used("scalar aggregate")
            return f"SELECT {self.r.choice(('min', 'max'))}({ref.sql}) FROM {text}{where}"
        self.used("scalar first row")
        return f"SELECT {ref.sql} FROM {text}{where} ORDER BY {ref.sql}{self.r.choice(('', ' DESC'))} LIMIT 1"

    def filtered(self, columns: Sequence[Ref], depth: int, outer: Sequence[Ref] = (), need: bool = False) -> str:
        """A WHERE clause; with `need` it is correlated, if that can be."""
        parts = [self.correlation(columns, outer)] if need else []
        parts += [self.condition(columns, depth, outer) for _ in range(self.r.choice((0, 0, 1, 1, 2)))]
        parts = [p for p in parts if p]
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    def origin(self, depth: int) -> tuple[str, tuple[Ref, ...]]:
        """A FROM item under a fresh alias, and its columns."""
        raise NotImplementedError

    # values

    def value(self, columns: Sequence[Ref], depth: int, outer: Sequence[Ref] = ()) -> str:
        """Something for a select list."""
        luck = self.r.random()
        ref = self.r.choice(columns)
        if depth > 0 and luck < 0.08:
            self.used("scalar sub-query in the select list")
            return f"({self.scalar(depth - 1, (*columns, *outer))})"
        if depth > 0 and luck < 0.12:
            self.used("sub-query as a value")
            return f"({self.membership(columns, depth - 1, outer)})"
        if luck < 0.18:
            self.used("case")
            ref = self.r.choice(columns)
            then, other = ref.sql, self.literal(ref) if ref.type.name != "jsonb" else "NULL"
            return f"CASE WHEN {self.predicate(columns, 1)} THEN {then} ELSE {other} END"
        if luck < 0.22:
            return f"({self.predicate(columns, 1)})"
        return self.expression(ref, columns)

    def call(self, columns: Sequence[Ref], nested: bool = False) -> str:
        """An aggregate over the columns; `nested`: one whose value is exact."""
        ref = self.r.choice(columns)
        form = self.r.choice(aggregates(ref))
        if ref.type.name in ("float4", "float8") and ("sum" in form or "avg" in form):
            form = "count({0})" if nested else form
            self.approx = self.approx or not nested
        text = form.format(ref.sql)
        for feature, marks in _AGGREGATES.items():
            if any(mark in form for mark in marks):
                self.used(feature)
        if self.chance(0.15):
            self.used("filter clause")
            text = f"{text} FILTER (WHERE {self.predicate(columns, 0)})"
        return text


_AGGREGATES = {
    "distinct aggregate": ("(DISTINCT",),
    "ordered-set aggregate": ("WITHIN GROUP",),
    "array_agg": ("array_agg",),
    "string_agg": ("string_agg",),
    "sum": ("sum(",),
    "avg": ("avg(",),
    "count": ("count(",),
    "min or max": ("min(", "max("),
    "deviation": ("stddev", "var_pop"),
}


def orderable(kind: PgType) -> bool:
    """Whether the type has an order, and equality worth comparing."""
    return kind.name not in ("jsonb", "json", "unknown", "record", "point")


def _plain(text: str) -> bool:
    """Whether Python has the value too."""
    return text not in ("NaN", "Infinity", "-Infinity", "infinity", "-infinity") and "BC" not in text
