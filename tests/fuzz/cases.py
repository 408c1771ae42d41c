"""Failures as files that a person can read and a test replays: tables, views, where the rows are, query and way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from connectors.conformance.texts import python_text
from connectors.types import PgType
from tests.differential.data import Column, Link, Table
from tests.differential.placements import Placement, Spot, piece
from tests.differential.suite import How
from tests.fuzz.expressions import Params
from tests.fuzz.queries import Query
from tests.fuzz.schema import value_of
from tests.fuzz.world import Schema, names_in

FOLDER = Path(__file__).parent / "cases"
Spots = dict[str, list[Spot]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A query under a configuration over a schema whose tables' rows are at `spots`; `said` is what went wrong.

    `before` are statements that were asked first, so their plans are known by then: with the query's parameters, or
    with `earlier` where it is given.
    """

    query: Query
    schema: Schema
    spots: Spots
    how: How
    said: str = ""
    before: tuple[str, ...] = ()
    earlier: Params = ()

    @property
    def sources(self) -> set[str]:
        """Names of the sources that hold its rows."""
        return {spot.source for spots in self.spots.values() for spot in spots}

    @property
    def rows(self) -> int:
        """Rows of all its tables."""
        return sum(len(table.rows) for table in self.schema.tables)

    def placement(self, name: str) -> Placement:
        """Its tables where they are, under the schema `name`."""
        pieces = {t.name: [piece(t, spot, f"{name}_") for spot in self.spots[t.name]] for t in self.schema.tables}
        return Placement(0, "a case", pieces, name)


def needed(failure: Failure) -> Failure:
    """Without the tables and views that the query does not read."""
    bodies = dict(failure.schema.views)
    wanted: set[str] = set()
    open_ = {name for sql in (failure.query.sql, *failure.before) for name in names_in(sql)}
    while open_:
        name = open_.pop()
        wanted.add(name)
        open_ |= set(names_in(bodies.get(name, ""))) - wanted
    tables = tuple(_unlinked(t, wanted) for t in failure.schema.tables if t.name in wanted)
    views = tuple(view for view in failure.schema.views if view[0] in wanted)
    spots = {name: spots for name, spots in failure.spots.items() if name in wanted}
    return replace(failure, schema=Schema(failure.schema.name, tables, views), spots=spots)


def _unlinked(table: Table, wanted: set[str]) -> Table:
    return replace(table, links=tuple(link for link in table.links if link.table in wanted))


def with_rows(failure: Failure, kept: dict[str, list[int]]) -> Failure:
    """With only these rows of each table, no foreign keys (their parents may be gone), the pieces as they were."""
    tables, spots = [], {}
    for table in failure.schema.tables:
        numbers = kept[table.name]
        new = {old: at for at, old in enumerate(numbers)}
        rows = tuple(table.rows[n] for n in numbers)
        tables.append(replace(table, rows=rows, links=()))
        spots[table.name] = [
            replace(spot, rows=tuple(new[n] for n in spot.rows if n in new)) for spot in failure.spots[table.name]
        ]
    return replace(failure, schema=replace(failure.schema, tables=tuple(tables)), spots=spots)


def write(failure: Failure, path: Path) -> None:
    """The file of a case."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump(_told(failure), sort_keys=False, allow_unicode=True, width=110, Dumper=_Dumper))


class _Dumper(yaml.SafeDumper):
    """Rows on one line each, long texts as blocks."""


class _Row(list[Any]):
    pass


_Dumper.add_representer(_Row, lambda d, row: d.represent_sequence("tag:yaml.org,2002:seq", row, flow_style=True))


def _told(failure: Failure) -> dict[str, Any]:
    query, how = failure.query, failure.how
    promised = {key: getattr(query, key) for key in ("sorted", "unlimited", "approx") if getattr(query, key)}
    way = {"off": sorted(how.off), "knobs": list(how.knobs), "lies": how.lies}
    return {
        "said": failure.said,
        "sql": query.sql,
        **({"params": [list(p) for p in query.params]} if query.params else {}),
        **promised,
        "how": {key: value for key, value in way.items() if value},
        **({"before": list(failure.before)} if failure.before else {}),
        **({"earlier": [list(p) for p in failure.earlier]} if failure.earlier else {}),
        "views": dict(failure.schema.views),
        "tables": {table.name: _table(table, failure.spots[table.name]) for table in failure.schema.tables},
    }


def _table(table: Table, spots: Iterable[Spot]) -> dict[str, Any]:
    kinds = [c.type for c in table.columns]
    boundary = table.boundary and [
        table.boundary[0],
        python_text(table.boundary[1], kinds[table.position(table.boundary[0])]),
    ]
    facts = {
        "key": list(table.key),
        "unique": [list(names) for names in table.unique],
        "indexes": list(table.indexes),
        "links": [[list(link.columns), link.table, list(link.references)] for link in table.links],
        "boundary": boundary,
    }
    return {
        "columns": {c.name: f"{c.type.name}/{c.type.mod}" if c.type.mod >= 0 else c.type.name for c in table.columns},
        **{key: value for key, value in facts.items() if value},
        "at": [_Row([s.source, s.seed, s.part, *([list(s.rows)] if s.part else [])]) for s in spots],
        "rows": [_Row([python_text(v, k) for v, k in zip(row, kinds, strict=True)]) for row in table.rows],
    }


def read(path: Path) -> Failure:
    """A case from its file."""
    said = yaml.safe_load(path.read_text())
    way = said.get("how") or {}
    query = Query(
        said["sql"],
        tuple((kind, value) for kind, value in said.get("params", ())),
        sorted=said.get("sorted", 0),
        unlimited=said.get("unlimited", ""),
        approx=said.get("approx", False),
    )
    tables, spots = [], {}
    for name, facts in said["tables"].items():
        tables.append(_read_table(name, facts))
        every = tuple(range(len(facts["rows"])))
        spots[name] = [
            Spot(source, seed, part, tuple(*rows) if part else every) for source, seed, part, *rows in facts["at"]
        ]
    schema = Schema(path.stem.replace("-", "_"), tuple(tables), tuple((said.get("views") or {}).items()))
    how = How(frozenset(way.get("off", ())), tuple(way.get("knobs", ())), way.get("lies", 0))
    earlier = tuple((kind, value) for kind, value in said.get("earlier", ()))
    return Failure(query, schema, spots, how, said.get("said", ""), tuple(said.get("before", ())), earlier)


def _read_table(name: str, facts: dict[str, Any]) -> Table:
    columns = tuple(Column(n, _kind(text)) for n, text in facts["columns"].items())
    kinds = [c.type for c in columns]
    rows = tuple(tuple(value_of(k, v) for k, v in zip(kinds, row, strict=True)) for row in facts["rows"])
    boundary = facts.get("boundary")
    if boundary:
        kind = next(c.type for c in columns if c.name == boundary[0])
        boundary = (boundary[0], value_of(kind, boundary[1]))
    links = tuple(Link(tuple(own), to, tuple(theirs)) for own, to, theirs in facts.get("links", ()))
    unique = tuple(tuple(names) for names in facts.get("unique", ()))
    return Table(
        name, columns, rows, tuple(facts.get("key", ())), tuple(facts.get("indexes", ())), boundary, unique, links
    )


def _kind(text: str) -> PgType:
    name, _, mod = text.partition("/")
    return PgType(name, int(mod)) if mod else PgType(name)


def load(folder: Path = FOLDER) -> Iterator[tuple[str, Failure]]:
    """(name, case) of every file in the folder."""
    for path in sorted(folder.glob("*.yml")):
        yield path.stem, read(path)
