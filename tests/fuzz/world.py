"""One round: tables and views in the oracle and, under several placements, in a project that is served."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import pq

from connectors.types import BUILTIN, PgType
from tests.differential import suite
from tests.differential.data import Table
from tests.differential.oracle import Oracle
from tests.differential.placements import Placement, draw
from tests.differential.scalars import Ref
from tests.differential.suite import Running
from tests.fuzz.expressions import Columns, Relation
from tests.fuzz.queries import Queries
from tests.servers import Server

DEEPEST = 5  # views on views
_NAMES = {oid: name for name, (oid, _, _) in BUILTIN.items()} | {
    array: f"_{name}" for name, (_, array, _) in BUILTIN.items() if array
}


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables and views over them as (name, SELECT over bare names), each behind what it reads."""

    name: str
    tables: tuple[Table, ...]
    views: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Oracles:
    """Two that hold the same rows in different order: what they do not agree upon, SQL leaves open."""

    one: Oracle
    other: Oracle

    def load(self, schema: Schema) -> None:
        """Tables and views of a schema, which is then where names are looked up."""
        for oracle, shuffle in ((self.one, None), (self.other, 7)):
            oracle.load(schema.name, schema.tables, shuffle)
            oracle.run(f"SET search_path = {schema.name}")
            for name, body in schema.views:
                oracle.run(f"CREATE VIEW {name} AS {body}")

    def view(self, name: str, body: str) -> bool:
        """Make a view; False where PostgreSQL refuses its text."""
        for oracle in (self.one, self.other):
            try:
                oracle.run(f"CREATE VIEW {name} AS {body}")
            except Exception:  # any refusal: a bad draw
                return False
        return True

    def drop(self, schema: Schema) -> None:
        """Forget a schema."""
        for oracle in (self.one, self.other):
            oracle.run(f"DROP SCHEMA {schema.name} CASCADE")

    def describe(self, sql: str) -> Columns | None:
        """The columns of a SELECT; None where PostgreSQL refuses it."""
        connection = self.one.connection.pgconn
        if connection.prepare(b"", sql.encode()).status != pq.ExecStatus.COMMAND_OK:
            return None
        found = connection.describe_prepared(b"")
        if found.status != pq.ExecStatus.COMMAND_OK:
            return None
        columns = [((found.fname(i) or b"").decode(), found.ftype(i), found.fmod(i)) for i in range(found.nfields)]
        if any(oid not in _NAMES for _, oid, _ in columns):
            return None
        return tuple((name, PgType(_NAMES[oid], mod)) for name, oid, mod in columns)


def relations(schema: Schema, oracles: Oracles) -> list[Relation]:
    """What queries over the schema may read: views more often than tables, the deep ones most."""
    tables = [
        Relation(
            table.name,
            tuple(
                Ref(f'"{c.name}"', c.type, tuple(v for v in table.values(c.name) if v is not None))
                for c in table.columns
            ),
        )
        for table in schema.tables
    ]
    pools = {c.type.name: c.values for table in tables for c in table.columns if c.values}
    views: list[Relation] = []
    weights = {table.name: 1 for table in schema.tables}
    for name, body in schema.views:
        columns = oracles.describe(f"SELECT * FROM {name}") or ()
        refs = tuple(Ref(f'"{n}"', kind, pools.get(kind.name, ())) for n, kind in columns)
        weights[name] = sum(weights[read] for read in names_in(body))
        views.append(Relation(name, refs, weights[name]))
    return [*tables, *views]


def draw_views(schema: Schema, oracles: Oracles, r: random.Random, count: int) -> Schema:
    """The schema with views up to five deep, their columns relabelled."""
    views: list[tuple[str, str]] = []
    level = {table.name: 0 for table in schema.tables}
    for number in range(count):
        drawn = Schema(schema.name, schema.tables, tuple(views))
        known = [rel for rel in relations(drawn, oracles) if level[rel.sql] < DEEPEST]
        deep = [rel for rel in known if level[rel.sql] > 0]
        writer = Queries(r, [*known, *deep, *deep], oracles.describe, parameters=False)
        writer.budget = r.choice((1, 1, 2, 3, 4))
        body = writer.body(r.choice((0, 0, 1)))
        columns = oracles.describe(body)
        if not columns:
            continue
        name = f"w{number}"
        labels = [f'"{r.choice(_LABELS)}{n}"' for n in range(len(columns))]
        items = ", ".join(f'q."{c}" AS {label}' for (c, _), label in zip(columns, labels, strict=True))
        text = f"SELECT {items} FROM ({body}) q"
        if oracles.view(name, text):
            views.append((name, text))
            level[name] = 1 + max((level[read] for read in names_in(body)), default=0)
    return Schema(schema.name, schema.tables, tuple(views))


_LABELS = ("a", "id", "Name ", "k", "Σ", "order", "c")


_BARE = re.compile(r"""(?<![\w."'$])([tw]\d+)(?![\w"'(])""")


def names_in(sql: str) -> list[str]:
    """The tables and views that a text reads, as often as it does."""
    return _BARE.findall(sql)


def qualified(sql: str, schema: str) -> str:
    """The text with the schema before the names of tables and views (t1, w2: nothing else is called so)."""
    return _BARE.sub(rf"{schema}.\1", sql)


def placed(schema: Schema, numbers: Sequence[int], engines: Sequence[str]) -> list[Placement]:
    """The schema's tables under several placements, which do not get into each other's way."""
    return [
        draw(number, schema.tables, engines, f"{schema.name}_{at}", f"{schema.name}_{at}_")
        for at, number in enumerate(numbers)
    ]


def served(
    spaces: Sequence[tuple[Schema, Placement]], servers: dict[str, Server], tag: str
) -> contextlib.AbstractContextManager[Running]:
    """A project in which each schema stands under the name of its placement."""
    views = [
        (f"{placement.schema}.{name}", qualified(body, placement.schema))
        for schema, placement in spaces
        for name, body in schema.views
    ]
    return suite.served("fuzz", [placement for _, placement in spaces], views, servers, tag)
