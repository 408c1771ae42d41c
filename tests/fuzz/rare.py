"""Statements that people seldom write: row comparisons, frames with EXCLUDE, casts of every pair, whole rows, nesting."""
# ruff: noqa: E501 -- a template of SQL reads best on one line

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.differential.scalars import Ref
from tests.fuzz import rare_forms
from tests.fuzz.expressions import Describe, Relation
from tests.fuzz.forms import SAFE
from tests.fuzz.queries import Query, renumbered
from tests.fuzz.rare_values import Values

FORMS = {kind: (*SAFE.get(kind, ()), *rare_forms.FORMS.get(kind, ())) for kind in {*SAFE, *rare_forms.FORMS}}
_TRIES = 4
_BOUNDS = ("UNBOUNDED PRECEDING", "2 PRECEDING", "CURRENT ROW", "1 FOLLOWING", "UNBOUNDED FOLLOWING")
_EXCLUDE = ("", "", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES", " EXCLUDE NO OTHERS")
_INTEGERS = ("int2", "int4", "int8")
_TIMES = ("date", "timestamp", "timestamptz")
_ROWS = ("=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")


class Rare(Values):
    """`query` writes a rare shape in a `share` of all cases; its expressions are of more forms."""

    def __init__(
        self,
        r: random.Random,
        relations: Sequence[Relation],
        describe: Describe,
        parameters: bool,
        share: float = 0.5,
    ) -> None:
        super().__init__(r, relations, describe, parameters)
        self.forms = FORMS
        self.share = share

    def query(self) -> Query:
        """A statement of any shape; of several tries, the first that PostgreSQL takes."""
        if not self.chance(self.share):
            return super().query()
        made = Query("SELECT 1")
        for _ in range(_TRIES):
            self.params, self.features, self.approx = [], set(), False
            self.depth = self.r.choice((0, 1, 1))
            shape = self.r.choice(self.shapes())
            made = shape()
            features = made.features | frozenset(self.features) | {f"rare: {shape.__name__}"}
            made = renumbered(replace(made, params=tuple(self.params), features=features, approx=self.approx))
            if self.describe(made.sql):
                break
        return made

    def shapes(self) -> list[Callable[[], Query]]:
        """All of them, those with the most to get wrong more than once."""
        return [
            *(self.rows, self.rows, self.framed_aggregate, self.framed_aggregate, self.over_groups, self.casts, self.casts),
            *(self.correlated, self.correlated, self.correlated, self.nested_sets, self.nested_sets, self.expanded),
            *(self.calendar, self.outer_chain, self.outer_chain, self.outer_chain, self.whole_row, self.odd_sets),
            *(self.odd_aggregates, self.sorted_oddly, self.quantified, self.quantified, self.arrays, self.walk),
            *(self.values_alone, self.marks, self.lateral_groups, self.parameters_of_all, self.parameters_of_all),
        ]  # fmt: skip

    # conditions

    def rows(self) -> Query:
        """Comparisons of rows: with constants, with columns, in lists, in queries, with NULL."""
        text, columns = self.joined(self.depth)
        picked = self.plain_columns(columns, 3)
        left = ", ".join(c.sql for c in picked)
        right = ", ".join(self.literal(c) for c in picked)
        other = ", ".join(self.literal(c) for c in picked)
        third = ", ".join(self.r.choice([d.sql for d in columns if d.type.name == c.type.name]) for c in picked)
        condition = self.r.choice(
            (
                f"ROW({left}) {self.r.choice(_ROWS)} ROW({right})",
                f"ROW({left}) {self.r.choice(_ROWS)} ROW({third})",
                f"({left}, 1) {self.r.choice(('IN', 'NOT IN'))} (({right}, 1), ({other}, 1))",
                f"({left}, 1) {self.r.choice(('IN', 'NOT IN'))} (SELECT {third}, 1)",
                f"ROW({left}) IS {self.r.choice(('', 'NOT '))}NULL",
                f"NOT (ROW({left}) IS {self.r.choice(('', 'NOT '))}NULL)",
                f"{picked[0].sql} BETWEEN SYMMETRIC {self.literal(picked[0])} AND {self.literal(picked[0])}",
            )
        )
        condition = condition if self.chance(0.7) else f"({condition}) IS NOT TRUE"
        if self.chance(0.3):
            return Query(f"SELECT {left}, {condition} AS b FROM {text}")
        return Query(f"SELECT {left} FROM {text}{self.where(columns, condition)}")

    def quantified(self) -> Query:
        """ANY and ALL over queries and arrays, and IN over what may hold NULL, as conditions and as values."""
        text, columns = self.joined(0, most=2)
        ref = self.r.choice(self.plain_columns(columns, 4))
        more, theirs = self.origin(0)
        match = [c for c in theirs if c.type.name == ref.type.name]
        item = self.r.choice(match).sql if match else f"{self.literal(ref)}::{ref.type.bare.sql}"
        inner = f"SELECT {item} FROM {more}{self.filtered(theirs, 0, columns, need=self.chance(0.4))}"
        values = ", ".join([self.literal(ref), self.literal(ref), self.r.choice(("NULL", self.literal(ref)))])
        operator = self.r.choice(("=", "<>", "<", ">="))
        condition = self.r.choice(
            (
                f"{ref.sql} {operator} {self.r.choice(('ANY', 'ALL'))} (ARRAY[{values}]::{ref.type.bare.sql}[])",
                f"{ref.sql} {operator} {self.r.choice(('ANY', 'ALL'))} (ARRAY({inner}))",
                f"{ref.sql} {operator} {self.r.choice(('ANY', 'ALL'))} ({inner})",
                f"{ref.sql} {self.r.choice(('IN', 'NOT IN'))} ({inner} ORDER BY 1 LIMIT {self.r.randint(0, 3)})",
                f"{ref.sql} {self.r.choice(('IN', 'NOT IN'))} ({inner} UNION ALL SELECT NULL)",
                f"{ref.sql} NOT IN ({inner})",
                f"{ref.sql} NOT IN ({values})",
                f"EXISTS ({inner} OFFSET 1)",
            )
        )
        wrapped = self.r.choice(("{0}", "{0}", "NOT ({0})", "({0}) IS NULL", "coalesce({0}, true)")).format(condition)
        if self.chance(0.35):
            return Query(f"SELECT {ref.sql}, ({wrapped}) AS b FROM {text}{self.filtered(columns, 0)}")
        return Query(f"SELECT {ref.sql} FROM {text}{self.where(columns, wrapped)}")

    def marks(self) -> Query:
        """Text constants that a driver may take for its own marks."""
        text, columns = self.joined(0, most=2)
        fit = [c for c in columns if c.is_text]
        if not fit:
            return self.casts()
        ref = self.r.choice(fit)
        quoted = ["'" + mark.replace("'", "''") + "'" for mark in self.r.sample(rare_forms.MARKS, 3)]
        joined = ", ".join(quoted)
        condition = self.r.choice(
            (
                f"{ref.sql} {self.r.choice(('IN', 'NOT IN'))} ({joined}, {self.literal(ref)})",
                f"{ref.sql} || {quoted[0]} <> {quoted[1]}",
                f"({ref.sql} = {quoted[0]} OR {ref.sql} > {quoted[1]})",
                f"replace({ref.sql}, {quoted[0]}, {quoted[1]}) = {self.literal(ref)}",
                f"{ref.sql} LIKE {quoted[0]} || '%' ESCAPE '~'",
            )
        )
        return Query(f"SELECT {ref.sql}, {quoted[2]} AS m FROM {text}{self.where(columns, condition)}")

    def casts(self) -> Query:
        """A cast of any column to any type, as a value or compared with the cast of a constant."""
        text, columns = self.origin(0)
        ref = self.r.choice(columns)
        kind = self.r.choice(rare_forms.CASTS)
        cast = f"CAST({ref.sql} AS {kind})"
        if self.chance(0.4):
            cast = f"CAST({cast} AS {self.r.choice((ref.type.sql, 'text'))})"
        if self.chance(0.5):
            return Query(f"SELECT {ref.sql}, {cast} AS v FROM {text}")
        return Query(f"SELECT {ref.sql} FROM {text} WHERE {cast} {self.r.choice(('=', '<', '>=', '<>'))} "
                     f"CAST({self.literal(ref)} AS {kind})")  # fmt: skip

    # sub-queries

    def correlated(self) -> Query:
        """Scalar sub-queries that read the enclosing row, where one least expects them."""
        text, columns = self.joined(0, most=2)
        ref = self.r.choice(self.plain_columns(columns, 4))
        more, theirs = self.origin(0)
        where = self.filtered(theirs, 1, columns, need=True)
        key = self.r.choice(self.plain_columns(theirs, 4))
        value = self.r.choice(
            (
                f"SELECT count(*) FROM {more}{where}",
                f"SELECT count({key.sql}) + count(DISTINCT {ref.sql}) FROM {more}{where}",
                f"SELECT max({key.sql}::text COLLATE \"C\") FROM {more}{where}",
                f"SELECT count(*) FROM (SELECT DISTINCT {key.sql} FROM {more}{where}) q",
                f"SELECT count(*) FROM {more}{where} HAVING count(*) > 1",
                f"SELECT coalesce(min({key.sql}::text), 'none') FROM {more}{where} GROUP BY {key.sql} ORDER BY 1 LIMIT 1",
                f"SELECT string_agg({key.sql}::text, ',' ORDER BY {key.sql}) FROM {more}{where}",
                f"SELECT count(*) FROM {more}{where} AND EXISTS ({self.inner(0, (*theirs, *columns))})" if where else
                f"SELECT count(*) FROM {more}",
            )
        )  # fmt: skip
        shape = self.r.randrange(6)
        if shape < 2:
            return Query(f"SELECT {ref.sql}, ({value}) AS v FROM {text}{self.filtered(columns, 0)}")
        if shape == 2:
            return Query(f"SELECT {ref.sql} FROM {text} WHERE ({value})::text {self.r.choice(('=', '<>', '>'))} '1'")
        if shape == 3:
            return Query(f"SELECT {ref.sql} FROM {text} ORDER BY ({value}), {ref.sql}")
        if shape == 4:
            return Query(
                f"SELECT {ref.sql}, count(*) FROM {text} GROUP BY {ref.sql} HAVING (SELECT count(*) FROM {more} "
                f"WHERE {key.sql}::text = {ref.sql}::text) {self.r.choice(('>', '<', '='))} count(*)"
            )
        return Query(f"SELECT sum(CASE WHEN ({value}) IS NULL THEN 1 ELSE 2 END), count(*) FROM {text}")

    def lateral_groups(self) -> Query:
        """LATERAL: groups, set operations, functions of the row, one after the other."""
        text, columns = self.joined(0, most=2)
        ref = self.r.choice(self.plain_columns(columns, 4))
        more, theirs = self.origin(0)
        where = self.filtered(theirs, 0, columns, need=True)
        key = self.r.choice(self.plain_columns(theirs, 4))
        body = self.r.choice(
            (
                f"SELECT {key.sql} AS k, count(*) AS n FROM {more}{where} GROUP BY {key.sql}",
                f"SELECT DISTINCT {key.sql} AS k, 1 AS n FROM {more}{where}",
                f"(SELECT {key.sql}::text AS k, 1 AS n FROM {more}{where} ORDER BY 1 LIMIT 2) UNION ALL SELECT {ref.sql}::text, 2",
                f'SELECT max({key.sql}::text COLLATE "C") AS k, count(*) AS n FROM {more}{where}',
                f"SELECT {ref.sql} AS k, g AS n FROM generate_series(1, 2) g",
                f"VALUES ({ref.sql}, 1), (NULL, 2)",
                f"SELECT {key.sql} AS k, row_number() OVER (ORDER BY {key.sql}) AS n FROM {more}{where}",
            )
        )
        join = self.r.choice(("CROSS JOIN LATERAL ({0}) y(k, n)", "LEFT JOIN LATERAL ({0}) y(k, n) ON true",
                              "LEFT JOIN LATERAL ({0}) y(k, n) ON y.n > 1", "JOIN LATERAL ({0}) y(k, n) ON y.k IS NOT NULL"))  # fmt: skip
        return Query(f"SELECT {ref.sql}, y.k, y.n FROM {text} {join.format(body)}{self.filtered(columns, 0)}")

    # windows

    def frame(self, order: Ref) -> str:
        """A frame that its one sort key allows."""
        mode = self.r.choice(("ROWS", "GROUPS", "RANGE"))
        start = self.r.randrange(4)
        low, high = _BOUNDS[start], _BOUNDS[self.r.randint(max(start, 1), 4)]
        if mode == "RANGE":
            step = "interval '10 days'" if order.type.name in _TIMES else "2"
            known = order.type.name in (*_TIMES, *_INTEGERS, "numeric")
            swap = {"2 PRECEDING": f"{step} PRECEDING", "1 FOLLOWING": f"{step} FOLLOWING"} if known else {
                "2 PRECEDING": "UNBOUNDED PRECEDING", "1 FOLLOWING": "UNBOUNDED FOLLOWING"}  # fmt: skip
            low, high = swap.get(low, low), swap.get(high, high)
        return f"{mode} BETWEEN {low} AND {high}{self.r.choice(_EXCLUDE)}"

    def framed_aggregate(self) -> Query:
        """Aggregates over frames of every mode, with EXCLUDE and FILTER, by a named window now and then."""
        text, columns = self.joined(0, most=2)
        picked = self.plain_columns(columns, 4)
        order, value = self.r.choice(picked), self.r.choice(picked)
        partition = f"PARTITION BY {self.r.choice(picked).sql} " if self.chance(0.5) else ""
        window = f"{partition}ORDER BY {order.sql}{self.r.choice((' DESC', '', ' NULLS FIRST'))} {self.frame(order)}"
        numeric = value.type.name in (*_INTEGERS, "numeric")
        forms = ["count({0})", "count(*)", 'max({0}::text COLLATE "C")', "min(length({0}::text))"]
        forms += ["sum({0})", "avg({0})", "min({0})", "max({0})"] if numeric else []
        call = self.r.choice(forms).format(value.sql)
        call += f" FILTER (WHERE {self.predicate(columns, 0)})" if self.chance(0.2) else ""
        items = ", ".join(c.sql for c in picked)
        where = self.filtered(columns, 0)
        if self.chance(0.5):
            return Query(f"SELECT {items}, {call} OVER ({window}) AS w FROM {text}{where}")
        total = ", ".join(c.sql for c in picked)
        other = self.r.choice((f"ntile(3) OVER (ORDER BY {total})", f"lag({value.sql}, 2) OVER (ORDER BY {total})",
                               f"row_number() OVER (ORDER BY {total} DESC)", f"lead({value.sql}::text, 1, 'end') OVER (ORDER BY {total})"))  # fmt: skip
        return Query(f"SELECT {items}, {call} OVER w AS w, {other} AS o FROM {text}{where} WINDOW w AS ({window})")

    def over_groups(self) -> Query:
        """Window calls over groups, filtered above."""
        text, columns = self.joined(0, most=2)
        keys = self.plain_columns(columns, 2)
        listed = ", ".join(c.sql for c in keys)
        call = self.r.choice(("rank() OVER (ORDER BY count(*) DESC)", "sum(count(*)) OVER ()", f"count(*) OVER (PARTITION BY {keys[0].sql})",
                              f"sum(count(*)) OVER (ORDER BY {listed})", f"first_value(count(*)) OVER (ORDER BY {listed})"))  # fmt: skip
        body = f"SELECT {listed}, count(*) AS n, {call} AS w FROM {text}{self.filtered(columns, 1)} GROUP BY {listed}"
        if self.chance(0.5):
            return Query(body)
        names = ", ".join(f"k{n}" for n in range(len(keys)))
        return Query(
            f"SELECT * FROM ({body}) q({names}, n, w) WHERE {self.r.choice(('w <= 2', 'n > 1', 'k0 IS NOT NULL', 'w = n'))}"
        )
