"""On which side a source's tables are read: where they are, or in a copy that is young enough for whoever asks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from connectors.base import Bound
from connectors.errors import Error, LimitExceeded, SourceError
from federation.freshness.age import Ages, Word
from federation.freshness.contract import SLACK, Contract
from federation.freshness.freshness import TOO_OLD, bounded, spoken
from planner.plan import Copies, Plan
from views.catalog import Catalog

if TYPE_CHECKING:
    from federation.prepare import Prepared
    from federation.session import Session

Key = tuple[str, str]


async def choose(
    prepared: Prepared, params: Sequence[Bound], session: Session, contract: Contract, ages: Ages
) -> Prepared:
    """The statement over copies, where the asker's contract lets these in: all tables that it reads of one source are
    read in one other, or where they are, so that they are of one moment."""
    chosen: Copies = ()
    for original, candidates in _candidates(prepared.plan, prepared.family.catalog):
        for pairs in candidates:
            if await _young(original, pairs[0][1][0], prepared.family.catalog, contract, ages):
                chosen += pairs
                break
    found = prepared.reading(chosen, params, session)
    live = {original for (original, _), _ in chosen}
    if live.isdisjoint(fragment.source for fragment in found.plan.fragments):
        return found
    return prepared.reading((), params, session)  # another plan reads more tables, and of these there is no copy


async def nearest(error: SourceError, plan: Plan, catalog: Catalog, contract: Contract, ages: Ages) -> Error:
    """What to say where a source is down and copies of it are too old: how old the best of them is."""
    if not error.sqlstate.startswith(("08", "57P")):
        return error
    for original, candidates in _candidates(plan, catalog):
        allowed = contract.allowed.of(original)
        if original != error.source or allowed is None:
            continue
        words = [(await ages.word(pairs[0][1][0], catalog.edition(pairs[0][1][0])), pairs) for pairs in candidates]
        known = [(word.moment, pairs) for word, pairs in words if word.moment is not None]
        if known:
            moment, pairs = max(known)
            age = spoken(contract.asked - moment)
            names = ", ".join(f"{source}.{table}" for _, (source, table) in pairs)
            message = f"source {original} is down, the best copy of it ({names}) is {age} old, and it may be "
            message += bounded(allowed)
            return LimitExceeded(message, sqlstate=TOO_OLD, detail=error.message, hint="Allow more, or try again.")
    return error


def _candidates(plan: Plan, catalog: Catalog) -> Iterable[tuple[str, list[Copies]]]:
    """For each source of which a plan reads tables, the sources that have copies of all these, those that are made for
    large scans first."""
    standing = {copy: original for original, copy in plan.copies}
    read: dict[str, set[Key]] = {}
    for fragment in plan.fragments:
        for table in fragment.tables:
            key = (fragment.source, table)
            original = standing.get(key, key)
            read.setdefault(original[0], set()).add(original)
    for source, tables in sorted(read.items()):
        found = [
            pairs
            for name, other in sorted(catalog.sources.items(), key=lambda item: (item[1].operational, item[0]))
            if not other.fault and (pairs := _pairs(tables, name, catalog))
        ]
        if found:
            yield source, found


def _pairs(tables: Iterable[Key], source: str, catalog: Catalog) -> Copies:
    """These tables with their copies in that source; () unless it has all."""
    pairs: list[tuple[Key, Key]] = []
    for table in sorted(tables):
        copies = [copy for copy in catalog.copies.get(table, ()) if copy[0] == source]
        if not copies:
            return ()
        pairs.append((table, copies[0]))
    return tuple(pairs)


async def _young(original: str, source: str, catalog: Catalog, contract: Contract, ages: Ages) -> bool:
    """Whether copies in that source may stand for tables of the original."""
    allowed = contract.allowed.of(original)
    if allowed is None or contract.allowed.kept:
        return False
    bound = contract.allowed.within((original, source))
    if math.isinf(bound):
        return True
    word: Word = await contract.word(source, catalog.edition(source), bound, ages)
    return word.moment is not None and contract.met(word.moment, bound, SLACK)
