"""Random placements: which source holds which table, split how, declared how; and the project folder over them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from connectors.conformance.texts import python_text
from tests.connectors.odbc_cases import DRIVERS
from tests.differential.data import Table
from tests.differential.physical import Physical, physical

ENGINES = {
    "plain": "postgresql",
    "icu": "postgresql",
    "maria": "mariadb",
    "lite": "sqlite",
    "pq": "files",
    "duck": "duckdb",
    "web": "rest",
    "alchemy": "postgresql",
    "odbc_plain": "postgresql",
    "odbc_maria": "mariadb",
    "odbc_lite": "sqlite",
    "trino": "trino",
    "my": "mysql",
}
# each statement costs Trino some tens of milliseconds, and MySQL's server is not installed
USUAL = tuple(name for name in ENGINES if name not in ("trino", "my"))
# Sources whose engine is reached by another kind than its own, and what their files say besides.
BY: dict[str, tuple[str, dict[str, str]]] = {
    "alchemy": ("sqlalchemy", {"url": "postgresql+pg8000://"}),
    "odbc_plain": ("odbc", {"driver": DRIVERS["postgresql"]}),
    "odbc_maria": ("odbc", {"driver": DRIVERS["mariadb"]}),
    "odbc_lite": ("odbc", {"driver": DRIVERS["sqlite"]}),
}
EMBEDDED = ("lite", "pq", "duck")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where some rows of a table are: `part` is hot or cold by its boundary, 0 or 1 of two halves, or '' for all of it;
    `rows` are the rows' numbers; `seed` decides how the source declares the columns."""

    source: str
    seed: int
    part: str = ""
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """One physical table: some rows of a canonical table at one source; `condition` cuts off what others hold too."""

    spot: Spot
    name: str
    table: Table
    columns: tuple[Physical, ...]
    condition: str = ""

    @property
    def source(self) -> str:
        """The source's name."""
        return self.spot.source

    @property
    def whole(self) -> bool:
        """Whether all rows are here."""
        return not self.spot.part

    @property
    def kept(self) -> tuple[int, ...]:
        """The numbers of its rows that `condition` leaves."""
        if not self.condition:
            return self.spot.rows
        column, bound = self.table.boundary or ("", None)
        held = zip(self.spot.rows, self.table.values(column), strict=True)
        return tuple(n for n, value in held if (value is None or value >= bound) == (self.spot.part == "hot"))

    @property
    def select(self) -> str:
        """The SELECT that gives the piece the canonical names and types."""
        items = ",\n       ".join(f'{c.expression} AS "{c.name}"' for c in self.columns)
        return f"SELECT {items}\nFROM {self.source}.{self.name}" + (
            f"\nWHERE {self.condition}" if self.condition else ""
        )


@dataclass(slots=True)
class Placement:
    """Where everything is; `style` says how it was drawn; `schema` has the views over the pieces."""

    seed: int
    style: str
    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    schema: str = "t"

    @property
    def all(self) -> list[Piece]:
        """Every piece, in the order of the tables."""
        return [piece for pieces in self.pieces.values() for piece in pieces]

    @property
    def views(self) -> list[tuple[str, str]]:
        """(full name, SELECT) of the canonical tables, put together from their pieces."""
        named = self.pieces.items()
        return [(f"{self.schema}.{name}", "\nUNION ALL\n".join(p.select for p in pieces)) for name, pieces in named]

    def without(self, source: str, tables: Sequence[Table]) -> tuple[Table, ...]:
        """The canonical tables with the rows that are not at that source."""
        elsewhere = {name: [p for p in pieces if p.source != source] for name, pieces in self.pieces.items()}
        return tuple(
            replace(table, rows=tuple(table.rows[n] for piece in elsewhere[table.name] for n in piece.kept))
            for table in tables
        )

    def __str__(self) -> str:
        places = (f"{name}: {' + '.join(p.source for p in pieces)}" for name, pieces in self.pieces.items())
        return f"placement {self.seed} ({self.style}): " + ", ".join(places)


def draw(seed: int, tables: Sequence[Table], engines: Sequence[str], schema: str = "t", prefix: str = "") -> Placement:
    """Every third placement puts all tables at one source (the most is pushed there), the others mix and split.

    `prefix` goes before the names of physical tables, where several placements share the sources.
    """
    chance = random.Random(seed * 7919 + 13)
    if seed % 3 == 2:
        only = engines[(seed // 3) % len(engines)]
        placement = Placement(seed, f"all at {only}", schema=schema)
        choose: Callable[[], str] = lambda: only  # noqa: E731
    else:
        placement = Placement(seed, "mixed", schema=schema)
        choose = lambda: chance.choice(list(engines))  # noqa: E731
    for table in tables:
        spots = _spots(table, choose, chance, split=placement.style == "mixed")
        placement.pieces[table.name] = [piece(table, spot, prefix) for spot in spots]
    return placement


def _spots(table: Table, choose: Callable[[], str], chance: random.Random, *, split: bool) -> list[Spot]:
    luck = chance.random()
    if split and table.boundary and luck < 0.5:
        return [Spot(choose(), chance.getrandbits(32), part, rows) for part, rows in _hot_cold(table, chance)]
    every = range(len(table.rows))
    if split and table.key and luck > 0.75:
        kept = {n for n in every if chance.random() < 0.5}
        halves = (tuple(n for n in every if n in kept), tuple(n for n in every if n not in kept))
        return [Spot(choose(), chance.getrandbits(32), str(n), half) for n, half in enumerate(halves)]
    return [Spot(choose(), chance.getrandbits(32), "", tuple(every))]


def _hot_cold(table: Table, chance: random.Random) -> list[tuple[str, tuple[int, ...]]]:
    """By a boundary; both parts hold some rows of the other side, which the views' conditions cut off."""
    column, bound = table.boundary or ("", None)
    values = list(enumerate(table.values(column)))
    hot = tuple(n for n, value in values if value is None or value >= bound or chance.random() < 0.2)
    cold = tuple(n for n, value in values if value is not None and (value < bound or chance.random() < 0.2))
    return [("hot", hot), ("cold", cold)]


def piece(table: Table, spot: Spot, prefix: str = "") -> Piece:
    """The rows at their source, each column in one of the ways in which it can hold them."""
    held = replace(table, rows=tuple(table.rows[n] for n in spot.rows))
    chance = random.Random(spot.seed)
    renamed = chance.random() < 0.25
    columns = tuple(
        physical(ENGINES[spot.source], column, held.values(column.name), chance, f"x{i}" if renamed else column.name)
        for i, column in enumerate(table.columns)
    )
    name = f"{prefix}{table.name}{'_' if spot.part else ''}{spot.part}"
    return Piece(spot, name, held, columns, _side(table, columns, spot.part))


def _side(table: Table, columns: Sequence[Physical], part: str) -> str:
    """The condition of the hot or cold part of a table."""
    if part not in ("hot", "cold"):
        return ""
    column, bound = table.boundary or ("", None)
    held = columns[table.position(column)]
    edge, expression = f"'{python_text(bound, held.type)}'", held.expression
    return f"{expression} >= {edge} OR {expression} IS NULL" if part == "hot" else f"{expression} < {edge}"


def write_project(
    folder: Path, name: str, connections: dict[str, dict[str, Any]], views: Iterable[tuple[str, str]]
) -> None:
    """The project folder over loaded pieces: every query uses the same names whatever the placement."""
    (folder / "sources").mkdir(parents=True, exist_ok=True)
    _dump(folder / "vdw.yml", {"name": name})
    for source, connection in connections.items():
        kind, besides = BY.get(source, (ENGINES[source], {}))
        _dump(folder / "sources" / f"{source}.yml", {"kind": kind, "connection": {**connection, **besides}})
    for full_name, body in views:
        _view(folder, full_name, body)


def _view(folder: Path, full_name: str, body: str) -> None:
    schema, name = full_name.split(".")
    path = folder / "views" / schema / f"{name}.view.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"/*---\nview: {full_name}\n---*/\n{body}\n")


def _dump(path: Path, value: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
