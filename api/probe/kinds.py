"""Which kinds of columns a probe makes: of the types and collations that a source's own columns have, and of its
dialect's usual types where it has none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connectors.base import Collation, Column, Table
from connectors.capability.spellings import base, castable, tried, types
from connectors.types import PgType, numeric

NATIVES = 3  # types of a source that are tried for one type of ours
_SCALED = {"money": numeric(12, 2), "rate": numeric(10, 3), "long": numeric(38, 10)}
_TRIED = ("int2", "int4", "int8", "date", "timestamp", "timestamptz", "time", "bool")


@dataclass(frozen=True, slots=True)
class Kind:
    """Columns `name`_a and `name`_b with the traps `pool`, cast to `sql`; `like`: a column of the source whose
    collation they have. `native`: the name of the type that is tried."""

    name: str
    pool: str
    type: PgType
    sql: str
    native: str
    collation: Collation = Collation.BYTES
    like: tuple[Table, Column] | None = None

    @property
    def tried(self) -> str:
        """What a profile calls the type, and what it stands for."""
        return tried(self.native, self.type.name)


def kinds(tables: Sequence[Table], dialect: str) -> list[Kind]:
    """What to try for these tables, in an order that depends on nothing else."""
    usual = types(dialect)
    columns = sorted(((t, c) for t in tables for c in t.columns), key=lambda pair: (pair[0].name, pair[1].name))
    made = [kind for name in _TRIED for kind in _plain(name, columns, usual.get(name, ""), dialect)]
    made += _decimals(columns, usual, dialect)
    made += _texts(columns, usual["text"], dialect)
    return made


def _natives(columns: Sequence[tuple[Table, Column]], *names: str) -> dict[str, Column]:
    """The source's types for one of ours, each with a column."""
    found: dict[str, Column] = {}
    for _, column in columns:
        if column.type.name in names and column.native:
            found.setdefault(base(column.native), column)
    return dict(sorted(found.items())[:NATIVES])


def _plain(name: str, columns: Sequence[tuple[Table, Column]], usual: str, dialect: str) -> Iterator[Kind]:
    natives = _natives(columns, name)
    for at, (native, column) in enumerate(natives.items()):
        own = name if not at else f"{name}{at + 1}"
        yield Kind(own, name, PgType(name), castable(column.native, name, dialect), native)
    if not natives and usual:
        yield Kind(name, name, PgType(name), usual, base(usual))


def _decimals(columns: Sequence[tuple[Table, Column]], usual: dict[str, str], dialect: str) -> Iterator[Kind]:
    natives = _natives([(t, c) for t, c in columns if c.type.mod >= 0], "numeric")
    for at, (native, column) in enumerate(natives.items()):
        for name in _SCALED if not at else ("money",):
            own = name if not at else f"{name}{at + 1}"
            if "(" in column.native:
                yield Kind(own, name, _SCALED[name], castable(column.native, name, dialect), native)
            elif name == "money":  # of digits of its own
                yield Kind(own, name, column.type, native, native)
    if not natives:
        yield from (Kind(n, n, t, usual[n], base(usual[n])) for n, t in _SCALED.items() if n in usual)


def _texts(columns: Sequence[tuple[Table, Column]], usual: str, dialect: str) -> Iterator[Kind]:
    """Of each collation that the source's columns are known to have, a column's own and that of a cast."""
    text = PgType("text")
    for collation in Collation:
        own = [(t, c) for t, c in columns if c.type.name in ("text", "varchar") and c.collation is collation]
        at = 0
        for native, column in _natives(own, "text", "varchar").items():
            at += 1
            where = next(pair for pair in own if pair[1] is column)
            name = f"text_{collation.value}" + ("" if at == 1 else str(at))
            yield Kind(name, "text", text, castable(column.native, "text", dialect), native, collation, where)
        if collation is Collation.LOOSE and not at:
            yield Kind("text_loose", "text", text, usual, base(usual), collation)
