"""What sources are, as they told it: noticed when it changes, and said in words for those who look."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from connectors.base import Collation, Connector, Profile, Table
from connectors.errors import Error
from connectors.link import Link, look
from connectors.statistics import TableStatistics
from federation.gate.gates import Gates
from federation.gate.patience import patiently
from views.catalog import Catalog, Source

PATIENCE = 20.0  # seconds that one source may take to tell
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of a source, of one of its relations, or of a column. `value` None: it is not known, and what would
    follow from it is not done."""

    source: str
    relation: str | None
    column: str | None
    name: str
    value: str | None


def told(profile: Profile, tables: Iterable[Table]) -> str:
    """A mark of all that a source told of itself: another one when it is another. Counts of rows, which change all the
    time, are no part of it."""
    lasting = sorted((replace(table, row_count=None) for table in tables), key=lambda t: (t.schema or "", t.name))
    known = profile.engine, profile.version, sorted(profile.facts.items()), profile.dialect
    return hashlib.sha256(repr((known, lasting)).encode()).hexdigest()[:16]


def altered(connectors: Mapping[str, Connector]) -> tuple[str, ...]:
    """Sources behind which another server answers than the one that told its facts, as a new connection showed."""
    return tuple(name for name, one in connectors.items() if getattr(one, "altered", False))


async def others(
    catalog: Catalog,
    connectors: Mapping[str, Connector],
    exposed: Mapping[str, tuple[Sequence[str], Sequence[str]]],
    names: Collection[str],
    gates: Gates,
) -> tuple[str, ...]:
    """Those of the sources that tell something else now than the catalog has; `exposed` says of which schemas and
    tables they are asked. What does not answer is as it was."""
    asked = [name for name in names if name in exposed and name in connectors and not catalog.sources[name].fault]
    found = await asyncio.gather(*(_other(catalog.sources[n], connectors[n], exposed[n], gates) for n in asked))
    return tuple(name for name, is_other in zip(asked, found, strict=True) if is_other)


async def _other(
    source: Source, connector: Connector, exposed: tuple[Sequence[str], Sequence[str]], gates: Gates
) -> bool:
    try:
        mark = await patiently(partial(_asked, connector, *exposed), PATIENCE, gates.of(source.name), "facts")
    except (Error, TimeoutError) as error:
        log.info("source %s: its facts cannot be read again: %s", source.name, error)
        return False
    return mark != source.told


def _asked(connector: Connector, schemas: Sequence[str], tables: Sequence[str]) -> str:
    mark = told(connector.profile(), connector.tables(tuple(schemas), tuple(tables)))
    look(connector)
    return mark


def facts(catalog: Catalog, name: str, connector: Connector | None = None) -> Iterator[Fact]:
    """All that is known of a source, and what of the usual is not."""
    source = catalog.sources[name]
    profile = source.profile
    say = partial(Fact, name, None, None)
    yield say("engine", profile.engine if profile else None)
    yield say("version", ".".join(map(str, profile.version)) or None if profile else None)
    known = dict.fromkeys(USUAL) | dict(profile.facts if profile else {})
    yield from (say(key, _word(value)) for key, value in sorted(known.items()))
    yield from (say(key, value) for key, value in of_link(getattr(connector, "linked", None)).items())
    if profile is not None and profile.claims:
        yield say("claims", str(len(profile.claims)))
    for key, relation in sorted(catalog.tables.items()):
        if key[0] == name and relation.table is not None:
            yield from _of_table(relation.key[1], relation.table, catalog.statistics.tables.get(key), name)


def of_link(link: Link | None) -> dict[str, str | None]:
    """How a source is reached, in words; {} of one that does not tell."""
    if link is None:
        return {}
    used = link.encryption
    return {
        "tls": None if used is None else str(used),
        "certificate": None if used is None or used.until is None else f"valid until {used.until:%Y-%m-%d %H:%M} UTC",
        "clock": None if link.skew is None else f"{said(link.skew, link.doubt)} (± {link.doubt:.4f} s)",
        "round trip": f"{link.round_trip * 1000:.1f} ms",
    }


def said(skew: float, doubt: float) -> str:
    """How far a source's clock is from ours.

    >>> said(0.001, 0.002), said(-3600.0, 0.01)
    ('as ours', '3600.000 s behind ours')
    """
    if abs(skew) <= doubt:
        return "as ours"
    return f"{abs(skew):.3f} s {'ahead of' if skew > 0 else 'behind'} ours"


USUAL = ("replica", "read_only_login")  # that every source is asked for


def _of_table(shown: str, table: Table, statistics: TableStatistics | None, name: str) -> Iterator[Fact]:
    say = partial(Fact, name, shown, None)
    yield say("rows", None if statistics is None else f"{statistics.rows.likely:.0f}")
    yield say("statistics", None if statistics is None else _analysed(statistics))
    yield say("keys", _lists(table.keys))
    yield say("indexes", _lists(table.indexes))
    yield say("foreign keys", _lists(key.columns for key in table.foreign_keys if key.enforced))
    yield say("partitions", str(table.partitions) if table.partitions else None)
    for column in table.columns:
        of = partial(Fact, name, shown, column.name)
        yield of("type", column.native or column.type.sql)
        if column.type.name in ("text", "varchar", "bpchar"):
            yield of("collation", column.collated or None)
            yield of("compares", COMPARES[column.collation])


COMPARES = {
    Collation.BYTES: "byte by byte",
    Collation.EQUAL: "equal byte by byte, in an order of its own",
    Collation.LOOSE: "in a way of its own",
}


def _analysed(statistics: TableStatistics) -> str:
    if statistics.exact:
        return "of all rows"
    return f"of a sample of {statistics.sample:.0f}" if statistics.sample else "guessed"


def _lists(keys: Iterable[Sequence[str]]) -> str | None:
    return "; ".join(", ".join(key) for key in keys) or None


def _word(value: Any) -> str | None:
    match value:
        case None | "":
            return None
        case bool():
            return "yes" if value else "no"
        case tuple() | list() | frozenset():
            return ", ".join(map(str, value)) or None
        case _:
            return str(value)
