"""Cuts the statement: the largest parts that one source computes exactly become fragments, the rest stays here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from connectors.base import Collation
from connectors.capability import Capability, V, capability
from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.keys import unique_keys
from planner.plan import Verdict
from planner.prove import Fact, Facts, coarser, prove, prove_aggregate, prove_key, weaken
from planner.scalar import Call, Col, KeyIn, Lit, Param, Scalar
from planner.show import show
from views.catalog import Catalog, Source


@dataclass(frozen=True, slots=True)
class Placed:
    """A relation, and the source that computes all of it, or None where parts of it run here."""

    rel: Rel
    site: str | None = None
    facts: Facts = field(default_factory=dict)
    notes: tuple[Verdict, ...] = ()


class Placer:
    """Places one statement over a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
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
        placed = self._one(rel)
        if placed.site is None:
            return Placed(ir.map_subs(placed.rel, self.run_sub))
        return placed

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
        """The fragment; an order that only merged rows would lose again is not asked of the source."""
        rel, site = placed.rel, placed.site or ""
        if not keep_order:
            if isinstance(rel, ir.Sort):
                return ir.Sort(self._cut(Placed(rel.input, site, placed.facts, placed.notes)), rel.keys)
            if isinstance(rel, ir.Project) and isinstance(rel.input, ir.Sort):
                return ir.Project(self._cut(Placed(rel.input, site, placed.facts, placed.notes)), rel.items)
        known = tuple((i, kind) for i, kind in ir.output(rel) if kind is not None)
        return ir.Cut(site, rel, known, placed.notes)

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
            facts[i] = Fact(column.exact, column.collation if text else Collation.BYTES)
        return Placed(rel, table.source, facts)

    def _filter(self, rel: ir.Filter) -> Placed:
        below = self._place(rel.input)
        cap = self._capability(below.site) if below.site else None
        if below.site is None or cap is None:
            inner = below.rel if below.site is None else self._cut(below)
            return Placed(ir.Filter(inner, _without_keys(rel.predicates)))
        pushed, stay, notes = self._split(rel.predicates, cap, below.facts)
        notes = (*below.notes, *notes)
        under = Placed(ir.Filter(below.rel, pushed) if pushed else below.rel, below.site, below.facts, notes)
        if isinstance(below.rel, ir.Limit) or (pushed and _bounded(below.rel)):
            return Placed(ir.Filter(self._cut(below), _without_keys(rel.predicates)))
        if not stay:
            return under
        return Placed(ir.Filter(self._cut(under), stay))

    def _split(
        self, predicates: tuple[Scalar, ...], cap: Capability, facts: Facts
    ) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...], tuple[Verdict, ...]]:
        pushed: list[Scalar] = []
        stay: list[Scalar] = []
        notes: list[Verdict] = []
        for p in predicates:
            proof = prove(p, cap, facts)
            if isinstance(p, KeyIn):
                pushed += [p] if proof.verdict is not V.NO else []
                continue
            weaker = weaken(p, cap, facts) if proof.verdict is V.NO else p
            if weaker is not None:
                pushed.append(weaker)
            if proof.verdict is not V.EXACT or weaker is not p:
                stay.append(p)
            verdict = proof.verdict.name if weaker is p else "SUPERSET" if weaker is not None else "NO"
            notes.append(Verdict(self.show(p), verdict, proof.reason))
        return tuple(pushed), tuple(stay), tuple(notes)

    def _project(self, rel: ir.Project) -> Placed:
        below = self._place(rel.input)
        cap = self._capability(below.site) if below.site else None
        if below.site is None or not rel.items:
            return Placed(ir.Project(below.rel if below.site is None else self._cut(below), rel.items))
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
                notes = (*below.notes, Verdict(self.show(e), "NO", why))
                cut = self._cut(Placed(below.rel, below.site, below.facts, notes))
                return Placed(ir.Project(cut, rel.items))
            facts[i] = Fact(True, proof.collation)
        return Placed(ir.Project(below.rel, rel.items), below.site, facts, below.notes)

    def _join(self, rel: ir.Join) -> Placed:
        left, right = self._place(rel.left), self._place(rel.right)
        reason = self._why_apart(rel, left, right)
        if not reason:
            facts = {**left.facts, **right.facts}
            notes = (*left.notes, *right.notes, *(Verdict(self.show(p), "EXACT") for p in (*rel.on, *rel.compare)))
            if not rel.widens:
                facts = {**left.facts, rel.mark: Fact()} if rel.kind == "mark" else dict(left.facts)
            return Placed(ir.with_inputs(rel, (left.rel, right.rel)), left.site, facts, notes)
        shown = self.show(sc.conjoin((*rel.on, *rel.compare)))
        note = Verdict(f"{'join' if rel.widens else rel.kind + ' join'} {shown}", "NO", reason)
        a, b = (
            p.rel if p.site is None else self._cut(Placed(p.rel, p.site, p.facts, (*p.notes, note)))
            for p in (left, right)
        )
        return Placed(replace(rel, left=a, right=b, on=_without_keys(rel.on)))

    def _why_apart(self, rel: ir.Join, left: Placed, right: Placed) -> str:
        """Why the join does not run at one source; '' where it does."""
        if left.site is None or left.site != right.site:
            return "the sides are of different sources"
        cap = self._capability(left.site)
        if cap is None or rel.lateral:
            return "LATERAL" if rel.lateral else "nothing is known of the engine"
        if rel.kind == "full" and "full join" not in cap.features:
            return f"{cap.engine} has no FULL JOIN"
        if rel.compare and "in" not in cap.features:
            return f"IN as a value is not proven in {cap.engine}"
        if not rel.widens and (_bounded(left.rel) or _bounded(right.rel)):
            return "LIMIT below"
        facts = {**left.facts, **right.facts}
        for p in (*rel.on, *rel.compare):
            proof = prove(p, cap, facts)
            if proof.verdict is not V.EXACT:
                return f"{self.show(p)}: {proof.reason}"
        if rel.widens and not _expands_no_row(rel):
            return "neither side is unique in the join's columns: the source would send more rows than both sides have"
        return ""

    def _aggregate(self, rel: ir.Aggregate) -> Placed:
        below = self._place(rel.input)
        cap = self._capability(below.site) if below.site else None
        if below.site is None or cap is None:
            return Placed(ir.with_inputs(rel, (below.rel if below.site is None else self._cut(below),)))
        facts: dict[int, Fact] = {}
        reason = "GROUPING SETS" if rel.sets else "no aggregate" if not rel.aggs and not rel.keys else ""
        for i, e in rel.keys:
            proof = prove_key(e, cap, below.facts)
            reason = reason or ("" if proof.verdict is V.EXACT else f"{self.show(e)}: {proof.reason}")
            facts[i] = Fact(True, proof.collation)
        for i, e in rel.aggs:
            proof = prove_aggregate(e, cap, below.facts)
            reason = reason or (
                "" if proof.verdict is V.EXACT and e.type is not None else f"{self.show(e)}: {proof.reason}"
            )
            facts[i] = Fact()
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
        known = cap is not None and "union all" in cap.features
        mixed = False
        if cap is None or not (one and known and typed and rel.kind == "union" and rel.all and rel.columns):
            settled = tuple(b.rel if b.site is None else self._cut(b) for b in branches)
            return Placed(ir.with_inputs(rel, settled))
        facts: dict[int, Fact] = {}
        for at, (i, _) in enumerate(rel.columns):
            own = [b.facts[ids[at]] for b, (_, ids) in zip(branches, rel.inputs, strict=True)]
            collation = Collation.BYTES
            for fact in own:
                collation = coarser(collation, fact.collation)
            if collation is not Collation.BYTES:
                # Branches under different collations are an error in MariaDB, and in PostgreSQL one to compare.
                mixed = mixed or cap.engine != "postgresql"
                collation = Collation.LOOSE
            facts[i] = Fact(all(f.exact for f in own), collation)
        if mixed:
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
        if below.site is None or cap is None or not simple or rel.ties or _bounded(below.rel):
            return Placed(ir.with_inputs(rel, (below.rel if below.site is None else self._cut(below),)))
        notes = (*below.notes, Verdict("limit", "EXACT"))
        return Placed(ir.with_inputs(rel, (below.rel,)), below.site, below.facts, notes)


def _countable(e: Scalar | None) -> bool:
    """Whether it is a number of rows; a negative constant is the canon's error to raise."""
    return isinstance(e, Param) or (isinstance(e, Lit) and e.value is not None and e.value.isdigit())


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


def _expands_no_row(rel: ir.Join) -> bool:
    """Whether each row of one side meets at most one of the other: it is unique in the columns compared."""
    left, right = ir.ids(rel.left), ir.ids(rel.right)
    pairs = [p.args for p in rel.on if isinstance(p, Call) and p.op == "=" and all(isinstance(a, Col) for a in p.args)]
    used = frozenset(a.id for args in pairs for a in args if isinstance(a, Col))
    if any(key <= used & right for key in unique_keys(rel.right)):
        return True
    return rel.kind != "left" and any(key <= used & left for key in unique_keys(rel.left))
