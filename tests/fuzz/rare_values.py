"""Rare shapes over values: arrays, recursion, VALUES, parameters of every type."""
# ruff: noqa: E501 -- a template of SQL reads best on one line

from __future__ import annotations

from connectors.conformance.texts import python_text
from tests.fuzz.expressions import orderable
from tests.fuzz.forms import crisp
from tests.fuzz.queries import Query
from tests.fuzz.rare_wholes import Wholes

_PLAIN_PARAMETERS = ("int2", "int4", "int8", "text", "varchar", "bool", "date", "timestamp", "timestamptz", "uuid", "numeric", "float8")  # fmt: skip


class Values(Wholes):
    """Writes them."""

    def arrays(self) -> Query:
        """Arrays made of queries and of groups, and read again."""
        text, columns = self.joined(0, most=2)
        ref, key = self.r.choice(self.plain_columns(columns, 4)), self.r.choice(self.plain_columns(columns, 4))
        more, theirs = self.origin(0)
        where = self.filtered(theirs, 0, columns, need=True)
        item = self.r.choice(self.plain_columns(theirs, 3)).sql
        return Query(
            self.r.choice(
                (
                    f"SELECT {ref.sql}, ARRAY(SELECT {item} FROM {more}{where} ORDER BY 1) AS a FROM {text}",
                    f"SELECT {key.sql}, cardinality(array_agg(DISTINCT {ref.sql})) FROM {text} GROUP BY 1",
                    f"SELECT unnest(array_agg({ref.sql} ORDER BY {ref.sql})) AS v, {key.sql} FROM {text} GROUP BY {key.sql}",
                    f"SELECT {ref.sql} FROM {text} WHERE {ref.sql} = ANY (SELECT unnest(ARRAY[{self.literal(ref)}, {self.literal(ref)}]::{ref.type.bare.sql}[]))",
                    f"SELECT {key.sql}, (array_agg({ref.sql} ORDER BY {ref.sql} DESC))[1] FROM {text} GROUP BY {key.sql}",
                    f"SELECT {ref.sql}, generate_series(1, 2) AS g FROM {text}{self.filtered(columns, 0)}",
                )
            )
        )

    def walk(self) -> Query:
        """A recursion over links, with a path, a depth and CYCLE."""
        relation = self.chosen()
        links = [
            (a, b)
            for a in relation.columns
            for b in relation.columns
            if a.type == b.type and a.sql != b.sql and crisp(a.type)
        ]
        links = [p for p in links if orderable(p[0].type)]
        if not links:
            return self.recursive()
        a, b = self.r.choice(links)
        name, alias = self.alias(), self.alias()
        start = f"SELECT {a.sql}, {b.sql}, 0 FROM {relation.sql}{self.filtered(relation.columns, 0)}"
        step = f"SELECT {alias}.{a.sql}, {alias}.{b.sql}, {name}.n + 1 FROM {name} JOIN {relation.sql} {alias} ON {alias}.{a.sql} = {name}.b"
        cycle = self.r.choice(
            ("CYCLE a SET looped USING path", "SEARCH DEPTH FIRST BY a SET path CYCLE a SET looped USING trail", "")
        )
        bound = f" WHERE {name}.n < 2"
        tail = self.r.choice(
            (
                "SELECT a, b, n FROM {0}",
                "SELECT n, count(*) FROM {0} GROUP BY n ORDER BY n",
                "SELECT DISTINCT a FROM {0} WHERE n > 0",
                "SELECT {0}.a, t.* FROM {0} JOIN " + f"{relation.sql} t ON t.{b.sql} = " + "{0}.b WHERE {0}.n = 1",
            )
        )
        return Query(f"WITH RECURSIVE {name}(a, b, n) AS ({start} UNION {step}{bound}) {cycle} {tail.format(name)}")

    def values_alone(self) -> Query:
        """VALUES joined, in IN, as a whole statement."""
        text, columns = self.joined(0, most=2)
        ref = self.r.choice(self.plain_columns(columns, 4))
        cells = [self.literal(ref) for _ in range(4)] + ["NULL"]
        kind = ref.type.bare.sql
        rows = ", ".join(f"({c}::{kind}, {n})" for n, c in enumerate(cells))
        among = f"{ref.sql} {self.r.choice(('IN', 'NOT IN'))} (VALUES {', '.join(f'({c})' for c in cells)})"
        join = self.r.choice(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
        return Query(
            self.r.choice(
                (
                    f"SELECT {ref.sql}, y.n FROM {text} {join} (VALUES {rows}) y(v, n) ON y.v = {ref.sql}{self.filtered(columns, 0)}",
                    f"SELECT {ref.sql} FROM {text}{self.where(columns, among)}",
                    f"VALUES {rows} ORDER BY 2 DESC LIMIT 3",
                    f"SELECT y.n, (SELECT count(*) FROM {text} WHERE {ref.sql} = y.v) AS c FROM (VALUES {rows}) y(v, n)",
                    f"SELECT y.n FROM (VALUES {rows}) y(v, n) WHERE {self.r.choice(('', 'NOT '))}EXISTS (SELECT FROM {text} WHERE {ref.sql} = y.v)",
                )
            )
        )

    def parameters_of_all(self) -> Query:
        """Parameters of every type, NULL and arrays among them, where their type must be guessed too."""
        text, columns = self.joined(0, most=2)
        fit = [c for c in columns if c.type.name in _PLAIN_PARAMETERS and c.values]
        if not fit:
            return self.casts()
        ref = self.r.choice(fit)
        texts = [python_text(self.r.choice(ref.values), ref.type) or "" for _ in range(3)]
        if any(t in ("infinity", "-infinity", "NaN", "Infinity", "-Infinity") or "BC" in t for t in texts):
            return self.casts()
        first = None if self.chance(0.15) else texts[0]
        at = len(self.params) + 1
        kind = ref.type.name
        if self.chance(0.35) and kind in ("int4", "int8", "text"):
            self.params.append((f"_{kind}", None if self.chance(0.1) else [*texts, None][self.r.randint(0, 3) :]))  # type: ignore[arg-type]
            shape = self.r.choice(
                (
                    "{0} = ANY (${1})",
                    "{0} <> ALL (${1})",
                    "{0} IN (SELECT unnest(${1}::{2}[]))",
                    "NOT ({0} = ANY (${1}::{2}[]))",
                )
            )
            return Query(
                f"SELECT {ref.sql} FROM {text}{self.where(columns, shape.format(ref.sql, at, ref.type.bare.sql))}"
            )
        self.params.append((kind, first))
        shape = self.r.choice(
            (
                "{0} = ${1}", "{0} IS NOT DISTINCT FROM ${1}", "{0} IN (${1}, NULL)", "{0} >= ${1}", "(${1}::{2} IS NULL OR {0} = ${1}::{2})",
                "coalesce(${1}, {0}) = {0}", "{0} <> ${1}", "NOT ({0} = ${1})", "{0} BETWEEN ${1} AND ${1}", "nullif({0}, ${1}) IS NULL",
                "{0} = (SELECT ${1}::{2})", "CASE WHEN ${1}::{2} IS NULL THEN {0} IS NULL ELSE {0} > ${1}::{2} END",
            )
        )  # fmt: skip
        return Query(
            f"SELECT {ref.sql}, ${at}::{ref.type.bare.sql} AS p FROM {text}{self.where(columns, shape.format(ref.sql, at, ref.type.bare.sql))}"
        )

    def casts(self) -> Query:
        """A cast of any column to any type."""
        raise NotImplementedError
