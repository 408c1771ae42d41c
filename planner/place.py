"""Cuts the statement: the largest parts that one source computes exactly become fragments, the rest stays here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeGuard

from connectors.base import Collation
from connectors.capability import Capability, V, capability
from planner import ir
from planner import scalar as sc
from planner.estimate import Estimator
from planner.ir import Rel
from planner.joining import Side, hoistable, multiplies, renamed, swells
from planner.plan import Verdict
from planner.prove import Fact, Facts, coarser, prove, prove_aggregate, prove_key, weaken
from planner.scalar import Call, Col, KeyIn, Lit, Param, Scalar
from planner.show import show
from planner.windows import ranking
from views.catalog import Catalog, Source


@dataclass(frozen=True, slots=True)
class Placed:
    """A relation, and the source that computes all of it, or None where parts of it run here.

    `pending`: what the source does not compute exactly, to be checked over its rows; joins may still go there below
    it. `apart`: the two sides of a join at the top, which may be fetched each on its own instead.
    """

    rel: Rel
    site: str | None = None
    facts: Facts = field(default_factory=dict)
    notes: tuple[Verdict, ...] = ()
    pending: tuple[Scalar, ...] = ()
    apart: Apart | None = None


@dataclass(frozen=True, slots=True)
class Apart:
    """A join whose sides are `left` and `right`, and the projection over it, if there is one."""

    join: ir.Join
    left: Placed
    right: Placed
    items: tuple[tuple[int, Scalar], ...] | None = None


class Placer:
    """Places one statement over a catalog; numbers of rows decide only between places that are equally right."""

    def __init__(self, catalog: Catalog, estimator: Estimator) -> None:
        self.catalog = catalog
        self.estimator = estimator
        self.names: dict[int, str] = {}

    def show(self, e: Scalar) -> str:
        """A scalar in the words of the sources' columns."""
        return show(e, self.names)

    def run(self, rel: Rel) -> Rel:
        """The statement with its fragments as Cut nodes; a Cut at the top is the whole answer."""
        placed = self._place(rel)
        return placed.rel if placed.site is None else self._cut(placed, keep_order=True)

    # -- one node

    def _place(self, rel: Rel) -> Placed:
        return self._settle(self.open(rel))

    def open(self, rel: Rel) -> Placed:
        """The relation placed, with predicates pending over it: for what may still go to the source below them."""
        placed = self._one(rel)
        if placed.site is None:
            return Placed(ir.map_subs(placed.rel, self.run_sub))
        return placed

    def _settle(self, placed: Placed) -> Placed:
        """The same with nothing pending."""
        return Placed(self._fetched(placed)) if placed.pending else placed

    def _fetched(self, placed: Placed) -> Rel:
        """The relation here: cut off where a source computes it, what is pending checked over its rows."""
        if placed.site is None:
            return placed.rel
        return ir.Filter(self._cut(placed), placed.pending) if placed.pending else self._cut(placed)

    def _one(self, rel: Rel) -> Placed:
        match rel:
            case ir.Scan():
                return self._scan(rel)
            case ir.Filter():
                return self._filter(rel)
            case ir.Project():
                return self._project(rel)
            case ir.Join():
                return self._join(rel)
            case ir.Aggregate():
                return self._aggregate(rel)
            case ir.Distinct():
                return self._distinct(rel)
            case ir.SetOp():
                return self._set_operation(rel)
            case ir.Sort():
                return self._sort(rel)
            case ir.Limit():
                return self._limit(rel)
            case _:
                return self._here(rel)

    def run_sub(self, rel: Rel) -> Rel:
        """A sub-query of a scalar that runs here."""
        return rel if _has_cut(rel) else self.run(rel)

    def _here(self, rel: Rel) -> Placed:
        """Not for a source: the inputs are cut off below."""
        return Placed(ir.with_inputs(rel, tuple(self._settled(branch) for branch in ir.inputs(rel))))

    def _settled(self, rel: Rel) -> Rel:
        placed = self._place(rel)
        return placed.rel if placed.site is None else self._cut(placed)

    def _cut(self, placed: Placed, keep_order: bool = False) -> Rel:
        """The fragment; an order that only merged rows would lose again is not asked of the source.

        Two fragments and a join here, where the sides are so much narrower or shorter than what they join to.
        """
        rel, site = placed.rel, placed.site or ""
        apart = placed.apart
        if apart is not None:
            left, right = (Side(side.rel, side.pending) for side in (apart.left, apart.right))
            if swells(placed.rel, apart.join, left, right, self.estimator):
                return self._sides(apart)
        if keep_order and not self._orderly(site):
            return self._resorted(placed)
        if not keep_order:
            if isinstance(rel, ir.Sort):
                return ir.Sort(self._cut(Placed(rel.input, site, placed.facts, placed.notes)), rel.keys)
            if isinstance(rel, ir.Project) and isinstance(rel.input, ir.Sort):
                return ir.Project(self._cut(Placed(rel.input, site, placed.facts, placed.notes)), rel.items)
        known = tuple((i, kind) for i, kind in ir.output(rel) if kind is not None)
        return ir.Cut(site, rel, known, placed.notes)

    def _orderly(self, site: str) -> bool:
        cap = self._capability(site)
        return cap is None or cap.orderly

    def _resorted(self, placed: Placed) -> Rel:
        """The fragment of an engine whose answers may come in another order than they were found in, sorted here."""
        rel = placed.rel
        if isinstance(rel, ir.Project) and isinstance(rel.input, ir.Limit):
            return ir.Project(self._resorted(replace(placed, rel=rel.input)), rel.items)
        if isinstance(rel, ir.Limit) and isinstance(rel.input, ir.Sort):
            return ir.Sort(self._cut(placed), rel.input.keys)
        if isinstance(rel, ir.Limit) and isinstance(rel.input, ir.Project):
            return ir.with_inputs(rel, (self._resorted(replace(placed, rel=rel.input)),))
        return self._cut(placed)

    def _sides(self, apart: Apart) -> Rel:
        join, note = apart.join, Verdict("join", "NO", "its rows are more to send than those of both sides")
        left, right = (self._fetched(replace(side, notes=(*side.notes, note))) for side in (apart.left, apart.right))
        joined = replace(join, left=left, right=right)
        return joined if apart.items is None else ir.Project(joined, apart.items)

    def _capability(self, site: str) -> Capability | None:
        profile = self.source(site).profile
        return capability(profile) if profile is not None else None

    def source(self, site: str) -> Source:
        """The source of that name."""
        return self.catalog.sources[site]

    # -- nodes that a source may compute

    def _scan(self, rel: ir.Scan) -> Placed:
        table = rel.table.table
        if table is None:
            raise TypeError(f"{rel.table.schema}.{rel.table.name} has no source table")
        facts = {}
        for i, at in rel.columns:
            column = table.columns[at]
            self.names[i] = f"{table.name}.{column.name}"
            text = column.type.name in ("text", "varchar", "bpchar")
            facts[i] = Fact(column.exact, column.collation if text else Collation.BYTES, unfit=column.unfit)
        return Placed(rel, table.source, facts)

    def _filter(self, rel: ir.Filter) -> Placed:
        below = self._ranked(rel) or self.open(rel.input)
        cap = self._capability(below.site) if below.site else None
        if below.site is None or cap is None:
            return Placed(ir.Filter(self._fetched(below), _without_keys(rel.predicates)))
        pushed, stay, waits, notes = self._split(rel.predicates, cap, below.facts)
        if isinstance(below.rel, ir.Limit) or (pushed and _bounded(below.rel)):
            return Placed(ir.Filter(self._fetched(below), _without_keys(rel.predicates)))
        under = replace(below, notes=(*below.notes, *notes))
        if pushed:
            under = replace(under, rel=ir.Filter(below.rel, pushed), apart=None)
        if waits:
            return replace(under, pending=(*below.pending, *stay))
        return Placed(ir.Filter(self._cut(under), (*under.pending, *stay)))

    def _ranked(self, rel: ir.Filter) -> Placed | None:
        """A window below that only ranks, of which the filter wants the first: the rest need not be sent."""
        if not isinstance(rel.input, ir.Window) or not any(_first_of(p, rel.input) for p in rel.predicates):
            return None
        below = self._place(rel.input.input)
        cap = self._capability(below.site) if below.site else None
        if cap is None or "ranks" not in cap.features or _bounded(below.rel):
            return None
        for _, e in rel.input.items:
            found, args = ranking(e), sc.children(e)
            if found is None:
                return None
            keys = [(args[at], "keys") for at in found.partition]
            keys += [(args[at], "order") for at, _, _ in found.order]
            if any(prove_key(arg, cap, below.facts, table).verdict is not V.EXACT for arg, table in keys):
                return None
        facts = {**below.facts, **{i: Fact() for i, _ in rel.input.items}}
        notes = (*below.notes, *(Verdict(self.show(e), "EXACT") for _, e in rel.input.items))
        return Placed(ir.Window(_unsorted(below.rel), rel.input.items), below.site, facts, notes)

    def _split(
        self, predicates: tuple[Scalar, ...], cap: Capability, facts: Facts
    ) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...], bool, tuple[Verdict, ...]]:
        """What goes down, what is checked here, whether all of that may wait until after a join, and the verdicts."""
        pushed: list[Scalar] = []
        stay: list[Scalar] = []
        notes: list[Verdict] = []
        waits = True
        for p in predicates:
            proof = prove(p, cap, facts, condition=True)
            if isinstance(p, KeyIn):
                pushed += [p] if proof.verdict is not V.NO else _provable(p, cap, facts)
                continue
            weaker = weaken(p, cap, facts) if proof.verdict is V.NO else p
            if weaker is not None:
                pushed.append(weaker)
            if proof.verdict is not V.EXACT or weaker is not p:
                stay.append(p)
                waits = waits and hoistable(p)
            verdict = proof.verdict.name if weaker is p else "SUPERSET" if weaker is not None else "NO"
            notes.append(Verdict(self.show(p), verdict, proof.reason))
        return tuple(pushed), tuple(stay), waits, tuple(notes)

    def _project(self, rel: ir.Project) -> Placed:
        below = self.open(rel.input)
        cap = self._capability(below.site) if below.site else None
        pending = renamed(below.pending, rel.items)
        if below.site is None or not rel.items or pending is None:
            return Placed(ir.Project(self._fetched(below), rel.items))
        facts: dict[int, Fact] = {}
        for i, e in rel.items:
            if isinstance(e, Col) and e.id in below.facts:
                facts[i] = below.facts[e.id]
                self.names[i] = self.names.get(e.id, f"c{e.id}")
                continue
            # A bare constant or parameter is not worth a round trip through a source's types.
            proof = prove(e, cap, below.facts) if cap is not None and not isinstance(e, Lit | Param) else None
            if proof is None or proof.verdict is not V.EXACT or e.type is None:
                why = proof.reason if proof is not None else "a constant"
                noted = replace(below, notes=(*below.notes, Verdict(self.show(e), "NO", why)))
                return Placed(ir.Project(self._fetched(noted), rel.items))
            facts[i] = proof.fact
        apart = replace(below.apart, items=rel.items) if below.apart and below.apart.items is None else None
        return Placed(ir.Project(below.rel, rel.items), below.site, facts, below.notes, pending, apart)

    def _join(self, rel: ir.Join) -> Placed:
        left = self._place(rel.left) if rel.kind == "full" else self.open(rel.left)
        right = self.open(rel.right) if rel.kind == "inner" else self._place(rel.right)
        joined = self.join(rel, left, right)
        if isinstance(joined, Placed):
            return joined
        shown = self.show(sc.conjoin((*rel.on, *rel.compare)))
        note = Verdict(f"{'join' if rel.widens else rel.kind + ' join'} {shown}", "NO", joined)
        a, b = (self._fetched(replace(p, notes=(*p.notes, note))) for p in (left, right))
        return Placed(replace(rel, left=a, right=b, on=_without_keys(rel.on)))

    def join(self, rel: ir.Join, left: Placed, right: Placed) -> Placed | str:
        """The join of both sides at their source, or why it does not run at one."""
        if left.site is None or left.site != right.site:
            return "the sides are of different sources"
        cap = self._capability(left.site)
        reason = "nothing is known of the engine" if cap is None else _unfit(rel, left, right, cap)
        if cap is None or reason:
            return reason
        facts = {**left.facts, **right.facts}
        later: list[Scalar] = []
        rel = replace(rel, on=_without_keys(rel.on))
        for p in (*rel.on, *rel.compare):
            proof = prove(p, cap, facts, condition=True)
            if proof.verdict is V.EXACT:
                continue
            if rel.kind != "inner" or not hoistable(p):
                return f"{self.show(p)}: {proof.reason}"
            later.append(p)
        exact = tuple(p for p in rel.on if p not in later)
        joined = replace(rel, left=left.rel, right=right.rel, on=exact)
        if rel.widens and multiplies(joined, self.estimator):
            return "neither side is unique in the join's columns: the source might send more rows than both sides have"
        notes = (*left.notes, *right.notes, *(Verdict(self.show(p), "EXACT") for p in (*exact, *rel.compare)))
        pending = (*left.pending, *right.pending, *later)
        if not rel.widens:
            facts = {**left.facts, rel.mark: Fact()} if rel.kind == "mark" else dict(left.facts)
            return Placed(joined, left.site, facts, notes, pending)
        return Placed(joined, left.site, facts, notes, pending, Apart(joined, left, right))

    def _aggregate(self, rel: ir.Aggregate) -> Placed:
        below = self._place(rel.input)
        cap = self._capability(below.site) if below.site else None
        if below.site is None or cap is None:
            return Placed(ir.with_inputs(rel, (below.rel if below.site is None else self._cut(below),)))
        facts: dict[int, Fact] = {}
        without_sets = rel.sets and "grouping sets" not in cap.features
        reason = "GROUPING SETS" if without_sets else "no aggregate" if not rel.aggs and not rel.keys else ""
        for i, e in rel.keys:
            proof = prove_key(e, cap, below.facts)
            reason = reason or ("" if proof.verdict is V.EXACT else f"{self.show(e)}: {proof.reason}")
            facts[i] = proof.fact
        for i, e in rel.aggs:
            proof = prove_aggregate(e, cap, below.facts)
            reason = reason or (
                "" if proof.verdict is V.EXACT and e.type is not None else f"{self.show(e)}: {proof.reason}"
            )
            facts[i] = proof.fact
        if _bounded(below.rel):
            reason = reason or "LIMIT below"
        notes = (*below.notes, Verdict("aggregate", "NO" if reason else "EXACT", reason))
        if reason:
            cut = self._cut(Placed(below.rel, below.site, below.facts, notes))
            return Placed(ir.with_inputs(rel, (cut,)))
        return Placed(ir.with_inputs(rel, (_unsorted(below.rel),)), below.site, facts, notes)

    def _distinct(self, rel: ir.Distinct) -> Placed:
        below = self._place(rel.input)
        cap = self._capability(below.site) if below.site else None
        reason = "DISTINCT ON" if rel.on is not None else ""
        if below.site is not None and cap is not None and not reason:
            for pair in ir.output(below.rel):
                proof = prove_key(ir.col(pair), cap, below.facts)
                reason = reason or ("" if proof.verdict is V.EXACT else proof.reason)
        if below.site is None or cap is None or reason or "distinct" not in cap.features or _bounded(below.rel):
            return Placed(ir.with_inputs(rel, (below.rel if below.site is None else self._cut(below),)))
        return Placed(ir.with_inputs(rel, (_unsorted(below.rel),)), below.site, below.facts, below.notes)

    def _set_operation(self, rel: ir.SetOp) -> Placed:
        branches = [self._place(branch) for branch, _ in rel.inputs]
        site = branches[0].site
        cap = self._capability(site) if site else None
        typed = all(
            kind is not None and dict(ir.output(b.rel))[ids[at]] == kind
            for b, (_, ids) in zip(branches, rel.inputs, strict=True)
            for at, (_, kind) in enumerate(rel.columns)
        )
        one = all(b.site == site for b in branches)
        kind = f"{rel.kind} all" if rel.all else rel.kind
        known = cap is not None and kind in cap.features
        mixed = False
        if cap is None or not (one and known and typed and rel.columns):
            settled = tuple(b.rel if b.site is None else self._cut(b) for b in branches)
            return Placed(ir.with_inputs(rel, settled))
        facts: dict[int, Fact] = {}
        for at, (i, column) in enumerate(rel.columns):
            own = [b.facts[ids[at]] for b, (_, ids) in zip(branches, rel.inputs, strict=True)]
            collation = Collation.BYTES
            for fact in own:
                collation = coarser(collation, fact.collation)
            scales = {f.digits.scale if f.digits is not None else None for f in own}
            free = column is not None and column.name == "numeric" and column.mod < 0
            if free and cap.engine != "postgresql" and (len(scales) > 1 or None in scales):
                mixed = True  # decimals of another scale would print otherwise
            if collation is not Collation.BYTES:
                # Branches under different collations are an error in MariaDB, and in PostgreSQL one to compare.
                mixed = mixed or cap.engine != "postgresql"
                collation = Collation.LOOSE
            widest = max((f.digits for f in own if f.digits is not None), default=None) if len(scales) == 1 else None
            mixed = mixed or len({f.unfit for f in own}) > 1
            facts[i] = Fact(all(f.exact for f in own), collation, digits=widest, unfit=own[0].unfit)
        keyed = kind == "union all" or all(
            prove_key(ir.col(pair), cap, facts).verdict is V.EXACT and not _bounded(b.rel)
            for pair in rel.columns
            for b in branches
        )
        if mixed or not keyed:
            return Placed(ir.with_inputs(rel, tuple(self._cut(b) for b in branches)))
        notes = tuple(note for b in branches for note in b.notes)
        return Placed(ir.with_inputs(rel, tuple(b.rel for b in branches)), site, facts, notes)

    def _sort(self, rel: ir.Sort) -> Placed:
        below = self._place(rel.input)
        cap = self._capability(below.site) if below.site else None
        if below.site is None or cap is None:
            return Placed(ir.Sort(below.rel if below.site is None else self._cut(below), rel.keys))
        reason = ""
        for key in rel.keys:
            proof = prove_key(key.expr, cap, below.facts, "order")
            reason = reason or ("" if proof.verdict is V.EXACT else f"{self.show(key.expr)}: {proof.reason}")
        if any(not isinstance(key.expr, Col) for key in rel.keys) or _bounded(below.rel):
            reason = reason or "order by an expression"
        notes = (*below.notes, Verdict("order by", "NO" if reason else "EXACT", reason))
        if reason:
            return Placed(ir.Sort(self._cut(Placed(below.rel, below.site, below.facts, notes)), rel.keys))
        return Placed(ir.Sort(below.rel, rel.keys), below.site, below.facts, notes)

    def _limit(self, rel: ir.Limit) -> Placed:
        below = self._place(rel.input)
        cap = self._capability(below.site) if below.site else None
        simple = _countable(rel.count) and (rel.offset is None or _countable(rel.offset))
        limits = cap is not None and "limit" in cap.features
        if below.site is None or not limits or not simple or rel.ties or _bounded(below.rel):
            return Placed(ir.with_inputs(rel, (below.rel if below.site is None else self._cut(below),)))
        notes = (*below.notes, Verdict("limit", "EXACT"))
        return Placed(ir.with_inputs(rel, (below.rel,)), below.site, below.facts, notes)


def _unfit(rel: ir.Join, left: Placed, right: Placed, cap: Capability) -> str:
    """Why an engine does not do that kind of join; '' where it does."""
    if rel.lateral:
        return "LATERAL"
    if "one table" in cap.features:
        return f"{cap.engine} reads one table at a time"
    if rel.kind == "full" and "full join" not in cap.features:
        return f"{cap.engine} has no FULL JOIN"
    if ("join" if rel.widens else "half join") not in cap.features:
        return f"joins are not proven in {cap.engine}"
    if rel.kind in ("inner", "left") and _few_groups(right.rel, ir.ids(left.rel)):
        return "few of the groups are wanted: they are asked for by their keys"
    if rel.compare and "in" not in cap.features:
        return f"IN as a value is not proven in {cap.engine}"
    if not rel.widens and (_bounded(left.rel) or _bounded(right.rel)):
        return "LIMIT below"
    return ""


def _few_groups(rel: Rel, drivers: frozenset[int]) -> bool:
    """Whether it groups, or counts within groups, rows that the other side's keys were to choose."""
    grouped = False
    while isinstance(rel, ir.Project | ir.Filter | ir.Aggregate | ir.Window | ir.Distinct):
        if isinstance(rel, ir.Filter) and grouped:
            fixed = {a.id for p in rel.predicates if _fixes(p) for a in p.args if isinstance(a, Col)}
            keys = (p for p in rel.predicates if isinstance(p, KeyIn) and drivers.issuperset(p.drivers))
            if any(isinstance(arg, Col) and arg.id not in fixed for p in keys for arg in p.args):
                return True
        grouped = grouped or isinstance(rel, ir.Aggregate | ir.Window | ir.Distinct)
        rel = rel.input
    return False


def _fixes(p: Scalar) -> TypeGuard[Call]:
    return isinstance(p, Call) and p.op == "=" and any(isinstance(a, Lit | Param) for a in p.args)


def _first_of(p: Scalar, window: ir.Window) -> bool:
    """Whether a predicate bounds a rank from above."""
    own = {i for i, _ in window.items}
    if not isinstance(p, Call) or len(p.args) != 2 or not isinstance(p.args[1], Lit | Param):
        return False
    return p.op in ("=", "<", "<=") and isinstance(p.args[0], Col) and p.args[0].id in own


def _countable(e: Scalar | None) -> bool:
    """Whether it is a number of rows; a negative constant is the canon's error to raise."""
    return isinstance(e, Param) or (isinstance(e, Lit) and e.value is not None and e.value.isdigit())


def _provable(p: KeyIn, cap: Capability, facts: Facts) -> list[Scalar]:
    """Those columns of a combination of keys that the engine looks up each on its own."""
    return [q for q in p.singly if q != p and prove(q, cap, facts, condition=True).verdict is not V.NO]


def _without_keys(predicates: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    """Keys that reached no fragment say nothing new."""
    return tuple(p for p in predicates if not isinstance(p, KeyIn))


def _bounded(rel: Rel) -> bool:
    """Whether a LIMIT stands at the top, over which nothing more is computed at a source."""
    while isinstance(rel, ir.Project):
        rel = rel.input
    return isinstance(rel, ir.Limit)


def _unsorted(rel: Rel) -> Rel:
    """The relation without an order that what stands above does not see."""
    return rel.input if isinstance(rel, ir.Sort) else rel


def _has_cut(rel: Rel) -> bool:
    return isinstance(rel, ir.Cut) or any(_has_cut(branch) for branch in ir.inputs(rel))
