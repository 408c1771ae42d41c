"""Trino with the table of traps in its memory catalog; many calls are asked in one statement, since each costs it
tens of milliseconds."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import trino.exceptions

from api.probe import traps
from api.probe.cases import LISTS
from api.probe.oracle import Oracle
from api.probe.traps import Trap
from connectors.base import Bound, Collation, Column, Profile, Table
from connectors.capability import capability
from connectors.capability.rules import FAMILIES, Rule
from connectors.capability.trino import template
from connectors.errors import Error
from connectors.trino.sql import text_of
from connectors.types import PgType
from planner import ir
from planner.emit import Emitter
from planner.prove import Fact
from planner.scalar import Call, Scalar
from planner.targets import SourceTarget
from tests.capability.sites import INT4, Site, fill_canon
from tests.trino_server import TrinoServer
from views.catalog import SourceTable

TRINO = {
    "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "float8": "DOUBLE", "date": "DATE",
    "timestamp": "TIMESTAMP(6)", "timestamptz": "TIMESTAMP(6) WITH TIME ZONE", "time": "TIME(6)", "bool": "BOOLEAN",
    "uuid": "UUID", "bytea": "VARBINARY", "money": "DECIMAL(12,2)", "rate": "DECIMAL(10,3)", "long": "DECIMAL(38,10)",
    "text_bytes": "VARCHAR",
}  # fmt: skip
_TRIED = {("tried", kind): Rule(template("TRY(ROW({0}))")) for kind in {*FAMILIES.values(), "?"}}


class Refused:
    """What stands for a value where Trino has an error."""

    def __repr__(self) -> str:
        return "an error"


REFUSED = Refused()
Answer = str | Refused | None


@dataclass
class TrinoSite(Site):
    """Asked through Trino's own client, constants written in place."""

    cursor: Any = None

    def ask(self, rel: ir.Rel, outputs: Sequence[tuple[int, PgType]]) -> list[tuple[str | None, ...]]:
        kinds = [kind for _, kind in outputs]
        rows = self.run(self._text(rel, [i for i, _ in outputs]))
        return [tuple(shown(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in rows]

    def tried(self, rows: ir.Rel, calls: Sequence[Call]) -> list[list[tuple[str, Answer]]]:
        """For each call (id, value) of every row, REFUSED where Trino has an error for that row."""
        items: list[tuple[int, Scalar]] = [(0, self.id)]
        items += [(9000 + n, Call("tried", (call,), call.type)) for n, call in enumerate(calls)]
        found = self.run(self._text(ir.Project(rows, tuple(items)), [i for i, _ in items]))
        return [[(str(row[0]), _tried(row[n], call)) for row in found] for n, call in enumerate(calls, 1)]

    def chosen(self, rows: ir.Rel, calls: Sequence[Call]) -> list[set[str]]:
        """For each call the ids of the rows that it keeps as a filter."""
        texts = [self._text(ir.Project(ir.Filter(rows, (call,)), ((0, self.id),)), [0]) for call in calls]
        found: list[set[str]] = [set() for _ in calls]
        branches = (f"SELECT {n}, q.c0 FROM ({text}) AS q" for n, text in enumerate(texts))
        for number, row in self.run(" UNION ALL ".join(branches)):
            found[number].add(str(row))
        return found

    @property
    def id(self) -> Scalar:
        """The column `id`."""
        return ir.col((self.ids["id"], INT4))

    def _text(self, rel: ir.Rel, ids: Sequence[int]) -> str:
        target = SourceTarget(replace(self.cap, scalars=self.cap.scalars | _TRIED))
        text = target.finish(Emitter(target).query(rel, [(i, f"c{n}") for n, i in enumerate(ids)]))
        params = [v if isinstance(v, Bound) else LISTS[v.index] for v in text.params]  # type: ignore[union-attr]
        return text_of(text.parts, params)

    def run(self, text: str) -> list[list[Any]]:
        """Trino's rows as its protocol has them."""
        try:
            self.cursor.execute(text)
            return self.cursor.fetchall()  # type: ignore[no-any-return]
        except trino.exceptions.TrinoQueryError as error:
            raise Error(f"{error.error_name}: {error.message}", detail=text) from error


def _tried(value: list[Any] | None, call: Call) -> Answer:
    assert call.type is not None
    return REFUSED if value is None else shown(value[0], call.type)


def shown(value: Any, kind: PgType) -> str | None:
    """A value of Trino's protocol as PostgreSQL prints it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "t" if value else "f"
    match kind.name:
        case "date" | "timestamp" | "time":
            return _civil(str(value))
        case "timestamptz":
            return _instant(str(value))
        case "bytea":
            return "\\x" + base64.b64decode(value).hex()
        case _:
            return str(value)


def _civil(text: str) -> str:
    """Without zeros behind the second's point; years before Christ counted as PostgreSQL does."""
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if not text.startswith("-"):
        return text
    year, rest = text[1:].split("-", 1)
    return f"{int(year) + 1:04d}-{rest} BC"


def _instant(text: str) -> str:
    stamp, _, zone = text.rpartition(" ")
    if zone != "UTC":
        there = dt.datetime.fromisoformat(f"{stamp}{zone}")
        stamp = there.astimezone(dt.UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    made = _civil(stamp)
    return f"{made.removesuffix(' BC')}+00{' BC' if made.endswith(' BC') else ''}"


def _fits(name: str, value: str) -> bool:
    return not (name in ("date", "timestamp", "timestamptz") and "infinity" in value) and value != "24:00:00"


def _planted(name: str, at: int, value: str | None) -> str:
    """A value of the traps as a literal; every second instant lies in another zone than UTC."""
    declared = TRINO[name]
    if value is None:
        return f"CAST(NULL AS {declared})"
    if value.endswith(" BC"):
        value = f"-{int(value[:4]) - 1:04d}{value[4:-3]}"
    if name in ("timestamp", "timestamptz", "time", "date"):
        zone = " UTC" if name == "timestamptz" else ""
        plain = f"CAST({declared.split('(')[0]} '{value.removesuffix('+00')}{zone}' AS {declared})"
        return f"{plain} AT TIME ZONE '+05:30'" if zone and at % 2 and value[:4].isdigit() and value < "9999" else plain
    if name == "bytea":
        return f"X'{value[2:]}'"
    quoted = value.replace("'", "''")
    return f"CAST('{quoted}' AS {declared})" if name != "bool" else "true" if value == "t" else "false"


@contextlib.contextmanager
def site(server: TrinoServer, oracle: Oracle) -> Iterator[TrinoSite]:
    """A real Trino server with the traps in its memory."""
    held = traps.columns(TRINO)
    rows = traps.rows(held, far=True, fits=_fits)
    fill_canon(oracle, "trino", held, rows)
    with contextlib.closing(server.admin()) as connection:
        cursor = connection.cursor()
        cursor.execute(_made(held, rows))
        cursor.fetchall()
        cap = capability(Profile("trino"))
        assert cap is not None
        names = ["id", *(t.name for t in held)]
        kinds = [INT4, *(t.kind for t in held)]
        columns = tuple(Column(name, kind, collation=Collation.BYTES) for name, kind in zip(names, kinds, strict=True))
        there = Table("x", None, "traps", columns)
        table = SourceTable("x", "traps", tuple(zip(names, kinds, strict=True)), table=there)
        leaf = ir.Scan(table, tuple((n, n) for n in range(len(names))))
        ids = {name: n for n, name in enumerate(names)}
        yield TrinoSite("trino", cap, held, leaf, {n: Fact() for n in ids.values()}, oracle, ids=ids, cursor=cursor)


def _made(held: list[Trap], rows: list[tuple[str | None, ...]]) -> str:
    """The table out of each kind's pool of values: row r has the pool's value r % n, or r // n % n in column b."""
    items = ["CAST(r AS INTEGER) AS id"]
    for at, trap in enumerate(held, 1):
        if trap.name.endswith("_b"):
            continue
        pool = list(dict.fromkeys(row[at] for row in rows))
        listed = ", ".join(_planted(trap.value, n, value) for n, value in enumerate(pool))
        for name, place in ((f"{trap.value}_a", "r"), (f"{trap.value}_b", f"r / {len(pool)}")):
            items.append(f"element_at(ARRAY[{listed}], CAST({place} % {len(pool)} AS INTEGER) + 1) AS {name}")
    return f"CREATE TABLE traps AS SELECT {', '.join(items)} FROM UNNEST(sequence(0, {len(rows) - 1})) AS t(r)"
