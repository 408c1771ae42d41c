"""What DuckDB may compute of the residual: its largest parts that are proven equal there become stages."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from connectors.capability import Capability, V, family
from connectors.types import PgType
from planner import ir
from planner import scalar as sc
from planner.ir import Cut, Rel
from planner.parts import (
    STAGE,
    Items,
    Part,
    carried,
    crosses,
    narrowed,
    numbers,
    ordered,
    references,
    same,
    typed,
)
from planner.prove import Fact, Facts, prove, prove_aggregate, prove_key
from planner.scalar import Agg, Call, Col, KeyIn, Lit, Param, Scalar, Sub, Verbatim
from planner.scales import declared, exact_in_duckdb, levelled, scale
from planner.scope import Counter
from planner.show import show
from planner.types import INT4, INT8, NUMERIC, of_aggregate


@dataclass(slots=True)
class Stager:
    """Cuts one residual; `reasons` tell what is not proven in DuckDB, the first being the lowest."""

    capability: Capability
    next_id: Counter
    reasons: list[str] = field(default_factory=list)
    wholes: set[Scalar] = field(default_factory=set)  # aggregates made of others', which cannot fail
    shared: dict[int, tuple[Part, tuple[int, ...]]] = field(default_factory=dict)  # proven CTEs, in their order

    def run(self, rel: Rel) -> tuple[Rel, bool]:
        """The residual with its stages as Cuts at STAGE, and whether it is one stage altogether."""
        part = self._part(rel)
        if isinstance(part, Part) and not part.late:
            return Cut(STAGE, part.rel, typed(part)), True
        return narrowed(self._settled(part)), False

    # -- parts

    def _part(self, rel: Rel) -> Part | Rel:
        """The relation as a part of DuckDB's, or as one of the canon's with the stages below it cut off."""
        match rel:
            case Cut():
                facts = {i: Fact(carried(kind), scale=declared(kind)) for i, kind in rel.columns}
                return Part(rel, facts, work=False)
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
            case ir.Shared():
                return self._shared(rel)
            case ir.CteRef():
                return self._reference(rel)
            case ir.Values() if rel.columns:
                return self._values(rel)
            case _:
                return self._canon(rel, f"{type(rel).__name__.lower()} is not proven in DuckDB")

    def _canon(self, rel: Rel, reason: str = "", *below: Part | Rel) -> Rel:
        """A node of the canon's over settled inputs."""
        parts = below or tuple(self._part(branch) for branch in ir.inputs(rel))
        if reason:
            self.reasons.append(reason)
        made = ir.with_inputs(rel, tuple(self._settled(part) for part in parts))
        return ir.map_subs(made, lambda sub: self._settled(self._part(sub)))

    def _settled(self, part: Part | Rel) -> Rel:
        """A relation for the canon: the stage cut off, and what is late computed over it.

        Rows of a stage come in any order; a wanted one is made again, of what is left.
        """
        if not isinstance(part, Part):
            return part
        made = part.rel
        if part.work and ir.output(made):
            inner, keys = ordered(made)
            made = Cut(STAGE, self._closed(inner), typed(replace(part, rel=inner)))
            made = ir.Sort(made, keys) if keys else made
        wanted = ir.ids(part.rel) - part.helpers
        if not part.late and wanted == ir.ids(made):
            return made
        own = tuple((i, ir.col((i, kind))) for i, kind in ir.output(part.rel) if i in wanted)
        return ir.Project(made, (*own, *part.late))

    def _closed(self, rel: Rel) -> Rel:
        """A stage with the CTEs that it refers to."""
        for handle, (body, at) in reversed(self.shared.items()):
            if handle in references(rel):
                rel = ir.Shared(handle, body.rel, at, rel)
        return rel

    def _refusal(self, e: Scalar, part: Part) -> str:
        """Why DuckDB may not compute a scalar over the part's columns; '' where it may."""
        for node in sc.walk(e):
            if isinstance(node, Lit) and node.type.name == "numeric" and not exact_in_duckdb(node):
                return f"{show(e)}: a constant that a DECIMAL does not hold"
        proof = prove(*self._standing(e, part))
        return "" if proof.verdict is V.EXACT else f"{show(e)}: {proof.reason}"

    def _standing(self, e: Scalar, part: Part) -> tuple[Scalar, Capability, Facts]:
        """What `prove` takes: the scalar with columns in the place of sub-queries that DuckDB may compute."""
        if not sc.has_sub(e):
            return e, self.capability, part.facts
        facts = dict(part.facts)

        def column(kind: PgType | None, fact: Fact) -> Col:
            made = Col(self.next_id(), kind)
            facts[made.id] = fact
            return made

        def stand(node: Scalar) -> Scalar | None:
            inner = self._part(node.rel) if isinstance(node, Sub) and node.kind in ("exists", "scalar", "in") else None
            if not isinstance(node, Sub) or not isinstance(inner, Part) or inner.late:
                return None
            if node.kind == "exists":
                return column(sc.BOOL, Fact())
            kinds = dict(ir.output(inner.rel))
            values = [column(kinds[i], inner.facts[i]) for i in node.columns]
            if node.kind == "scalar":
                return values[0]
            return sc.conjoin(tuple(Call("=", pair, sc.BOOL) for pair in zip(node.args, values, strict=True)))

        return sc.transform(e, stand), self.capability, facts

    def _refused_key(self, keys: list[Scalar], part: Part, table: str) -> str:
        for e in keys:
            proof = prove_key(e, self.capability, part.facts, table)
            if proof.verdict is not V.EXACT:
                return f"{show(e)}: {proof.reason}"
        return ""

    # -- nodes

    def _filter(self, rel: ir.Filter) -> Part | Rel:
        wanted = tuple(p for p in rel.predicates if not isinstance(p, KeyIn))
        below = self._part(rel.input)
        if not isinstance(below, Part):
            return self._canon(ir.Filter(rel.input, wanted), "", below)
        refusals = [self._refusal(p, below) for p in wanted]
        proven = tuple(p for p, reason in zip(wanted, refusals, strict=True) if not reason)
        stay = tuple(p for p, reason in zip(wanted, refusals, strict=True) if reason)
        if proven:
            below = replace(below, rel=ir.Filter(below.rel, proven), work=True)
        if not stay:
            return below
        return self._canon(ir.Filter(rel.input, stay), next(filter(None, refusals)), below)

    def _project(self, rel: ir.Project) -> Part | Rel:
        below = self._part(rel.input)
        if not isinstance(below, Part) or not rel.items:
            return self._canon(rel, "", below)
        before = dict(below.late)
        inside: list[tuple[int, Scalar]] = []
        late: list[tuple[int, Scalar]] = []
        facts: dict[int, Fact] = {}
        for i, e in rel.items:
            if not sc.columns(e) <= below.facts.keys() | before.keys() or sc.volatile(e) or sc.special(e):
                return self._canon(rel, f"{show(e)}: not of one row alone", below)
            fact = self._computed(e, below)
            if fact is None:
                late.append((i, sc.substitute(e, before)))
            else:
                inside.append((i, e))
                facts[i] = fact
        needed = frozenset().union(*(sc.columns(e) for _, e in late)) - facts.keys()
        inside += [(i, Col(i, kind)) for i, kind in ir.output(below.rel) if i in needed]
        facts |= {i: below.facts[i] for i in needed}
        if late and any(sc.has_sub(e) for _, e in late):
            return self._canon(rel, f"{show(late[0][1])}: a sub-query", below)
        if not inside:
            return self._canon(rel, "", below)
        return Part(ir.Project(below.rel, tuple(inside)), facts, tuple(late), needed, below.work)

    def _computed(self, e: Scalar, below: Part) -> Fact | None:
        """What is known of a projected value; None where DuckDB may not compute it."""
        if isinstance(e, Col):
            return below.facts.get(e.id) if e.type is not None else None
        reason = f"{show(e)}: the text of its value is not proven" if e.type is None or isinstance(e, Param) else ""
        reason = reason or self._refusal(e, below)
        digits = scale(e, below.scales)
        if not reason and e.type is not None and e.type.name == "numeric" and digits is None:
            reason = f"{show(e)}: how many digits it is printed with is not proven"
        if reason:
            self.reasons.append(reason)
            return None
        return Fact(scale=digits)

    def _join(self, rel: ir.Join) -> Part | Rel:
        left, right = self._part(rel.left), self._part(rel.right)
        rel = replace(rel, on=tuple(p for p in rel.on if not isinstance(p, KeyIn)))
        if not isinstance(left, Part) or not isinstance(right, Part):
            return self._canon(rel, "", left, right)
        if rel.lateral or not crosses(rel, left, right):
            return self._canon(rel, "lateral" if rel.lateral else "a value of an outer join", left, right)
        both = Part(ir.with_inputs(rel, (left.rel, right.rel)), {**left.facts, **right.facts})
        refusals = {p: self._refusal(p, both) for p in (*rel.on, *rel.compare)}
        reason = next(filter(None, refusals.values()), "")
        if not rel.widens:
            facts = {**left.facts, rel.mark: Fact()} if rel.kind == "mark" else left.facts
            half = Part(both.rel, facts, left.late, left.helpers)
            return self._canon(rel, reason, left, right) if reason else half
        both = replace(both, late=(*left.late, *right.late), helpers=left.helpers | right.helpers)
        if not reason:
            return both
        proven = tuple(p for p in rel.on if not refusals[p])
        if rel.kind != "inner" or not any(isinstance(p, Call) and p.op == "=" for p in proven):
            return self._canon(rel, reason, left, right)
        joined = replace(both, rel=ir.Join(rel.kind, left.rel, right.rel, proven))
        return self._canon(ir.Filter(rel, tuple(p for p in rel.on if refusals[p])), reason, joined)

    def _aggregate(self, rel: ir.Aggregate) -> Part | Rel:
        below = self._part(rel.input)
        if not isinstance(below, Part):
            return self._canon(rel, "", below)
        reason = "" if rel.aggs or rel.keys else "a group without aggregates"
        reason = reason or self._refused_key([e for _, e in rel.keys], below, "keys")
        scales = below.scales
        facts = {i: Fact(scale=scale(e, scales)) for i, e in rel.keys}
        aggs: list[tuple[int, Scalar]] = []
        late: list[tuple[int, Scalar]] = []
        for i, e in rel.aggs:
            why = self._refused_aggregate(e, below)
            if not why:
                aggs.append((i, e))
                continue
            split = self._split(e, below)
            if split is None:
                reason = reason or why
                continue
            self.reasons.append(why)
            parts, whole = split
            aggs += parts
            late.append((i, whole))
            self.wholes.add(whole)
        if reason:
            return self._canon(rel, reason, below)
        facts |= {i: Fact(scale=scale(e, scales)) for i, e in aggs}
        helpers = frozenset(i for i, _ in aggs) - ir.ids(rel)
        return Part(ir.Aggregate(below.rel, rel.keys, tuple(aggs), rel.sets), facts, tuple(late), helpers)

    def _refused_aggregate(self, e: Scalar, below: Part) -> str:
        proof = prove_aggregate(e, self.capability, below.facts)
        if proof.verdict is not V.EXACT or e.type is None:
            return f"{show(e)}: {proof.reason}"
        if e.type.name == "numeric" and scale(e, below.scales) is None:
            return f"{show(e)}: how many digits it is printed with is not proven"
        return next((why for a in sc.children(e) if (why := self._refusal(a, below))), "")

    def _split(self, e: Scalar, below: Part) -> tuple[Items, Scalar] | None:
        """An aggregate as others that are proven, and what the canon makes of these; None where there are none.

        An average is a sum and a count, and PostgreSQL's own division of them.
        """
        if not isinstance(e, Agg) or e.name not in ("avg", "sum") or e.type != NUMERIC:
            return None
        kind = of_aggregate("sum", tuple(a.type for a in e.args))
        total = self._total(Agg("sum", e.args, kind, e.distinct, e.where), below)
        if total is None or e.name == "sum":
            return total
        count = self.next_id(), Agg("count", e.args, INT8, e.distinct, e.where)
        if self._refused_aggregate(count[1], below):
            return None
        halves = (Call("cast", (total[1],), NUMERIC), Call("cast", (Col(count[0], INT8),), NUMERIC))
        return (*total[0], count), Call("/", halves, NUMERIC)

    def _total(self, e: Agg, below: Part) -> tuple[Items, Scalar] | None:
        """A sum; of values with unlike digits behind the point, one of as many as the longest, which are cut to those
        of the longest value that there was: PostgreSQL prints a sum so."""
        whole = self.next_id()
        if not self._refused_aggregate(e, below):
            return ((whole, e),), Col(whole, e.type)
        level = levelled(e.args[0], below.scales)
        if level is None or e.distinct:
            return None
        parts = (whole, replace(e, args=(level[0],))), (self.next_id(), Agg("max", (level[1],), INT4, where=e.where))
        if any(self._refused_aggregate(part, below) for _, part in parts):
            return None
        columns = Col(whole, e.type), Col(parts[1][0], INT4)
        return parts, Verbatim(("round(", 0, ", ", 1, ")"), columns, type=NUMERIC)

    def _distinct(self, rel: ir.Distinct) -> Part | Rel:
        below = self._part(rel.input)
        if not isinstance(below, Part) or below.late or below.helpers:
            return self._canon(rel, "", below)
        keys: list[Scalar] = [ir.col(pair) for pair in ir.output(rel)] if rel.on is None else list(rel.on)
        reason = self._refused_key(keys, below, "keys")
        reason = reason or self._refused_key([key.expr for key in rel.order], below, "order")
        if reason:
            return self._canon(rel, reason, below)
        return replace(below, rel=ir.with_inputs(rel, (below.rel,)), work=True)

    def _shared(self, rel: ir.Shared) -> Part | Rel:
        """A CTE: computed by DuckDB where that is proven, again for each stage that reads it."""
        body = self._part(rel.body)
        if not isinstance(body, Part) or body.late:
            return self._canon(rel, "", body, self._part(rel.input))
        self.shared[rel.id] = body, rel.body_ids
        inner = self._part(rel.input)
        if isinstance(inner, Part):
            return replace(inner, rel=ir.Shared(rel.id, body.rel, rel.body_ids, inner.rel), work=True)
        if ir.unsteady(body.rel):
            del self.shared[rel.id]
            inner = self._part(rel.input)
        return self._canon(rel, "", body, inner)

    def _reference(self, rel: ir.CteRef) -> Part | Rel:
        if rel.id not in self.shared or any(kind is None for _, kind in rel.columns):
            return self._canon(rel, "a CTE of the canon's")
        body, at = self.shared[rel.id]
        facts = {i: body.facts[b] for (i, _), b in zip(rel.columns, at, strict=True)}
        return Part(rel, facts, work=False)

    def _values(self, rel: ir.Values) -> Part | Rel:
        facts: dict[int, Fact] = {}
        nothing = Part(rel, facts, work=False)
        reason = "" if rel.rows else "no rows"
        for at, (i, kind) in enumerate(rel.columns):
            cells = [row[at] for row in rel.rows]
            scales = {scale(e, {}) for e in cells}
            facts[i] = Fact(scale=scales.pop() if len(scales) == 1 else None)
            text = kind is None or (kind.name == "numeric" and facts[i].scale is None)
            odd = text or any(not isinstance(e, Lit) or not _widened(e.type, kind) for e in cells)
            reason = reason or ("constants of unlike types" if odd else "")
            reason = reason or next((why for e in cells if (why := self._refusal(e, nothing))), "")
        return self._canon(rel, reason) if reason else nothing

    def _set_operation(self, rel: ir.SetOp) -> Part | Rel:
        parts = [(self._part(branch), ids) for branch, ids in rel.inputs]
        known = [(part, ids) for part, ids in parts if isinstance(part, Part) and not part.late]
        reason, facts = "", {}
        for at, (i, kind) in enumerate(rel.columns):
            types = [dict(ir.output(part.rel)).get(ids[at]) for part, ids in known]
            if kind is None or any(not same(own, kind) for own in types):
                reason = "branches of different types"
            own = [part.facts[ids[at]] for part, ids in known if ids[at] in part.facts]
            scales = {fact.scale for fact in own}
            facts[i] = Fact(all(f.exact for f in own), scale=scales.pop() if len(scales) == 1 else None)
        made = Part(rel, facts, work=any(part.work for part, _ in known))
        distinct = rel.kind != "union" or not rel.all
        if distinct:
            reason = reason or self._refused_key([ir.col(pair) for pair in rel.columns], made, "keys")
        if reason or len(known) < len(parts):
            return self._canon(rel, reason, *(part for part, _ in parts))
        inner = ir.with_inputs(rel, tuple(part.rel for part, _ in known))
        return Part(inner, facts, work=made.work or distinct)

    def _sort(self, rel: ir.Sort) -> Part | Rel:
        below = self._part(rel.input)
        if not isinstance(below, Part):
            return self._canon(rel, "", below)
        reason = self._refused_key([key.expr for key in rel.keys], below, "order")
        if reason:
            return self._canon(rel, reason, below)
        return replace(below, rel=ir.Sort(below.rel, rel.keys))

    def _limit(self, rel: ir.Limit) -> Part | Rel:
        below = self._part(rel.input)
        # What is late is computed of fewer rows then: it must not be what PostgreSQL would have raised of the others.
        fit = isinstance(below, Part) and not any(sc.can_raise(e) and e not in self.wholes for _, e in below.late)
        if not isinstance(below, Part) or not fit or rel.ties or not numbers(rel):
            return self._canon(rel, "" if not isinstance(below, Part) else "limit", below)
        return replace(below, rel=ir.with_inputs(rel, (below.rel,)), work=True)


def _widened(kind: PgType, target: PgType | None) -> bool:
    """Whether a constant of a type stands among others of `target` as it is."""
    return kind == target or (target is not None and family(kind) == family(target) == "int")
