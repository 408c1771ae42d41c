"""The probe itself: what a source's dialect may compute as PostgreSQL does, claim by claim, on the source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pyarrow as pa

from api.formats import SETTINGS
from api.pgwire.rows import text_columns
from api.probe.derived import BOOL, Derived, final
from api.probe.kinds import Kind, kinds
from api.probe.oracle import Oracle, Row
from api.probe.scalars import FIRST, try_scalars
from api.probe.sets import try_sets
from api.probe.verdicts import PROVEN, REFUTED, UNTRIED, Verdicts
from connectors.base import Collation, Profile, SourceQuery, Table
from connectors.capability import Capability, candidates, claims
from connectors.errors import Error, SourceError
from planner import ir
from planner.scalar import Call

MOST = 1000  # statements
CONDITIONS = "conditions"  # as a claim: conditions are no values there
SPELLED = "its values are texts there, in any spelling"
Send = Callable[[SourceQuery], Sequence[pa.RecordBatch]]


class NoneLeft(Error):
    """So many statements were not to be sent."""


@dataclass(slots=True)
class Asker:
    """Sends statements, at most so many; without `send`, none: each is taken to answer as it should. `told` hears of
    each before it goes."""

    send: Send | None
    most: int = MOST
    told: Callable[[int, SourceQuery], None] = lambda _number, _query: None
    count: int = 0

    def __call__(self, query: SourceQuery, dry: Callable[[], list[Row]]) -> list[Row]:
        """The rows as PostgreSQL's texts."""
        if self.count >= self.most:
            raise NoneLeft(f"{self.most} statements were sent")
        self.count += 1
        self.told(self.count, query)
        if self.send is None:
            return dry()
        columns = [(f"c{n}", kind) for n, kind in enumerate(query.columns)]
        return [row for batch in self.send(query) for row in _texts(batch, columns)]


def _texts(batch: pa.RecordBatch, columns: Any) -> Iterator[Row]:
    return zip(*text_columns(batch, columns, SETTINGS), strict=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a probe found of a source."""

    profile: Profile
    seed: int
    statements: int
    types: tuple[str, ...]  # names of the source's types that were tried
    missing: dict[str, str]  # those that were not, and why
    proven: tuple[str, ...]
    refuted: dict[str, str] = field(default_factory=dict)
    untried: dict[str, str] = field(default_factory=dict)


def probe(
    profile: Profile,
    tables: Sequence[Table],
    connection: psycopg.Connection[Any],
    asker: Asker,
    seed: int = 0,
    table: Capability | None = None,
) -> Outcome:
    """Try every candidate of the profile's dialect (or of `table`). `connection` is to the canon, for us alone; errors
    are those of a source that cannot be reached, or refuses us."""
    table = table or candidates(profile.dialect)
    verdicts = Verdicts()
    verdicts.expect(claims.claims(table))
    site = Derived(table, Oracle(connection), asker, seed)
    taken: list[Kind] = []
    missing: dict[str, str] = {}
    try:
        for kind in kinds(tables, profile.dialect):
            why = missing.get(kind.tried) or (site.add(kind) if kind.sql else SPELLED)
            if why:
                missing[kind.tried] = why
            else:
                taken.append(kind)
        for kind in taken:
            if kind.tried in missing:  # of which another kind of values is at fault
                site.drop(kind)
            elif kind.pool == "text" and kind.collation is Collation.LOOSE and ("=", "text", "text") in table.scalars:
                site.look(kind)
        _manner(site)
        if any(trap.kind.name.startswith("int") for trap in site.held):
            try_scalars(site, verdicts)
            try_sets(site, verdicts)
    except NoneLeft:
        verdicts.stopped = True
    manner = (CONDITIONS,) if CONDITIONS in site.cap.features - table.features else ()
    return Outcome(
        replace(profile, claims=()),
        seed,
        asker.count,
        tuple(sorted({kind.tried for kind in taken} - missing.keys())),
        missing,
        tuple(sorted((*verdicts.all(PROVEN), *manner))),
        verdicts.all(REFUTED),
        verdicts.all(UNTRIED),
    )


def _manner(site: Derived) -> None:
    """Whether a condition may stand as a value; where not, one is made of it."""
    if not site.held or CONDITIONS in site.cap.features:
        return
    number = site.column(site.held[0].name)
    rows = site.rows([site.held[0].name])
    test = Call("is null", (number,), BOOL)
    try:
        site.ask(ir.Project(rows.rel, ((FIRST, test),)), [(FIRST, BOOL)])
    except SourceError as error:
        if final(error):
            raise
        site.cap = replace(site.cap, features=site.cap.features | {CONDITIONS})
