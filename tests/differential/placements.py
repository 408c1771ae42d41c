"""Random placements: which source holds which table, split how, declared how; and the project folder over them."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from tests.differential.data import Table
from tests.differential.oracle import deep_views
from tests.differential.physical import Physical, physical

ENGINES = {
    "plain": "postgresql",
    "icu": "postgresql",
    "maria": "mariadb",
    "lite": "sqlite",
    "pq": "parquet",
    "duck": "duckdb",
}
EMBEDDED = ("lite", "pq", "duck")
BOUNDARIES = {"orders": "placed", "events": "at", "tickets": "opened"}
BOUNDARY = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Piece:
    """One physical table: some rows of a canonical table at one source; `condition` cuts off what others hold too."""

    source: str
    name: str
    table: Table
    columns: tuple[Physical, ...]
    condition: str = ""

    @property
    def select(self) -> str:
        """The SELECT that gives the piece the canonical names and types."""
        items = ",\n       ".join(f'{c.expression} AS "{c.name}"' for c in self.columns)
        return f"SELECT {items}\nFROM {self.source}.{self.name}" + (
            f"\nWHERE {self.condition}" if self.condition else ""
        )


@dataclass(slots=True)
class Placement:
    """Where everything is; `style` says how it was drawn."""

    seed: int
    style: str
    pieces: dict[str, list[Piece]] = field(default_factory=dict)

    def at(self, source: str) -> list[Piece]:
        """All pieces of one source."""
        return [piece for pieces in self.pieces.values() for piece in pieces if piece.source == source]

    def __str__(self) -> str:
        places = (f"{name}: {' + '.join(p.source for p in pieces)}" for name, pieces in self.pieces.items())
        return f"placement {self.seed} ({self.style}): " + ", ".join(places)


def draw(seed: int, tables: Sequence[Table], engines: Sequence[str]) -> Placement:
    """Every third placement puts all tables at one source (the most is pushed there), the others mix and split."""
    chance = random.Random(seed * 7919 + 13)
    if seed % 3 == 2:
        only = engines[(seed // 3) % len(engines)]
        placement = Placement(seed, f"all at {only}")
        choose: Callable[[], str] = lambda: only  # noqa: E731
    else:
        placement = Placement(seed, "mixed")
        choose = lambda: chance.choice(list(engines))  # noqa: E731
    for table in tables:
        placement.pieces[table.name] = _place(table, choose, chance, split=placement.style == "mixed")
    return placement


def _place(table: Table, choose: Callable[[], str], chance: random.Random, *, split: bool) -> list[Piece]:
    luck = chance.random()
    if split and table.name in BOUNDARIES and luck < 0.5:
        return _hot_cold(table, choose, chance)
    if split and table.key and luck > 0.75:
        rows = [row for row in table.rows if chance.random() < 0.5]
        kept = set(rows)
        others = tuple(row for row in table.rows if row not in kept)
        halves = (replace(table, rows=tuple(rows)), replace(table, rows=others))
        return [_piece(half, f"{table.name}_{n}", choose(), chance) for n, half in enumerate(halves)]
    return [_piece(table, table.name, choose(), chance)]


def _hot_cold(table: Table, choose: Callable[[], str], chance: random.Random) -> list[Piece]:
    """By a date boundary; both parts hold some rows of the other side, which the views' conditions cut off."""
    column = BOUNDARIES[table.name]
    at = table.position(column)
    hot = tuple(row for row in table.rows if row[at] is None or row[at] >= BOUNDARY or chance.random() < 0.2)
    cold = tuple(row for row in table.rows if row[at] is not None and (row[at] < BOUNDARY or chance.random() < 0.2))
    edge = f"'{BOUNDARY:%Y-%m-%d %H:%M:%S}+00'"
    parts = []
    for name, rows, condition in (("hot", hot, "{c} >= {e} OR {c} IS NULL"), ("cold", cold, "{c} < {e}")):
        piece = _piece(replace(table, rows=rows), f"{table.name}_{name}", choose(), chance)
        parts.append(replace(piece, condition=condition.format(c=piece.columns[at].expression, e=edge)))
    return parts


def _piece(table: Table, name: str, source: str, chance: random.Random) -> Piece:
    renamed = chance.random() < 0.25
    columns = tuple(
        physical(ENGINES[source], column, table.values(column.name), chance, f"x{i}" if renamed else column.name)
        for i, column in enumerate(table.columns)
    )
    return Piece(source, name, table, columns)


def write_project(folder: Path, placement: Placement, connections: dict[str, dict[str, Any]]) -> None:
    """The project folder over a placement: every query uses the same names whatever the placement."""
    (folder / "sources").mkdir(parents=True, exist_ok=True)
    _dump(folder / "vdw.yml", {"name": f"differential-{placement.seed}"})
    for source, connection in connections.items():
        _dump(folder / "sources" / f"{source}.yml", {"kind": ENGINES[source], "connection": connection})
    for name, pieces in placement.pieces.items():
        _view(folder, f"t.{name}", "\nUNION ALL\n".join(piece.select for piece in pieces))
    for name, body in deep_views():
        _view(folder, name, body)


def _view(folder: Path, full_name: str, body: str) -> None:
    schema, name = full_name.split(".")
    path = folder / "views" / schema / f"{name}.view.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"/*---\nview: {full_name}\n---*/\n{body}\n")


def _dump(path: Path, value: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
