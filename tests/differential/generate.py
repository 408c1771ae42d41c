"""Random queries over the canonical tables: shapes that nobody would write by hand, literals that nearly match."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.types import PgType
from tests.differential.cases import Case
from tests.differential.data import Table
from tests.differential.scalars import UNORDERED, Ref, Scalars, comparable

KEYS = (
    ("customers", "id", "orders", "customer_id"), ("customers", "id", "tickets", "customer_id"),
    ("customers", "id", "events", "customer_id"), ("customers", "id", "accounts", "customer_id"),
    ("customers", "manager_id", "customers", "id"), ("customers", "code", "orders", "customer_code"),
    ("orders", "id", "order_lines", "order_id"), ("products", "sku", "order_lines", "sku"),
    ("customers", "name", "words", "s"), ("words", "w", "words", "s"), ("products", "category", "customers", "city"),
    ("events", "user", "tickets", "assignee"), ("accounts", "currency", "rates", "currency"),
    ("nums", "i2", "nums", "i4"), ("nums", "e", "nums", "d"), ("moments", "d", "orders", "due"),
    ("tickets", "severity", "nums", "i2"), ("orders", "placed", "events", "at"), ("words", "c", "words", "v"),
    ("orders", "customer_id", "tickets", "customer_id"), ("events", "customer_id", "accounts", "customer_id"),
)  # fmt: skip
# Views that show the same columns as a table; those named, or all.
VIEWS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "customers": (("v.customer_360", ("id", "code", "name", "email", "city", "country", "vip", "created")),),
    "orders": (("v.recent", ()), ("v.old", ()), ("v.all_orders", ()), ("v.all_orders", ())),
    "order_lines": (("v.line_items", ("order_id", "line_no", "sku", "qty", "unit_price")),),
}


@dataclass(frozen=True, slots=True)
class _Relation:
    sql: str
    columns: tuple[Ref, ...]


class _Writer(Scalars):
    """Writes one query after the other from one stream of choices."""

    def __init__(self, seed: int, tables: Sequence[Table]) -> None:
        super().__init__(random.Random(seed))
        self.tables = {table.name: table for table in tables if table.name != "exotic"}
        self._aliases = 0

    def alias(self) -> str:
        self._aliases += 1
        return f"x{self._aliases}"

    # relations

    def relation(self, name: str) -> tuple[str, _Relation]:
        """A table under a fresh alias, sometimes behind a filtering or aggregating derived table."""
        alias = self.alias()
        table = self.tables[name]
        source, shown = f"t.{name}", tuple(column.name for column in table.columns)
        if name in VIEWS and self.chance(0.3):
            source, shown = self.r.choice(VIEWS[name])[0], self.r.choice(VIEWS[name])[1] or shown
        columns = tuple(
            Ref(f'{alias}."{column.name}"', column.type, tuple(v for v in table.values(column.name) if v is not None))
            for column in table.columns
            if column.name in shown
        )
        if self.chance(0.2):
            inner = _Relation("", tuple(Ref(c.sql.split(".", 1)[1], c.type, c.values) for c in columns))
            source = f"(SELECT * FROM {source} WHERE {self.predicate(inner.columns, 1)})"
        return alias, _Relation(f"{source} {alias}", columns)

    def sources(self) -> _Relation:
        """One to three relations, joined by a natural key each."""
        first = self.r.choice(list(self.tables))
        placed = [(first, *self.relation(first))]
        text, columns = placed[0][2].sql, placed[0][2].columns
        for _ in range(self.r.choice((0, 0, 1, 1, 1, 2))):
            options = [(k, p) for k in KEYS for p in placed if p[0] in (k[0], k[2])]
            if not options:
                break
            (left, a, right, b), anchor = self.r.choice(options)
            other, own, theirs = (right, a, b) if anchor[0] == left else (left, b, a)
            alias, relation = self.relation(other)
            condition = f'{anchor[1]}."{own}" = {alias}."{theirs}"'
            if self.chance(0.25):
                condition += f" AND {self.predicate((*columns, *relation.columns), 1)}"
            if self.chance(0.1):
                text, columns = self.lateral(text, columns, relation, condition)
                continue
            kind = self.r.choice(("JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
            if kind == "FULL JOIN":
                condition = f'{anchor[1]}."{own}" = {alias}."{theirs}"'
            text, columns = f"{text} {kind} {relation.sql} ON {condition}", (*columns, *relation.columns)
            placed.append((other, alias, relation))
        return _Relation(text, columns)

    def lateral(
        self, text: str, columns: tuple[Ref, ...], relation: _Relation, condition: str
    ) -> tuple[str, tuple[Ref, ...]]:
        """The first few rows of a relation for each row so far."""
        plain = [c for c in relation.columns if c.type.name not in UNORDERED][:5]
        alias = self.alias()
        items = ", ".join(f"{c.sql} AS l{i}" for i, c in enumerate(plain))
        keys = ", ".join(str(i + 1) for i in range(len(plain)))
        inner = f"SELECT {items} FROM {relation.sql} WHERE {condition} ORDER BY {keys} LIMIT {self.r.randint(1, 3)}"
        kind = self.r.choice(("CROSS JOIN LATERAL ({0}) {1}", "LEFT JOIN LATERAL ({0}) {1} ON true"))
        refs = tuple(Ref(f"{alias}.l{i}", c.type, c.values) for i, c in enumerate(plain))
        return f"{text} {kind.format(inner, alias)}", (*columns, *refs)

    def subquery(self, columns: Sequence[Ref]) -> str:
        """[NOT] IN or [NOT] EXISTS over another table, by a natural key."""
        _left, a, right, b = self.r.choice(KEYS)
        wanted = [c for c in columns if c.sql.endswith(f'."{a}"')]
        alias, relation = self.relation(right)
        condition = self.predicate(relation.columns, 1)
        if not wanted:
            return f"EXISTS (SELECT 1 FROM {relation.sql} WHERE {condition})"
        outer = self.r.choice(wanted)
        inner = next(c for c in relation.columns if c.sql == f'{alias}."{b}"')
        if not comparable(outer.type, inner.type):
            return f"EXISTS (SELECT 1 FROM {relation.sql} WHERE {condition})"
        negated = self.r.choice(("", "", "NOT "))
        if self.chance(0.5):
            return f"{outer.sql} {negated}IN (SELECT {inner.sql} FROM {relation.sql} WHERE {condition})"
        return f"{negated}EXISTS (SELECT 1 FROM {relation.sql} WHERE {inner.sql} = {outer.sql} AND {condition})"

    def counted(self, columns: Sequence[Ref]) -> str:
        """A scalar sub-query or a window, either of them deterministic."""
        left, a, right, b = self.r.choice(KEYS)
        outer = [c for c in columns if c.sql.endswith(f'."{a}"')]
        alias, relation = self.relation(right)
        inner = next(c for c in relation.columns if c.sql == f'{alias}."{b}"')
        if left != right and outer and comparable(outer[0].type, inner.type):
            what = self.aggregate(relation.columns)
            return f"(SELECT {what} FROM {relation.sql} WHERE {inner.sql} = {outer[0].sql})"
        keys = [c.sql for c in columns if c.type.name not in UNORDERED]
        return self.r.choice(("count(*)", "dense_rank()")) + f" OVER (ORDER BY {self.r.choice(keys)})"

    def where(self, columns: Sequence[Ref]) -> str:
        parts = [self.predicate(columns, 2) for _ in range(self.r.choice((0, 1, 1, 2)))]
        if self.chance(0.2):
            parts.append(self.subquery(columns))
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    def select(self) -> tuple[str, bool]:
        """(a query, whether its order is total)."""
        relation = self.sources()
        plain = [c for c in relation.columns if c.type.name not in UNORDERED]
        where = self.where(relation.columns)
        if self.chance(0.35):
            return self.grouped(relation, plain, where), False
        picked = self.r.sample(plain, min(len(plain), self.r.randint(1, 4)))
        items = [f"{self.expression(ref, relation.columns)} AS c{i}" for i, ref in enumerate(picked)]
        if self.chance(0.12):
            items.append(f"{self.counted(relation.columns)} AS c{len(items)}")
        distinct = "DISTINCT " if self.chance(0.2) else ""
        text = f"SELECT {distinct}{', '.join(items)} FROM {relation.sql}{where}"
        if not self.chance(0.35):
            return text, False
        return text + self.ordered(len(items)), True

    def ordered(self, count: int) -> str:
        directions = ("", " DESC", " NULLS FIRST", " DESC NULLS LAST")
        keys = ", ".join(f"{i + 1}{self.r.choice(directions)}" for i in range(count))
        return f" ORDER BY {keys}" + self.r.choice(("", " LIMIT 5", " LIMIT 10 OFFSET 3", " LIMIT 50"))

    def grouped(self, relation: _Relation, plain: Sequence[Ref], where: str) -> str:
        keys = [
            self.expression(ref, plain) for ref in self.r.sample(plain, min(len(plain), self.r.choice((0, 1, 1, 2))))
        ]
        keys = list(dict.fromkeys(keys))
        values = [self.aggregate(relation.columns) for _ in range(self.r.randint(1, 3))]
        items = [f"{text} AS c{i}" for i, text in enumerate((*keys, *values, "count(*)"))]
        text = f"SELECT {', '.join(items)} FROM {relation.sql}{where}"
        if keys:
            positions = ", ".join(str(i + 1) for i in range(len(keys)))
            text += f" GROUP BY ROLLUP ({positions})" if self.chance(0.1) else f" GROUP BY {positions}"
            text += f" HAVING count(*) > {self.r.randint(0, 3)}" if self.chance(0.25) else ""
        return text

    def query(self) -> tuple[str, bool]:
        """A select, or two of one column put together, or one over another."""
        luck = self.r.random()
        if luck < 0.12:
            return self.set_operation(), False
        if luck < 0.3:
            return self.filtered_above(), False
        if luck < 0.36:
            return self.shared(), False
        return self.select()

    def filtered_above(self) -> str:
        """A filter over a derived table: what may go through it, and what may not."""
        relation = self.sources()
        plain = [c for c in relation.columns if c.type.name not in UNORDERED]
        picked = self.r.sample(plain, min(len(plain), self.r.randint(2, 3)))
        names = tuple(Ref(f"z.c{i}", ref.type, ref.values) for i, ref in enumerate(picked))
        items = ", ".join(f"{ref.sql} AS c{i}" for i, ref in enumerate(picked))
        inner = f"FROM {relation.sql}{self.where(relation.columns)}"
        head = ", ".join(f"{i + 1}" for i in range(len(picked)))
        shape = self.r.choice(
            (
                f"SELECT DISTINCT {items} {inner}",
                f"SELECT {items}, count(*) AS n {inner} GROUP BY {head}",
                f"SELECT DISTINCT ON ({picked[0].sql}) {items} {inner} ORDER BY {head}",
                f"SELECT {items} {inner} ORDER BY {head} LIMIT 20",
                f"SELECT {items}, count(*) OVER (PARTITION BY {picked[0].sql}) AS n {inner}",
                f"SELECT {items}, rank() OVER (PARTITION BY {picked[1].sql} ORDER BY {picked[0].sql}) AS n {inner}",
                f"SELECT {items}, min({picked[1].sql}) OVER (PARTITION BY {picked[0].sql}) AS n {inner}"
                if picked[1].type.name not in ("bool", "uuid")
                else f"SELECT {items} {inner}",
                f"SELECT {items} {inner} UNION ALL SELECT {items} {inner}",
                f"SELECT {items} {inner} EXCEPT SELECT {items} {inner} AND {self.predicate(relation.columns, 0)}"
                if " WHERE " in inner.rsplit(")", 1)[-1]
                else f"SELECT {items} {inner}",
            )
        )
        return f"SELECT * FROM ({shape}) z WHERE {self.predicate(names, 1)}"

    def shared(self) -> str:
        """One common table expression read twice."""
        text, _ = self.select()
        halves = " UNION ALL ".join(
            f"SELECT {n} AS h, q.* FROM q WHERE c0 IS {w}NULL" for n, w in ((1, ""), (2, "NOT "))
        )
        return f"WITH q AS ({text}) {halves}"

    def set_operation(self) -> str:
        branches = []
        kind = self.r.choice(("text", "int4", "timestamptz", "date"))  # no numeric: 1.0 and 1.00 are equal
        for _ in range(2):
            relation = self.sources()
            fit = [c for c in relation.columns if c.type.name == kind] or [Ref(f"NULL::{kind}", PgType(kind), ())]
            branches.append(f"SELECT {self.r.choice(fit).sql} AS c0 FROM {relation.sql}{self.where(relation.columns)}")
        operator = self.r.choice(("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"))
        text = f" {operator} ".join(f"({branch})" for branch in branches)
        return f"SELECT * FROM ({text}) u WHERE c0 IS NOT NULL" if self.chance(0.3) else text


def random_cases(seed: int, count: int, tables: Sequence[Table]) -> tuple[Case, ...]:
    """`count` queries; some raise, which the oracle tells."""
    cases = []
    for number in range(count):
        sql, ordered = _Writer(seed * 1_000_003 + number, tables).query()
        cases.append(Case(f"random_{seed}_{number}", sql, "random", ordered=ordered))
    return tuple(cases)
