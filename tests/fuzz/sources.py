"""The FROM half of the grammar: relations, derived tables, VALUES, functions, and joins of every kind among them."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.types import PgType
from tests.differential.scalars import Ref, comparable
from tests.fuzz.expressions import Expressions, Relation, compact, orderable
from tests.fuzz.forms import crisp

_KINDS = ("JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
_WIDER = ("int2", "int4", "int8", "numeric")


class Sources(Expressions):
    """Writes FROM clauses. `ctes` are the common table expressions in scope."""

    ctes: tuple[Relation, ...] = ()

    def under(self, relation: Relation) -> tuple[str, tuple[Ref, ...]]:
        """The relation under a fresh alias."""
        alias = self.alias()
        columns = tuple(Ref(f"{alias}.{c.sql}", c.type, c.values) for c in relation.columns)
        return f"{relation.sql} {alias}", columns

    def origin(self, depth: int) -> tuple[str, tuple[Ref, ...]]:
        luck = self.r.random()
        if self.ctes and luck < 0.35:
            self.used("cte reference")
            return self.under(self.r.choice(self.ctes))
        if depth > 0 and luck < 0.5:
            found = self.derived(depth - 1)
            if found is not None:
                return self.under(found)
        if luck > 0.96:
            return self.constants()
        if luck > 0.94:
            return self.series()
        return self.under(self.chosen())

    def derived(self, depth: int) -> Relation | None:
        """A sub-query in FROM, its columns typed by PostgreSQL."""
        text = self.body(depth)
        columns = self.typed(text)
        if columns is None:
            return None
        self.used("derived table")
        return Relation(f"({text})", columns)

    def typed(self, text: str) -> tuple[Ref, ...] | None:
        """The columns of a SELECT, with values that such columns may have; None where PostgreSQL refuses it."""
        found = self.describe(compact(text, tuple(self.params))[0])
        if not found:
            return None
        return tuple(Ref(f'"{name}"', kind, self.values_like(kind)) for name, kind in found)

    def values_like(self, kind: PgType) -> tuple[object, ...]:
        """Values of some column of the type."""
        columns = [c for relation in self.relations for c in relation.columns if c.type.name == kind.name and c.values]
        return self.r.choice(columns).values if columns else ()

    def body(self, depth: int) -> str:
        """A query with columns c0, c1 ... for use in FROM."""
        raise NotImplementedError

    def constants(self) -> tuple[str, tuple[Ref, ...]]:
        """VALUES of a column's values, its first row typed."""
        ref = self.some("values")
        alias = self.alias()
        cells = [f"({self.literal(ref)}, {n})" for n in range(1, self.r.randint(1, 4))]
        first = f"({self.literal(ref)}::{ref.type.sql}, 0)"
        columns = (Ref(f"{alias}.v", ref.type, ref.values), Ref(f"{alias}.n", PgType("int4"), (0, 1, 2)))
        return f"(VALUES {', '.join([first, *cells])}) {alias}(v, n)", columns

    def some(self, feature: str) -> Ref:
        """A column of some relation, for its type and values."""
        self.used(feature)
        columns = [c for relation in self.relations for c in relation.columns if crisp(c.type) and orderable(c.type)]
        return self.r.choice(columns)

    def series(self) -> tuple[str, tuple[Ref, ...]]:
        """A set-returning function."""
        alias = self.alias()
        self.used("function in from")
        column = Ref(f"{alias}.n", PgType("int4"), (1, 2, 3))
        return f"generate_series(1, {self.r.randint(0, 5)}) {alias}(n)", (column,)

    # joins

    def joined(self, depth: int, outer: Sequence[Ref] = (), most: int = 3) -> tuple[str, tuple[Ref, ...]]:
        """One to `most` relations and their columns."""
        text, columns = self.pair(depth) if self.chance(0.12) else self.origin(depth)
        for _ in range(self.r.choice((0, 0, 1, 1, 1, 2, 2)) if most > 1 and self.budget > 0 else 0):
            luck = self.r.random()
            if luck < 0.1:
                text, columns = self.lateral(text, columns, outer)
                continue
            more, theirs = self.origin(depth)
            if luck < 0.14 and not any(len(c.values) > 60 for c in (*columns, *theirs)):
                self.used("cross join")
                text, columns = f"{text} CROSS JOIN {more}", (*columns, *theirs)
                continue
            text, columns = self.matched(text, columns, more, theirs, outer)
        return text, columns

    def matched(
        self, text: str, columns: tuple[Ref, ...], more: str, theirs: tuple[Ref, ...], outer: Sequence[Ref]
    ) -> tuple[str, tuple[Ref, ...]]:
        """A join ON an equality, sometimes more than that."""
        kind = self.r.choice(_KINDS)
        equality = self.correlation(columns, theirs, equal=True)
        self.features.discard("correlated") if not outer else None
        condition = equality or "1 = 1"
        if kind == "FULL JOIN" and not equality:
            kind = "LEFT JOIN"
        if kind != "FULL JOIN" and self.chance(0.3):
            condition += f" AND {self.condition((*columns, *theirs), 0, outer)}"
        elif kind != "FULL JOIN" and self.chance(0.06):
            condition = self.predicate((*columns, *theirs), 1)
            self.used("join without equality")
        elif self.chance(0.15):
            second = self.correlation(columns, theirs, equal=True)
            condition += f" AND {second}" if second else ""
            self.used("composite join")
        self.used(kind.lower().replace("join", "").strip() + " join" if kind != "JOIN" else "inner join")
        return f"{text} {kind} {more} ON {condition}", (*columns, *theirs)

    def pair(self, depth: int) -> tuple[str, tuple[Ref, ...]]:
        """Two relations that share one column's name, joined by it."""
        name = self.alias()
        one, other = self.chosen(), self.chosen()
        pairs = [(a, b) for a in one.columns for b in other.columns if a.type == b.type and orderable(a.type)]
        if self.chance(0.25):
            pairs = [
                (a, b) for a in one.columns for b in other.columns if comparable(a.type, b.type) and orderable(a.type)
            ]
        if not pairs:
            return self.origin(depth)
        key, match = self.r.choice(pairs)
        left, ours = self.carrying(one, key, name)
        right, theirs = self.carrying(other, match, name)
        kind = self.r.choice(_KINDS)
        kind = kind if _mergeable(key.type, match.type) or kind != "FULL JOIN" else "JOIN"
        wide = key.type if key.type == match.type else _common(key.type, match.type)
        merged = (Ref(name, wide, key.values),) if wide is not None else ()
        if self.chance(0.5):
            self.used("natural join")
            return f"({left} NATURAL {kind} {right})", (*merged, *ours, *theirs)
        self.used("join using")
        return f"({left} {kind} {right} USING ({name}))", (*merged, *ours, *theirs)

    def carrying(self, relation: Relation, key: Ref, name: str) -> tuple[str, tuple[Ref, ...]]:
        """The relation as a derived table with its key under `name` and a few other columns under fresh names."""
        alias = self.alias()
        others = self.r.sample(relation.columns, min(len(relation.columns), self.r.randint(1, 3)))
        named = [(c, f"{alias}_{n}") for n, c in enumerate(others)]
        items = ", ".join([f"{key.sql} AS {name}", *(f"{c.sql} AS {label}" for c, label in named)])
        where = f" WHERE {self.predicate(relation.columns, 1)}" if self.chance(0.3) else ""
        columns = tuple(Ref(f"{alias}.{label}", c.type, c.values) for c, label in named)
        return f"(SELECT {items} FROM {relation.sql}{where}) {alias}", columns

    def lateral(self, text: str, columns: tuple[Ref, ...], outer: Sequence[Ref]) -> tuple[str, tuple[Ref, ...]]:
        """What each row so far meets: the first few rows of a relation, an aggregate of it, or a computed value."""
        alias = self.alias()
        join = self.r.choice(("CROSS JOIN LATERAL ({0}) {1}", "LEFT JOIN LATERAL ({0}) {1} ON true"))
        self.used("left join lateral" if join.startswith("LEFT") else "cross join lateral")
        source, inner = self.origin(0)
        where = self.filtered(inner, 1, (*columns, *outer), need=True)
        plain = [c for c in inner if crisp(c.type) and orderable(c.type)]
        if not plain or self.chance(0.35):
            item = f"count(*) AS l0, count({inner[0].sql}) AS l1"
            refs = tuple(Ref(f"{alias}.l{n}", PgType("int8"), (0, 1, 2)) for n in range(2))
            return f"{text} {join.format(f'SELECT {item} FROM {source}{where}', alias)}", (*columns, *refs)
        picked = self.r.sample(plain, min(len(plain), 3))
        items = ", ".join(f"{c.sql} AS l{n}" for n, c in enumerate(picked))
        order = ", ".join(str(n + 1) for n in range(len(picked)))
        body = f"SELECT {items} FROM {source}{where} ORDER BY {order} LIMIT {self.r.randint(1, 3)}"
        refs = tuple(Ref(f"{alias}.l{n}", c.type, c.values) for n, c in enumerate(picked))
        return f"{text} {join.format(body, alias)}", (*columns, *refs)


def _mergeable(one: PgType, other: PgType) -> bool:
    return one.name == other.name or {one.name, other.name} <= {"text", "varchar"}


def _common(one: PgType, other: PgType) -> PgType | None:
    """The type in which two columns are merged, where the grammar knows it."""
    if one.name in _WIDER and other.name in _WIDER:
        return PgType(max(one.name, other.name, key=_WIDER.index))
    return PgType("text") if {one.name, other.name} <= {"text", "varchar"} else None
