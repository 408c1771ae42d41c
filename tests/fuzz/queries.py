"""The grammar's statements: whole queries, and bodies of derived tables, common table expressions and views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.differential.cases import Case
from tests.differential.scalars import Ref
from tests.fuzz.expressions import Params, Relation, compact, orderable
from tests.fuzz.forms import MALFORMED, RAISING, crisp
from tests.fuzz.sources import Sources

_DIRECTIONS = ("", " DESC", " NULLS FIRST", " DESC NULLS LAST")
_FRAMES = (
    *("ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING"),
    *("RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING"),
    *(
        "ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING EXCLUDE CURRENT ROW",
        "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
    ),
)


@dataclass(frozen=True, slots=True)
class Query:
    """A statement and what its answer promises.

    `sorted`: so many leading columns are in the order of ORDER BY, -1: all. `unlimited`: the statement without its
    LIMIT, where rows that tie with the last one may be any of those. `approx`: float aggregates may differ in their
    last bits. `features` are what it exercises.
    """

    sql: str
    params: Params = ()
    features: frozenset[str] = frozenset()
    sorted: int = 0
    unlimited: str = ""
    approx: bool = False

    @property
    def case(self) -> Case:
        """As the differential suite asks it."""
        return Case("fuzz", self.sql, "fuzz", params=self.params)

    @property
    def whole(self) -> Case:
        """The statement without its LIMIT."""
        sql, params = compact(self.unlimited, self.params)
        return Case("fuzz", sql, "fuzz", params=params)


def renumbered(query: Query) -> Query:
    """The query with only the parameters that it reads, numbered from 1."""
    both, params = compact(f"{query.sql}\0{query.unlimited}", query.params)
    sql, _, unlimited = both.partition("\0")
    return replace(query, sql=sql, unlimited=unlimited, params=params)


class Queries(Sources):
    """Writes statements: `query` for any, `body` for what others stand on."""

    depth = 1  # of derived tables and sub-queries

    def query(self) -> Query:
        """A statement of any shape."""
        self.depth = self.r.choice((0, 1, 1, 2))
        shapes: list[tuple[int, Callable[[], Query]]] = [
            (30, lambda: self.plain(self.depth)), (22, self.grouped), (10, self.windowed), (8, self.set_operation),
            (8, self.distinct_on), (12, self.limited), (12, self.with_ctes), (5, self.recursive), (6, self.raising),
            (2, self.malformed), (5, self.above),
        ]  # fmt: skip
        made = self.r.choices([s for _, s in shapes], [w for w, _ in shapes])[0]()
        features = made.features | frozenset(self.features)
        made = replace(made, params=tuple(self.params), features=features, approx=self.approx)
        return renumbered(made)

    def body(self, depth: int) -> str:
        """A query whose rows are determined, with columns c0, c1 ..., all of them safe to compare and to group by."""
        luck = self.r.random()
        if luck < 0.5:
            return self.picked(depth, nested=True)[0]
        if luck < 0.68:
            return self.groups(depth, nested=True)
        if luck < 0.76:
            return self.framed(depth)
        if luck < 0.84:
            return self.combined(depth)
        if luck < 0.92:
            text, count = self.picked(depth, nested=True, plain=True)
            self.used("limit in a derived table")
            return f"{text} ORDER BY {self.order(count)} LIMIT {self.r.randint(1, 20)}"
        return self.firsts(depth)

    # plain SELECT

    def picked(
        self, depth: int, nested: bool = False, plain: bool = False, outer: Sequence[Ref] = ()
    ) -> tuple[str, int]:
        """(a SELECT of values, how many); `plain`: of columns only, each crisp."""
        text, columns = self.joined(depth)
        where = self.filtered(columns, min(depth, 2), outer)
        fit = [c for c in columns if crisp(c.type) and orderable(c.type)] if plain else list(columns)
        if not fit:
            fit = [self.constant_ref()]
        picked = self.r.sample(fit, min(len(fit), self.r.randint(1, 5)))
        values = [c.sql if plain else self.item(c, columns, depth) for c in picked]
        items = ", ".join(f"{v} AS c{n}" for n, v in enumerate(values))
        distinct = "DISTINCT " if plain and self.chance(0.2) else ""
        if distinct:
            self.used("distinct")
        return f"SELECT {distinct}{items} FROM {text}{where}", len(values)

    def item(self, ref: Ref, columns: Sequence[Ref], depth: int) -> str:
        """A column, or something computed."""
        return ref.sql if self.chance(0.55) else self.value(columns, min(depth, 1))

    def constant_ref(self) -> Ref:
        ref = self.some("constant")
        return replace(ref, sql=f"{self.literal(ref)}::{ref.type.sql}")

    def plain(self, depth: int) -> Query:
        """A SELECT of joins and filters, sorted by what it may be sorted by."""
        if self.chance(0.35):
            text, count = self.picked(depth, plain=True)
            if self.chance(0.6):
                self.used("order by")
                return Query(f"{text} ORDER BY {self.order(count)}", sorted=-1)
            return Query(text)
        return Query(self.picked(depth)[0])

    def order(self, count: int) -> str:
        """All columns by position, in a random order of directions."""
        return ", ".join(f"{n + 1}{self.r.choice(_DIRECTIONS)}" for n in range(count))

    def limited(self) -> Query:
        """LIMIT over an order that need not be total, or WITH TIES."""
        text, count = self.picked(self.depth, plain=True)
        keys = self.r.randint(1, count)
        ordered = f"{text} ORDER BY {self.order(keys)}"
        number, offset = self.r.choice((0, 1, 3, 10, 30)), self.r.choice((0, 0, 0, 1, 5))
        if self.chance(0.25):
            self.used("with ties")
            skip = f" OFFSET {offset}" if offset else ""
            return Query(
                f"{ordered}{skip} FETCH FIRST {number or 2} ROWS WITH TIES",
                sorted=keys,
                unlimited=ordered if offset else "",
            )
        self.used("limit")
        amount = self.number(number)
        tail = f" LIMIT {amount}" + (f" OFFSET {self.number(offset)}" if offset else "")
        if offset:
            self.used("offset")
        return Query(ordered + tail, sorted=keys, unlimited=ordered)

    def number(self, value: int) -> str:
        """A number of rows, sometimes a parameter."""
        if not self.parameters or self.chance(0.6):
            return str(value)
        self.used("parameter as a limit")
        self.params.append(("int8", str(value)))
        return f"${len(self.params)}"

    def above(self) -> Query:
        """A filter over a derived table: what may go through it, and what may not."""
        found = self.derived(1)
        if found is None:
            return self.plain(1)
        text, columns = self.under(found)
        self.used("filter above")
        parts = [self.condition(columns, 1) for _ in range(self.r.choice((1, 1, 2)))]
        items = self.r.sample(columns, self.r.randint(1, len(columns)))
        return Query(f"SELECT {', '.join(c.sql for c in items)} FROM {text} WHERE {' AND '.join(parts)}")

    # grouping

    def groups(self, depth: int, nested: bool = False) -> str:
        """An aggregation."""
        text, columns = self.joined(depth)
        where = self.filtered(columns, min(depth, 2))
        fit = [c for c in columns if crisp(c.type) and orderable(c.type)]
        keys = [self.key(c) for c in self.r.sample(fit, min(len(fit), self.r.choice((0, 1, 1, 1, 2, 2, 3))))]
        keys = list(dict.fromkeys(keys))
        values = [self.call(columns, nested) for _ in range(self.r.randint(1, 4))]
        shape, more = self.sets(keys)
        named = [*keys, *values, *more]
        items = ", ".join(f"{v} AS c{n}" for n, v in enumerate(named))
        having = self.having(columns, keys) if self.chance(0.3) else ""
        return f"SELECT {items} FROM {text}{where}{shape}{having}"

    def key(self, ref: Ref) -> str:
        """A column, or an expression of it that is as good a key."""
        forms = _KEY_FORMS.get(ref.type.name, ())
        if forms and self.chance(0.3):
            self.used("group by an expression")
            return self.r.choice(forms).format(ref.sql)
        return ref.sql

    def sets(self, keys: list[str]) -> tuple[str, list[str]]:
        """The GROUP BY clause, and GROUPING() of it."""
        if not keys:
            self.used("aggregate of all")
            return self.r.choice(("", "", " GROUP BY ()")), []
        luck = self.r.random()
        listed = ", ".join(keys)
        if luck > 0.25:
            self.used("group by")
            by_position = ", ".join(str(n + 1) for n in range(len(keys)))
            return f" GROUP BY {by_position if self.chance(0.3) else listed}", []
        more = [f"grouping({keys[0]})"] if self.chance(0.5) else []
        if luck < 0.09:
            self.used("rollup")
            return f" GROUP BY ROLLUP ({listed})", more
        if luck < 0.16:
            self.used("cube")
            return f" GROUP BY CUBE ({listed})", more
        self.used("grouping sets")
        return f" GROUP BY GROUPING SETS (({listed}), ({keys[-1]}), ())", more

    def having(self, columns: Sequence[Ref], keys: list[str]) -> str:
        self.used("having")
        ref = self.r.choice(columns)
        conditions = [f"count(*) > {self.r.randint(0, 3)}", f"count({ref.sql}) <= 5"]
        conditions += [f"{keys[0]} IS NOT NULL"] if keys else []
        conditions += [f"count(*) >= (SELECT count(*) FROM {self.chosen().sql}) - 50"]
        return f" HAVING {self.r.choice(conditions)}"

    def grouped(self) -> Query:
        """An aggregation at the top, sometimes over keys whose equal values look different."""
        return Query(self.groups(self.depth))

    # windows, DISTINCT ON

    def framed(self, depth: int) -> str:
        """Window calls over columns that determine each other: ties are the same row."""
        text, columns = self.joined(depth, most=2)
        where = self.filtered(columns, 1)
        fit = [c for c in columns if crisp(c.type) and orderable(c.type)]
        picked = self.r.sample(fit or [self.constant_ref()], min(len(fit) or 1, self.r.randint(1, 4)))
        values = [c.sql for c in picked]
        calls = [self.window(picked) for _ in range(self.r.randint(1, 2))]
        items = ", ".join(f"{v} AS c{n}" for n, v in enumerate([*values, *calls]))
        return f"SELECT {items} FROM {text}{where}"

    def window(self, picked: Sequence[Ref]) -> str:
        """One window call, its order total over `picked` where its value depends on that."""
        total = ", ".join(f"{c.sql}{self.r.choice(_DIRECTIONS)}" for c in picked)
        some = self.r.choice(picked)
        partition = f"PARTITION BY {self.r.choice(picked).sql}" if self.chance(0.6) else ""
        shape = self.r.randrange(6)
        self.used("window")
        if shape == 0:
            self.used("row_number")
            return f"row_number() OVER ({partition} ORDER BY {total})"
        if shape == 1:
            call = self.r.choice(("rank", "dense_rank", "percent_rank", "cume_dist"))
            return f"{call}() OVER ({partition} ORDER BY {some.sql})"
        if shape == 2:
            self.used("lag or lead")
            call = self.r.choice(("lag({0})", "lead({0})", "first_value({0})", "last_value({0})", "nth_value({0}, 2)"))
            return f"{call.format(some.sql)} OVER ({partition} ORDER BY {total})"
        if shape == 3:
            return f"count({some.sql}) OVER ({partition})"
        if shape == 4:
            return f'max({some.sql}::text COLLATE "C") OVER ({partition} ORDER BY {some.sql})'
        self.used("window frame")
        return f"count({some.sql}) OVER ({partition} ORDER BY {total} {self.r.choice(_FRAMES)})"

    def windowed(self) -> Query:
        """Window calls, sometimes filtered above (the first of each group)."""
        text = self.framed(self.depth)
        if self.chance(0.4):
            columns = self.typed(text)
            if columns is not None:
                self.used("filter above a window")
                source, refs = self.under(Relation(f"({text})", columns))
                return Query(f"SELECT * FROM {source} WHERE {self.condition(refs, 1)}")
        return Query(text)

    def firsts(self, depth: int) -> str:
        """DISTINCT ON, its order total."""
        text, columns = self.joined(depth, most=2)
        fit = [c for c in columns if crisp(c.type) and orderable(c.type)] or [self.constant_ref()]
        picked = self.r.sample(fit, min(len(fit), self.r.randint(1, 4)))
        keys = self.r.randint(1, len(picked))
        items = ", ".join(f"{c.sql} AS c{n}" for n, c in enumerate(picked))
        on = ", ".join(c.sql for c in picked[:keys])
        order = ", ".join(f"{c.sql}{self.r.choice(_DIRECTIONS)}" for c in picked)
        self.used("distinct on")
        return f"SELECT DISTINCT ON ({on}) {items} FROM {text}{self.filtered(columns, 1)} ORDER BY {order}"

    def distinct_on(self) -> Query:
        """DISTINCT ON at the top."""
        return Query(self.firsts(self.depth), sorted=-1)

    # set operations, WITH

    def combined(self, depth: int) -> str:
        """Two or three SELECTs of one list of types, put together."""
        text, columns = self.joined(max(depth - 1, 0), most=2)
        fit = [c for c in columns if crisp(c.type) and orderable(c.type)] or [self.constant_ref()]
        picked = self.r.sample(fit, min(len(fit), self.r.randint(1, 3)))
        branches = [self.branch(text, columns, [c.sql for c in picked])]
        for _ in range(self.r.choice((1, 1, 2))):
            more, theirs = self.joined(max(depth - 1, 0), most=2) if self.chance(0.6) else (text, columns)
            values = [self.alike(c, theirs) for c in picked] if more != text else [c.sql for c in picked]
            branches.append(self.branch(more, theirs, values))
        operators = ("UNION", "UNION ALL", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL")
        made = branches[0]
        for branch in branches[1:]:
            operator = self.r.choice(operators)
            self.used(operator.lower())
            made = f"{made} {operator} {branch}" if self.chance(0.8) else f"({made}) {operator} ({branch})"
        return made

    def branch(self, text: str, columns: Sequence[Ref], values: Sequence[str]) -> str:
        items = ", ".join(f"{v} AS c{n}" for n, v in enumerate(values))
        return f"SELECT {items} FROM {text}{self.filtered(columns, 1)}"

    def alike(self, ref: Ref, columns: Sequence[Ref]) -> str:
        """A value of exactly the same type: a column, else a constant."""
        same = [c.sql for c in columns if c.type == ref.type]
        if same:
            return self.r.choice(same)
        wider = [c.sql for c in columns if c.type.name == ref.type.name]
        return f"{self.r.choice(wider)}::{ref.type.sql}" if wider else f"{self.literal(ref)}::{ref.type.sql}"

    def set_operation(self) -> Query:
        """A set operation at the top, sometimes sorted."""
        text = self.combined(self.depth)
        if self.chance(0.3):
            columns = self.typed(text)
            if columns:
                self.used("order by a set operation")
                return Query(f"{text} ORDER BY {self.order(len(columns))}", sorted=-1)
        return Query(text)

    def with_ctes(self) -> Query:
        """One or two common table expressions, read more than once."""
        heads: list[str] = []
        before, describe = self.ctes, self.describe
        for _ in range(self.r.choice((1, 1, 2))):
            name, body = self.alias(), self.body(1)
            columns = self.typed(body)
            if columns is None:
                continue
            hint = self.r.choice(("", "", "", "MATERIALIZED ", "NOT MATERIALIZED "))
            heads.append(f"{name} AS {hint}({body})")
            self.ctes = (*self.ctes, Relation(name, columns))
            prefix = f"WITH {', '.join(heads)} "
            self.describe = lambda text, prefix=prefix: describe(prefix + text)  # type: ignore[misc]
        self.used("with")
        made = self.r.choice((lambda: self.plain(1), lambda: Query(self.groups(1)), lambda: Query(self.combined(1))))()
        self.ctes, self.describe = before, describe
        head = f"WITH {', '.join(heads)} " if heads else ""
        return replace(made, sql=head + made.sql)

    def recursive(self) -> Query:
        """A walk along pairs of columns, three steps at most."""
        name = self.alias()
        relation = self.chosen()
        pairs = [(a, b) for a in relation.columns for b in relation.columns if a.type == b.type and crisp(a.type)]
        a, b = self.r.choice([p for p in pairs if orderable(p[0].type)] or [(self.constant_ref(),) * 2])
        kind = self.r.choice(("UNION", "UNION", "UNION ALL"))
        self.used(f"recursive {kind.lower()}")
        start = f"SELECT {a.sql}, {b.sql}, 1 FROM {relation.sql}{self.filtered(relation.columns, 0)}"
        alias = self.alias()
        steps = 3 if kind == "UNION" else 2
        step = (
            f"SELECT {alias}.{a.sql}, {alias}.{b.sql}, {name}.n + 1 FROM {relation.sql} {alias} JOIN {name} "
            f"ON {alias}.{a.sql} = {name}.b WHERE {name}.n < {steps}"
        )
        if a.sql not in {c.sql for c in relation.columns}:
            step = f"SELECT a, b, n + 1 FROM {name} WHERE n < 4"
        tail = self.r.choice(("SELECT * FROM {0}", 'SELECT n, count(*), min(a::text COLLATE "C") FROM {0} GROUP BY n'))
        return Query(f"WITH RECURSIVE {name}(a, b, n) AS ({start} {kind} {step}) {tail.format(name)}")

    # errors

    def raising(self) -> Query:
        """A select list that raises at every row with a value, over rows that PostgreSQL computes all."""
        text, columns = self.origin(0)
        fit = [c for c in columns if c.type.name in RAISING]
        if not fit:
            return self.plain(1)
        ref = self.r.choice(fit)
        self.used("runtime error")
        where = f" WHERE {ref.sql} IS {self.r.choice(('', 'NOT ', 'NOT '))}NULL" if self.chance(0.6) else ""
        return Query(f"SELECT {self.r.choice(RAISING[ref.type.name]).format(ref.sql)} FROM {text}{where}")

    def malformed(self) -> Query:
        """What PostgreSQL refuses."""
        relation = self.chosen()
        self.used("refused by PostgreSQL")
        return Query(self.r.choice(MALFORMED).format(self.r.choice(relation.columns).sql, relation.sql))


_KEY_FORMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("int2", "int4", "int8"), ("{0} % 3", "{0}::text", "({0} > 2)", "coalesce({0}, 0)")),
    **dict.fromkeys(("text", "varchar", "bpchar"), ("upper({0})", "left({0}, 1)", "length({0})", "coalesce({0}, '?')")),
    "date": ("date_trunc('month', {0})", "extract(year FROM {0})", "{0}::timestamp"),
    **dict.fromkeys(("timestamptz", "timestamp"), ("date_trunc('month', {0})", "{0}::date", "date_trunc('day', {0})")),
}
