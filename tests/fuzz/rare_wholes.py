"""Rare shapes of whole statements: nested set operations, calendars, chains of outer joins, odd groupings, arrays."""
# ruff: noqa: E501 -- a template of SQL reads best on one line

from __future__ import annotations

from collections.abc import Sequence

from tests.differential.scalars import Ref
from tests.fuzz import rare_forms
from tests.fuzz.expressions import orderable
from tests.fuzz.forms import crisp
from tests.fuzz.queries import Queries, Query

_JOINS = ("LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "JOIN")
_NUMBERS = ("int2", "int4", "int8", "numeric")


class Wholes(Queries):
    """Writes them."""

    def plain_columns(self, columns: Sequence[Ref], most: int) -> list[Ref]:
        """Up to `most` columns whose equal values look the same, one at least."""
        fit = [c for c in columns if crisp(c.type) and orderable(c.type)] or [self.constant_ref()]
        return self.r.sample(fit, min(len(fit), self.r.randint(1, most)))

    def where(self, columns: Sequence[Ref], more: str = "") -> str:
        """A WHERE clause of a rare condition and common ones."""
        text = self.filtered(columns, 1)
        if not more:
            return text
        return f"{text} AND {more}" if text else f" WHERE {more}"

    def nested_sets(self) -> Query:
        """Set operations of set operations, their branches sorted and cut."""
        text, columns = self.joined(0, most=2)
        picked = self.plain_columns(columns, 2)

        def branch() -> str:
            more, theirs = self.joined(0, most=2) if self.chance(0.5) else (text, columns)
            values = [self.alike(c, theirs) if more != text else c.sql for c in picked]
            made = self.branch(more, theirs, values)
            if self.chance(0.5):
                made += f" ORDER BY {self.order(len(values))}" + self.r.choice(
                    ("", " LIMIT 3", " OFFSET 2", " FETCH FIRST 2 ROWS WITH TIES", " LIMIT 0", " LIMIT 4 OFFSET 1")
                )
            return f"({made})"

        operators = ("UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL")
        made = branch()
        for _ in range(self.r.randint(1, 3)):
            made = f"({made}) {self.r.choice(operators)} {branch()}"
        luck = self.r.random()
        if luck < 0.4:
            return Query(
                f"{made} ORDER BY {self.order(len(picked))} {self.r.choice(('', 'LIMIT 5', 'OFFSET 1 ROW', 'FETCH NEXT 3 ROWS ONLY'))}",
                sorted=-1,
            )
        if luck < 0.6:
            return Query(f"SELECT count(*), count(c0) FROM ({made}) q")
        return Query(made)

    def expanded(self) -> Query:
        """Functions that give rows, over constants and over columns, with ordinality."""
        text, columns = self.joined(0, most=2)
        ref = self.r.choice(self.plain_columns(columns, 4))
        arrays = [c for c in columns if c.type.name.startswith("_")]
        values = ", ".join([self.literal(ref), self.literal(ref), "NULL"])
        array = f"ARRAY[{values}]::{ref.type.bare.sql}[]"
        function = self.r.choice(
            (
                f"unnest({array}) WITH ORDINALITY y(v, n)",
                f"unnest(ARRAY[{ref.sql}, {self.literal(ref)}]) WITH ORDINALITY y(v, n)",
                f"unnest({self.r.choice(arrays).sql}) WITH ORDINALITY y(v, n)"
                if arrays
                else f"(VALUES ({self.literal(ref)}, 1)) y(v, n)",
                f"regexp_split_to_table({ref.sql}::text, ' ') WITH ORDINALITY y(v, n)",
                f"ROWS FROM (unnest({array}), generate_series(1, 2)) y(v, n)",
                f"jsonb_array_elements_text(jsonb_build_array({ref.sql}::text, 'b')) WITH ORDINALITY y(v, n)",
            )
        )
        join = self.r.choice(
            (
                f"CROSS JOIN {function}",
                f"LEFT JOIN {function} ON y.v::text = {ref.sql}::text",
                f"JOIN {function} ON y.v::text = {ref.sql}::text",
            )
        )
        return Query(f"SELECT {ref.sql}, y.v, y.n FROM {text} {join}{self.filtered(columns, 0)}")

    def calendar(self) -> Query:
        """Every day, month or number of a range beside what falls on it."""
        text, columns = self.origin(0)
        days = [c for c in columns if c.type.name in ("date", "timestamp", "timestamptz")]
        whole = [c for c in columns if c.type.name in ("int2", "int4", "int8")]
        if days and (self.chance(0.6) or not whole):
            ref, unit = self.r.choice(days), self.r.choice(("day", "month"))
            step = f"generate_series(timestamp '2024-02-01', timestamp '2024-04-01', interval '1 {unit}') g(d)"
            on = self.r.choice(
                (
                    f"{ref.sql}::date = g.d::date",
                    f"date_trunc('{unit}', {ref.sql}) = g.d",
                    f"{ref.sql} >= g.d AND {ref.sql} < g.d + interval '1 {unit}'",
                )
            )
            key = "g.d"
        elif whole:
            ref, step, key = self.r.choice(whole), "generate_series(-1, 12) g(d)", "g.d"
            on = self.r.choice((f"{ref.sql} = g.d", f"{ref.sql} BETWEEN g.d - 1 AND g.d", f"{ref.sql} % 5 = g.d"))
        else:
            return self.expanded()
        join = self.r.choice(("LEFT JOIN", "LEFT JOIN", "JOIN", "FULL JOIN", "RIGHT JOIN"))
        if self.chance(0.6):
            return Query(
                f"SELECT {key}, count({ref.sql}), count(*) FROM {step} {join} {text} ON {on}{self.filtered(columns, 0)} GROUP BY {key} ORDER BY 1",
                sorted=1,
            )
        return Query(f"SELECT {key}, {ref.sql} FROM {step} {join} {text} ON {on}{self.filtered(columns, 0)}")

    def outer_chain(self) -> Query:
        """Outer joins in a chain and in brackets, whose conditions and filters see NULLs of the other side."""
        one, a = self.origin(self.depth)
        two, b = self.origin(0)
        three, c = self.origin(0)
        first = self.correlation(a, b, equal=True) or "1 = 1"
        second = self.correlation((*a, *b), c, equal=True) or "1 = 1"
        self.features.discard("correlated")
        kinds = [
            self.r.choice(_JOINS) if on != "1 = 1" else self.r.choice(("LEFT JOIN", "JOIN")) for on in (first, second)
        ]
        extra = self.predicate((*a, *b), 1)
        more = self.predicate((*b, *c), 1)
        inside = self.correlation(b, c, equal=True)
        if inside and self.chance(0.4):
            self.features.discard("correlated")
            over = self.correlation(a, (*b, *c), equal=True) or first
            text = f"{one} {kinds[0]} ({two} {kinds[1]} {three} ON {inside} AND {more}) ON {over}"
        else:
            text = f"{one} {kinds[0]} {two} ON {first} AND {extra} {kinds[1]} {three} ON {second}" + (
                f" AND {more}" if self.chance(0.4) else ""
            )
        columns = (*a, *b, *c)
        ref, other = self.r.choice(b), self.r.choice(c)
        same = [x for x in columns if x.type.name == ref.type.name and x.sql != ref.sql]
        twin = self.r.choice(same).sql if same and orderable(ref.type) else ref.sql
        rare = self.r.choice((f"{ref.sql} IS NULL", f"coalesce({ref.sql}, {twin}) IS NOT NULL", f"NOT ({more})", f"({extra}) IS NOT TRUE",
                              f"{ref.sql} IS NOT DISTINCT FROM {twin}" if orderable(ref.type) else "true", f"{other.sql} IS NOT NULL OR {ref.sql} IS NULL"))  # fmt: skip
        items = ", ".join(x.sql for x in self.r.sample(columns, min(len(columns), 4)))
        if self.chance(0.3):
            return Query(
                f"SELECT count(*), count({ref.sql}), count({other.sql}) FROM {text}{self.where(columns, rare)}"
            )
        return Query(f"SELECT {items} FROM {text}{self.where(columns, rare)}")

    def whole_row(self) -> Query:
        """A row of a relation as one value."""
        text, columns = self.origin(0)
        alias = text.rsplit(" ", 1)[-1].split("(")[0]
        ref = self.r.choice(self.plain_columns(columns, 4))
        where = self.filtered(columns, 0)
        return Query(
            self.r.choice(
                (
                    f"SELECT to_jsonb({alias}) FROM {text}{where}",
                    f"SELECT row_to_json({alias})::text FROM {text}{where}",
                    f"SELECT count({alias}), count(DISTINCT {ref.sql}) FROM {text}{where}",
                    f"SELECT {ref.sql}, {alias} IS NULL AS n FROM {text}{where}",
                    f"SELECT jsonb_agg({alias} ORDER BY {ref.sql}) FROM (SELECT DISTINCT {ref.sql} FROM {text}{where}) {alias}({ref.sql.split('.')[-1]})",
                    f"SELECT {alias}.* FROM {text}{where}",
                    f"SELECT ({alias}).* FROM {text}{where} LIMIT 0",
                    f"SELECT jsonb_object_agg({ref.sql}::text, 1) FROM {text} WHERE {ref.sql} IS NOT NULL",
                )
            )
        )

    def odd_sets(self) -> Query:
        """Grouping sets of grouping sets, filtered and sorted by GROUPING."""
        text, columns = self.joined(0, most=2)
        keys = self.plain_columns(columns, 3)
        a, b = keys[0].sql, keys[-1].sql
        listed = ", ".join(dict.fromkeys((a, b)))
        sets = self.r.choice((f"GROUPING SETS (ROLLUP ({listed}), CUBE ({listed}))", f"DISTINCT ROLLUP ({listed}), ROLLUP ({listed})",
                              f"{a}, ROLLUP ({b})", f"CUBE (({listed}), {b})", f"GROUPING SETS (({a}), ({a}), ())",
                              "GROUPING SETS ((), ())", f"ROLLUP ({a}, {b}, ({listed}))"))  # fmt: skip
        plain = sets == "GROUPING SETS ((), ())"
        items = "count(*)" if plain else f"{listed}, grouping({listed}), count(*), {self.call(columns, nested=True)}"
        tail = (
            ""
            if plain
            else self.r.choice(
                ("", f" HAVING grouping({a}) = 0", f" HAVING {a} IS NULL", f" HAVING count(*) > 1 OR grouping({b}) = 1")
            )
        )
        return Query(f"SELECT {items} FROM {text}{self.filtered(columns, 1)} GROUP BY {sets}{tail}")

    def odd_aggregates(self) -> Query:
        """Ordered-set and DISTINCT aggregates, HAVING alone, sub-queries in arguments, sorted by aggregates."""
        text, columns = self.joined(0, most=2)
        ref, key = self.r.choice(self.plain_columns(columns, 4)), self.r.choice(self.plain_columns(columns, 4))
        number = ref.type.name in _NUMBERS
        ordered = [*(f.format(ref.sql) for f in rare_forms.ORDERED[1 if not number else 0 :])]
        call = self.r.choice(
            (
                *ordered, f"count(DISTINCT ({ref.sql}, {key.sql}))", f"count(({ref.sql}, 1))",
                f"string_agg({ref.sql}::text, ',' ORDER BY {ref.sql} DESC, {key.sql})", f"jsonb_agg({ref.sql} ORDER BY {ref.sql})",
                f"string_agg(DISTINCT {ref.sql}::text, ';')", f"sum(CASE WHEN {self.predicate(columns, 0)} THEN 1 ELSE 0 END)",
                f"count(*) FILTER (WHERE {ref.sql} IN ({self.inner(0, (), ref)}))", f"bool_or({self.predicate(columns, 1)})",
                f"every({self.predicate(columns, 1)})", f"(array_agg({ref.sql} ORDER BY {ref.sql} NULLS FIRST))[1:2]",
                f"count(*) = count({ref.sql})", f"max(length({ref.sql}::text)) - min(length({ref.sql}::text))",
                f"sum((SELECT count(*) FROM {self.chosen().sql}))", f"bit_xor(length({ref.sql}::text))",
            )
        )  # fmt: skip
        where = self.filtered(columns, 1)
        luck = self.r.random()
        if luck < 0.3:
            return Query(
                f"SELECT {call} FROM {text}{where}{self.r.choice(('', ' HAVING count(*) > 3', ' HAVING true', ' HAVING count(*) = 0'))}"
            )
        if luck < 0.6:
            return Query(
                f"SELECT {key.sql}, {call}, count(*) FROM {text}{where} GROUP BY 1 ORDER BY count(*) DESC, {key.sql} LIMIT {self.r.randint(1, 6)}",
                sorted=-1,
            )
        return Query(f"SELECT {key.sql}, {call} FROM {text}{where} GROUP BY {key.sql}")

    def sorted_oddly(self) -> Query:
        """Orders by collations, operators and expressions that are not shown, cut off."""
        text, columns = self.joined(0, most=2)
        picked = self.plain_columns(columns, 3)
        first = picked[0]
        key = f'{first.sql} COLLATE "C"' if first.is_text else first.sql
        key = self.r.choice(
            (
                key,
                f"{first.sql}::text",
                f"{first.sql} IS NULL",
                f"length({first.sql}::text)",
                f"CASE WHEN {self.predicate(columns, 0)} THEN 0 ELSE 1 END",
            )
        )
        direction = self.r.choice(("", " DESC", " NULLS FIRST", " USING >" if " IS NULL" not in key else ""))
        total = ", ".join(f"{c.sql}{self.r.choice(('', ' DESC'))}" for c in picked)
        items = ", ".join(c.sql for c in picked)
        return Query(f"SELECT {items} FROM {text}{self.filtered(columns, 1)} ORDER BY {key}{direction}, {total} "
                     f"{self.r.choice(('', 'LIMIT 4', 'LIMIT 7 OFFSET 2', 'FETCH FIRST 3 ROWS WITH TIES', 'LIMIT ALL', 'LIMIT NULL'))}", sorted=-1)  # fmt: skip
