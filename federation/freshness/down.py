"""What views allow while a source is down: `on_source_down`, put together for one statement and for its explanation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_

from federation.result import Part
from planner.plan import Plan
from views.catalog import Catalog, View

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Policy:
    """For one source: whether rows that were kept before may serve past their time (`stale`), and what then: `fail`,
    `nulls` (no row of the view is lost) or `partial` (rows are left out)."""

    stale: bool = False
    then: str = "fail"

    @classmethod
    def of(cls, ways: Iterable[str]) -> Policy:
        """As a view lists them, in order; what follows fail, nulls or partial is never reached."""
        stale = False
        for way in ways:
            if way != "stale":
                return cls(stale, way)
            stale = True
        return cls(stale)

    @property
    def ways(self) -> tuple[str, ...]:
        """As a view lists them."""
        return ("stale", self.then) if self.stale else (self.then,)

    def __and__(self, other: Policy) -> Policy:
        """What both allow."""
        return Policy(self.stale and other.stale, min(self.then, other.then, key=_STRICT.index))


_STRICT = ("fail", "partial", "nulls")  # of two different ones the first is the name of both
FAIL = Policy()
Ways = Mapping[str, frozenset[Policy | None]]


def policies(relations: Iterable[Key], catalog: Catalog) -> dict[str, Policy]:
    """For each source that is read where these relations are, and of which a view says something: what may be done
    while it is down.

    Along each way from the statement through views to a table of the source, every view that names the source has to
    allow it, and one has to name it; where there are several ways, all of them count.
    """
    known: dict[Key, Ways] = {}
    told: dict[str, set[Policy | None]] = {}
    for key in relations:
        for source, ways in _ways(key, catalog, known).items():
            told.setdefault(source, set()).update(ways)
    found = {source: [way or FAIL for way in ways] for source, ways in told.items() if ways != {None}}
    return {source: reduce(and_, ways) for source, ways in found.items()}


def _ways(key: Key, catalog: Catalog, known: dict[Key, Ways]) -> Ways:
    """By source, what the ways to its tables allow; None: nobody on the way says anything."""
    if key in known:
        return known[key]
    view = catalog.views.get(key)
    if view is None:
        table = catalog.tables.get(key)
        return {} if table is None else {table.table.source if table.table else key[0]: frozenset((None,))}
    found: dict[str, set[Policy | None]] = {}
    for below in view.depends:
        for source, ways in _ways(below, catalog, known).items():
            found.setdefault(source, set()).update(ways)
    own = {source: Policy.of(listed) for source, listed in view.on_source_down.items()}
    known[key] = {source: frozenset(_both(own.get(source), way) for way in ways) for source, ways in found.items()}
    return known[key]


def _both(a: Policy | None, b: Policy | None) -> Policy | None:
    return a & b if a is not None and b is not None else a or b


@dataclass(frozen=True, slots=True)
class Missing:
    """A source that an answer does without: `why` it is down, in words for people, and the policy that allows it."""

    source: str
    policy: str
    why: str


def parts(plan: Plan, missing: Iterable[Missing], readers: Mapping[str, tuple[str, ...]]) -> list[Part]:
    """What an answer says of each source that it does without."""
    tables = {left.source: left.tables for left in plan.left_out}
    return [
        Part(
            -1,
            one.source,
            "",
            cache="none",
            statements=0,
            origin="missing",
            why=one.why,
            policy=one.policy,
            tables=tables[one.source],
            views=readers.get(one.source, ()),
        )
        for one in missing
        if one.source in tables
    ]


def aside(views: Iterable[View]) -> tuple[Part, ...]:
    """What an answer says of each rule set whose decisions do not all serve: `tables` are those that do not."""
    return tuple(
        Part(
            -1,
            f"{view.schema}.{view.name}",
            "",
            cache="none",
            statements=0,
            origin="missing",
            why="; ".join(dict.fromkeys(why for _, why in view.aside)),
            policy="aside",
            tables=tuple(decision for decision, _ in view.aside),
            views=(f"{view.schema}.{view.name}",),
        )
        for view in views
        if view.aside
    )


def readers(relations: Iterable[Key], catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """For each source, the views of a statement over these relations that read it, directly or through others."""
    known: dict[Key, Ways] = {}
    found: dict[str, list[str]] = {}
    for view in catalog.views_behind(relations):
        for source in _ways(view.key, catalog, known):
            found.setdefault(source, []).append(f"{view.schema}.{view.name}")
    return {source: tuple(sorted(names)) for source, names in found.items()}
