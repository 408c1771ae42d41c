"""From text to a plan: what is known of a text, of its shape, and under which values a plan holds."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from cachetools import LRUCache

from connectors.base import Bound
from connectors.errors import QueryError
from federation import slots
from federation.canon.analyse import STANDARD, ZONE, reading
from federation.freshness.down import Missing
from federation.freshness.freshness import hint
from federation.session import Session
from federation.terms import Terms, made_of
from planner.plan import Copies, Plan
from planner.statement import Statement
from planner.values import Guard, Values, peculiar
from views.catalog import Catalog
from views.max_age import MaxAge

KEPT = 16 << 20  # characters of statements whose plans are kept, a small one counted as some thousand
SHAPES = 4_096
CHANGED = "cached plan must not change result type"
VARIANTS = 8  # plans of one shape that are kept for the values that they hold for
# A slot that PostgreSQL at once casts to something that a parameter cannot be bound as right away stays a literal.
_CAST = re.compile(r"vdw\.param\((\d+), NULL::[a-z0-9 ]+\)\)?::([a-z0-9 ]+)")
_WIDER = frozenset(("bigint", "numeric", "double precision", "text"))

Read = tuple[str, ...]
Planner = Callable[[Statement, Catalog, frozenset[str], Values, Copies, frozenset[str]], Plan]


class Analysing(Protocol):
    """`federation.canon.analyse.Analyser`: a statement as PostgreSQL understands it, and who may read what."""

    async def analyse(
        self,
        sql: str,
        search_path: tuple[str, ...],
        *,
        settings: Mapping[str, str],
        declared: Sequence[int],
        user: str | None,
    ) -> Statement:
        """The statement, or QueryError."""
        ...

    async def permit(self, user: str, relations: Sequence[tuple[str, str]]) -> None:
        """QueryError 42501 unless the user may read all of them."""
        ...

    def reset(self) -> None:
        """Another catalog serves from now on."""
        ...


@dataclass(slots=True)
class Counts:
    """What preparing has cost since the start: `asked` statements, of which `texts` and `shapes` were known;
    `analysed` texts and `planned` plans, of which `variants` were made because known ones did not fit the values."""

    asked: int = 0
    texts: int = 0
    shapes: int = 0
    analysed: int = 0
    planned: int = 0
    variants: int = 0


@dataclass(frozen=True, slots=True)
class _Variant:
    # plain and apart as in Values; copies that are read, and sources that are left out
    kind: tuple[bool, frozenset[int], Copies, frozenset[str]]
    guards: tuple[Guard, ...]
    wanted: bool
    plan: Plan
    terms: Terms
    ms: float


@dataclass
class Family:
    """All plans of one statement: each holds under its guards."""

    statement: Statement
    catalog: Catalog
    plan: Planner
    counts: Counts
    variants: list[_Variant] = field(default_factory=list)
    renewed: int = 0  # how often its plans were thrown away, because more is known of the data now

    def renew(self, catalog: Catalog) -> None:
        """Plan again with what is known by now; never over another catalog, for which it would be analysed anew."""
        if catalog.version != self.catalog.version:
            return
        self.catalog, self.renewed = catalog, self.renewed + 1
        self.variants.clear()
        self.__dict__.pop("anywhere", None)

    @cached_property
    def fingerprint(self) -> str:
        """Knows the statement again, whatever its literals and parameters are."""
        return hashlib.sha256(self.statement.text.encode()).hexdigest()[:16]

    @cached_property
    def named(self) -> tuple[str, ...]:
        """The relations that the statement names."""
        return tuple(f"{schema}.{name}" for schema, name in self.statement.relations)

    @cached_property
    def anywhere(self) -> Family:
        """The same where nothing is known of the session's time zone."""
        return Family(replace(self.statement, zone=""), self.catalog, self.plan, self.counts)

    def choose(
        self,
        params: Sequence[Bound | None],
        plain: bool = False,
        copies: Copies = (),
        absent: frozenset[str] = frozenset(),
    ) -> _Variant:
        """A plan for parameters of these values (None: not known yet); `plain` as in `Values`, `copies` and `absent` as
        in plan."""
        values = Values(params, plain=plain)
        kind = plain, values.apart, copies, absent
        known = all(param is not None for param in params)
        for variant in self.variants:
            if variant.kind == kind and not (known and variant.wanted) and values.hold(variant.guards):
                return variant
        values, began = Values(params, plain=plain), time.perf_counter()
        plan = self.plan(self.statement, self.catalog, frozenset(), values, copies, absent)
        self.counts.planned += 1
        self.counts.variants += bool(self.variants)
        terms = Terms.of(self.statement, plan, self.catalog)
        ms = (time.perf_counter() - began) * 1000
        made = _Variant(kind, tuple(values.guards), bool(values.wanted), plan, terms, ms)
        self.variants[:] = [made, *self.variants[: VARIANTS - 1]]
        return made


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that is ready to run, any number of times. `statement.params` are the client's parameters; the
    plan's are these and behind them the `slots`. `terms` is what the catalog says about the answer. The plan took
    `planning_ms` to make, and holds under its `guards`; it is `plain` as in `Values`, and does without what is
    `missing`. `max_age`: what the statement itself says of it."""

    statement: Statement
    plan: Plan
    terms: Terms
    family: Family
    slots: tuple[Bound, ...] = ()
    guards: tuple[Guard, ...] = ()
    planning_ms: float = 0.0
    wanting: bool = False
    renewed: int = 0
    max_age: MaxAge | None = None
    plain: bool = False
    missing: tuple[Missing, ...] = ()

    @property
    def version(self) -> str:
        """That of the catalog over which it was prepared."""
        return self.family.catalog.version

    @property
    def absent(self) -> frozenset[str]:
        """The sources that are left out."""
        return frozenset(one.source for one in self.missing)

    def given(self, params: Sequence[Bound]) -> Sequence[Bound]:
        """The values of all of the plan's parameters; QueryError 08P01 where the client gave too few."""
        wanted = len(self.statement.params)
        if len(params) < wanted:
            message = f"bind message supplies {len(params)} parameters, but the statement requires {wanted}"
            raise QueryError(message, sqlstate="08P01")
        return (*params[:wanted], *self.slots) if self.slots else params

    def for_values(self, params: Sequence[Bound], session: Session) -> Prepared:
        """The same statement under the plan that suits these parameters of the client's best."""
        settled = not self.wanting and self.renewed == self.family.renewed and not any(map(peculiar, params))
        if settled and self.statement.zone in ("", zone_of(session)):  # else SET TimeZone came after it was prepared
            return self
        return self._under(params, session)

    def plainly(self, params: Sequence[Bound], session: Session) -> Prepared:
        """The same statement with nothing computed or read before its fragments."""
        return replace(self, plain=True)._under(params, session)

    def reading(self, copies: Copies, params: Sequence[Bound], session: Session) -> Prepared:
        """The same statement over these copies in place of their originals."""
        if copies == self.plan.copies:
            return self
        return self._under(params, session, copies)

    def without(self, missing: Missing, params: Sequence[Bound], session: Session) -> Prepared:
        """The same statement with the tables of one more source taken as empty."""
        return replace(self, missing=(*self.missing, missing))._under(params, session)

    def _under(self, params: Sequence[Bound], session: Session, copies: Copies | None = None) -> Prepared:
        family = self.family if self.statement.zone in ("", zone_of(session)) else self.family.anywhere
        copies = self.plan.copies if copies is None else copies
        found = family.choose(self.given(params), self.plain, copies, self.absent)
        return replace(
            self,
            plan=found.plan,
            terms=found.terms,
            guards=found.guards,
            planning_ms=found.ms,
            wanting=False,
            renewed=self.family.renewed,
        )


class Preparer:
    """Prepares statements over one catalog after another; who may read them is not its business."""

    def __init__(self, analyser: Analysing, plan: Planner, catalog: Catalog) -> None:
        self.catalog = catalog
        self.counts = Counts()
        self._analyser = analyser
        self._plan = plan
        self._texts: LRUCache[tuple[object, ...], Prepared] = LRUCache(KEPT, _weight)
        self._families: LRUCache[tuple[object, ...], Family] = LRUCache(KEPT, _family_weight)
        self._literal: LRUCache[tuple[object, ...], frozenset[int] | None] = LRUCache(SHAPES)

    async def prepare(self, sql: str, session: Session, declared: Sequence[int] = ()) -> Prepared:
        """The statement, analysed and planned; QueryError as PostgreSQL would give it. `declared` are the oids of the
        parameters' types that the client fixed (0: open)."""
        self.counts.asked += 1
        read = reading(session.search_path, session.settings)
        key = (sql, read, tuple(declared), self._version)
        prepared = self._texts.get(key)
        if prepared is not None and prepared.renewed == prepared.family.renewed:
            self.counts.texts += 1
        else:
            prepared = await self._shaped(sql, session, read, declared)
            if prepared is None:
                prepared = self.planned(await self._analysed(sql, session, declared))
            prepared = hinted(prepared, sql, read[STANDARD] != "off")
            if not (prepared.statement.fleeting or prepared.statement.session):
                self._texts[key] = prepared
        return prepared

    @property
    def _version(self) -> tuple[str, int]:
        """What plans are made for; statistics that are only fresher leave them alone."""
        return self.catalog.version, self.catalog.statistics.epoch

    def planned(self, statement: Statement) -> Prepared:
        """A statement that is analysed already."""
        return self._prepared(self._family(statement), ())

    async def anew(self, prepared: Prepared, session: Session) -> Prepared:
        """A statement of a former catalog over the present one; QueryError 0A000 where its columns are others now."""
        former, hint = prepared.family.statement, "The project was reloaded: prepare the statement again."
        if former.session or former.fleeting:
            raise QueryError(CHANGED, sqlstate="0A000", hint=hint)
        types = [kind.type_oid for kind in former.params]
        statement = await self._analysed(former.sql, session, types)
        if statement.columns != former.columns or statement.params != former.params:
            raise QueryError(CHANGED, sqlstate="0A000", hint=hint)
        return replace(self._prepared(self._family(statement), prepared.slots), max_age=prepared.max_age)

    def fits(self, prepared: Prepared) -> bool:
        """Whether a statement may run as it was prepared. One that only its session can read need not be of the present
        catalog, if nothing that it reads is another there."""
        if prepared.version == self.catalog.version:
            return True
        former = prepared.family.statement
        if not (former.session or former.fleeting):
            return False
        return made_of(former, prepared.plan, self.catalog) == made_of(former, prepared.plan, prepared.family.catalog)

    async def _shaped(self, sql: str, session: Session, read: Read, declared: Sequence[int]) -> Prepared | None:
        """By the statement's shape; None where it has none, or where only PostgreSQL can read its literals."""
        shape = slots.shape(sql, len(declared)) if read[STANDARD] != "off" else None
        if shape is None:
            return None
        key = (shape.text, read, tuple(declared), self._version)
        if key not in self._literal:
            self._literal[key] = await self._learned(shape, session, declared, _utc(read))
        kept = self._literal[key]
        if kept is None or len(kept) == len(shape.slots):
            return None
        if kept:
            shape = shape.without(sql, kept)
            key = (shape.text, *key[1:])
        family = self._families.get(key)
        if family is None:
            try:
                family = self._family(await self._analysed(shape.text, session, shape.declared(declared)))
            except QueryError:
                return None  # told again of the text itself
            self._families[key] = family
        else:
            self.counts.shapes += 1
        kinds = family.statement.params[shape.own :]
        values = [slots.bound(slot, kind, _utc(read)) for slot, kind in zip(shape.slots, kinds, strict=True)]
        found = tuple(value for value in values if value is not None)
        return self._prepared(family, found) if len(found) == len(values) else None

    async def _learned(
        self, shape: slots.Shape, session: Session, declared: Sequence[int], utc: bool
    ) -> frozenset[int] | None:
        """Which of the shape's slots have to stay literals; None where it cannot be analysed as a shape."""
        try:
            statement = await self._analysed(shape.text, session, shape.declared(declared))
        except QueryError:
            return None
        if statement.session or statement.fleeting or len(statement.params) != shape.own + len(shape.slots):
            return None
        kinds = statement.params[shape.own :]
        narrow = {int(n) - 1 - shape.own for n, kind in _CAST.findall(statement.text) if kind not in _WIDER}
        return frozenset(at for at, kind in enumerate(kinds) if at in narrow or not slots.readable(kind, utc))

    async def _analysed(self, sql: str, session: Session, declared: Sequence[int]) -> Statement:
        self.counts.analysed += 1
        path, settings = session.search_path, session.settings
        return await self._analyser.analyse(sql, path, settings=settings, declared=declared, user=None)

    def _family(self, statement: Statement) -> Family:
        if statement.session or statement.fleeting:
            return Family(statement, self.catalog, self._plan, self.counts)
        key = (statement.text, statement.columns, statement.params, statement.zone, self._version)
        family = self._families.get(key)
        if family is None:
            family = self._families[key] = Family(statement, self.catalog, self._plan, self.counts)
        return family

    def _prepared(self, family: Family, values: tuple[Bound, ...]) -> Prepared:
        statement = family.statement
        own = len(statement.params) - len(values)
        found = family.choose((*([None] * own), *values))
        if values:
            statement = replace(statement, params=statement.params[:own])
        return Prepared(
            statement, found.plan, found.terms, family, values, found.guards, found.ms, found.wanted, family.renewed
        )


def hinted(prepared: Prepared, sql: str, standard: bool) -> Prepared:
    """The statement with what a comment of its text says of its answer's age; QueryError 22023."""
    said = hint(sql, standard)
    return prepared if said is None else replace(prepared, max_age=said)


def zone_of(session: Session) -> str:
    """The session's time zone."""
    return reading((), session.settings)[ZONE]


def _utc(read: Read) -> bool:
    return read[ZONE].upper() in ("UTC", "ETC/UTC", "GMT")


def _weight(prepared: Prepared) -> int:
    return 4096 + len(prepared.statement.text)


def _family_weight(family: Family) -> int:
    return 8192 + len(family.statement.text)
