"""What cannot have a row is not asked for: contradictory filters, branches of UNION ALL, sides of joins."""

from __future__ import annotations

from collections.abc import Iterable

from planner import domains, ir, plan
from planner import scalar as sc
from planner.context import Context
from planner.domains import ANY, NULL, Domain, Facts
from planner.ir import Rel
from planner.scalar import Call, Col, Lit, Param, Scalar, Sub
from planner.show import show
from planner.types import alike
from planner.values import Values


def prune(rel: Rel, context: Context) -> Rel:
    """The relation without what is proven empty; an empty one is Values without rows, so that no source is asked.

    Predicates that what lies below or stands beside them already says are dropped.
    """
    return _Pruner(context.values, context.pruned).visit(rel)[0]


Pruned = tuple[Rel, Facts | None]  # None: it has no rows


class _Pruner:
    def __init__(self, values: Values, told: list[plan.Pruned]) -> None:
        self.values = values
        self.told = told

    def visit(self, rel: Rel) -> Pruned:
        """A relation without what is empty, and what holds of its columns."""
        rel = self._subs(rel)
        match rel:
            case ir.Filter():
                return self._filter(rel)
            case ir.Project():
                below, known = self.visit(rel.input)
                return self._made(
                    ir.with_inputs(rel, (below,)), None if known is None else self._items(rel.items, known)
                )
            case ir.Join():
                return self._join(rel)
            case ir.Aggregate():
                below, known = self.visit(rel.input)
                made = ir.with_inputs(rel, (below,))
                if known is None and rel.keys and not rel.sets:
                    return self._made(made, None)
                return made, {} if known is None or rel.sets else self._items(rel.keys, known)
            case ir.SetOp():
                return self._set_operation(rel)
            case ir.Limit():
                below, known = self.visit(rel.input)
                none = _number(rel.count) == 0 or known is None
                sure = all(e is None or _number(e) is not None for e in (rel.count, rel.offset))
                return self._made(ir.with_inputs(rel, (below,)), None if none and sure else known or {})
            case ir.Window() | ir.Distinct() | ir.Sort():
                below, known = self.visit(rel.input)
                return self._made(ir.with_inputs(rel, (below,)), known)
            case ir.Values():
                return rel, {} if rel.rows else None
            case ir.Recursive():
                return rel, {}  # an empty base would have a type with its scale, a fetched step has none
            case _:
                return ir.with_inputs(rel, tuple(self.visit(branch)[0] for branch in ir.inputs(rel))), {}

    def _made(self, rel: Rel, known: Facts | None) -> Pruned:
        """The relation, or nothing in its place; a column of unknown type cannot be written without its rows."""
        if known is not None:
            return rel, known
        typed = all(kind is not None for _, kind in ir.output(rel))
        return ir.Values((), ir.output(rel)) if typed else rel, None

    # -- filters

    def _filter(self, rel: ir.Filter) -> Pruned:
        below, known = self.visit(rel.input)
        inside = None if known is None else domains.facts(rel.predicates, self.values, known)
        if known is not None and inside is None:
            self._tell(rel)
        if known is None or inside is None:
            return self._made(ir.with_inputs(rel, (below,)), None)
        told = (_settled(p, known) for p in rel.predicates)
        kept = self._needed(tuple(c for p in told for c in self._alternatives(p, inside)), known)
        return (rel if below is rel.input and kept == rel.predicates else _filtered(below, kept)), inside

    def _tell(self, rel: ir.Filter) -> None:
        scans = list(ir.scans(rel))
        names = {i: f"{scan.table.name}.{scan.table.columns[at][0]}" for scan in scans for i, at in scan.columns}
        tables = tuple(dict.fromkeys(f"{scan.table.schema}.{scan.table.name}" for scan in scans))
        self.told.append(plan.Pruned(tables, " and ".join(show(p, names) for p in rel.predicates)))

    def _alternatives(self, p: Scalar, inside: Facts) -> tuple[Scalar, ...]:
        """The conjuncts of a predicate; of an OR, only the sides that can be true of rows of which `inside` holds."""
        if not (isinstance(p, Call) and p.op == "or"):
            return () if self._true(p) else (p,)
        if any(self._true(a) for a in p.args):
            return ()
        sides = tuple(a for a in p.args if domains.facts((a,), self.values, inside) is not None)
        if not sides:
            return (sc.FALSE,)
        if len(sides) == 1:
            return tuple(c for q in sc.conjuncts(sides[0]) for c in self._alternatives(q, inside))
        return (p if sides == p.args else Call("or", sides, p.type),)

    def _true(self, p: Scalar) -> bool:
        """Whether it is a comparison of constants that holds."""
        if not (
            isinstance(p, Call) and all(isinstance(a, Lit | Param) for a in p.args) and p.op in domains.COMPARISONS
        ):
            return p in (sc.TRUE, _NOT_FALSE)
        return self.values.compare(*p.args) is not None and domains.of(p, self.values) is not None

    def _needed(self, predicates: tuple[Scalar, ...], known: Facts) -> tuple[Scalar, ...]:
        """The predicates without those that the others imply."""
        kept = list(dict.fromkeys(predicates))
        about = {p: term for p in kept if (term := _about(p)) is not None}
        for p, term in about.items():
            if term not in known and sum(other == term for other in about.values()) < 2:
                continue
            others = domains.facts([q for q in kept if q is not p], self.values, known) or {}
            own = domains.of(p, self.values)
            if own is not None and domains.within(others.get(term, ANY), own.get(term, ANY), self.values):
                kept.remove(p)
        return tuple(kept)

    # -- what has other columns than its input

    def _items(self, items: Iterable[tuple[int, Scalar]], known: Facts) -> Facts:
        made: dict[domains.Term, Domain] = {}
        for i, e in items:
            if isinstance(e, Lit):
                made[i] = NULL if e.value is None else domains.exactly(e)
            elif domains.constant(e):
                made[i] = Domain(domains.exactly(e).intervals, True)
            elif (found := known.get(domains.term(e))) is not None:
                made[i] = found
        return made

    def _join(self, rel: ir.Join) -> Pruned:
        (left, known_left), (right, known_right) = self.visit(rel.left), self.visit(rel.right)
        made = ir.with_inputs(rel, (left, right))
        both: Facts | None = None
        if known_left is not None and known_right is not None:
            both = domains.facts(rel.on, self.values, {**known_left, **known_right})
        if rel.kind == "inner":
            return self._made(made, both)
        if rel.kind == "left":
            if known_left is None:
                return self._made(made, None)
            if both is None:
                return self._extended(left, rel.right, made, known_left)
            ours = ir.ids(right)
            return made, {**known_left, **_nullable({i: d for i, d in both.items() if i in ours})}
        if rel.kind == "full":
            return self._full(made, left, right, known_left, known_right)
        return self._filtering(rel, made, left, known_left, both)

    def _filtering(self, rel: ir.Join, made: Rel, left: Rel, known: Facts | None, both: Facts | None) -> Pruned:
        """Semi, anti and mark joins."""
        if known is None or (rel.kind == "semi" and both is None):
            return self._made(made, None)
        if both is None and rel.kind == "anti":
            return left, known
        if both is None and rel.kind == "mark":
            items = tuple((i, Col(i, kind)) for i, kind in ir.output(left))
            return ir.Project(left, (*items, (rel.mark, _FALSE))), {**known, rel.mark: domains.exactly(_FALSE)}
        ours = ir.ids(left)
        return made, {i: d for i, d in both.items() if i in ours} if rel.kind == "semi" and both else known

    def _full(self, made: Rel, left: Rel, right: Rel, known_left: Facts | None, known_right: Facts | None) -> Pruned:
        if known_left is None and known_right is None:
            return self._made(made, None)
        if known_right is None:
            return self._extended(left, right, made, known_left or {})
        if known_left is None:
            return self._extended(right, left, made, known_right)
        return made, _nullable({**known_left, **known_right})

    def _extended(self, kept: Rel, lost: Rel, made: Rel, known: Facts) -> Pruned:
        """The rows of one side with NULLs for the columns of the other, which never matches."""
        if any(kind is None for _, kind in ir.output(lost)):
            return made, {}
        nulls = {i: Lit(None, kind.bare) for i, kind in ir.output(lost) if kind is not None}
        items = tuple((i, nulls.get(i) or Col(i, kind)) for i, kind in ir.output(made))
        return ir.Project(kept, items), {**known, **dict.fromkeys(nulls, NULL)}

    def _set_operation(self, rel: ir.SetOp) -> Pruned:
        visited = [self.visit(branch) for branch, _ in rel.inputs]
        made = ir.with_inputs(rel, tuple(branch for branch, _ in visited))
        some = [at for at, (_, known) in enumerate(visited) if known is not None]
        if (
            not some
            or (rel.kind == "except" and 0 not in some)
            or (rel.kind == "intersect" and len(some) < len(visited))
        ):
            return self._made(made, None)
        known = self._shared(rel, [(visited[at][1] or {}, rel.inputs[at][1]) for at in some])
        if len(some) == len(visited) or not _same_types(rel):
            return made, known if rel.kind == "union" else {}
        inputs = tuple((visited[at][0], rel.inputs[at][1]) for at in some)
        if len(inputs) > 1:
            return ir.SetOp(rel.kind, rel.all, inputs, rel.columns), known if rel.kind == "union" else {}
        (branch, ids) = inputs[0]
        kinds = dict(ir.output(branch))
        alone = ir.Project(branch, tuple((o, Col(i, kinds[i])) for i, (o, _) in zip(ids, rel.columns, strict=True)))
        return alone if rel.all else ir.Distinct(alone), known

    def _shared(self, rel: ir.SetOp, branches: list[tuple[Facts, tuple[int, ...]]]) -> Facts:
        made: dict[domains.Term, Domain] = {}
        for at, (o, _) in enumerate(rel.columns):
            domain = branches[0][0].get(branches[0][1][at], ANY)
            for known, ids in branches[1:]:
                domain = domains.join(domain, known.get(ids[at], ANY))
            if domain != ANY:
                made[o] = domain
        return made

    # -- sub-queries

    def _subs(self, rel: Rel) -> Rel:
        old = ir.scalars(rel)
        if not any(sc.has_sub(e) for e in old):
            return rel
        return ir.with_scalars(rel, tuple(sc.transform(e, self._sub) for e in old))

    def _sub(self, e: Scalar) -> Scalar | None:
        """A sub-query over nothing is a constant, whatever it is compared with."""
        if not isinstance(e, Sub):
            return None
        inner, known = self.visit(e.rel)
        if known is None and e.kind in _OVER_NOTHING:
            return Lit(_OVER_NOTHING[e.kind], sc.BOOL)
        if known is None and e.kind == "scalar" and e.type is not None:
            return Lit(None, e.type.bare)
        args = tuple(sc.transform(a, self._sub) for a in e.args)
        return e if inner is e.rel and args == e.args else Sub(e.kind, inner, e.columns, args, e.op, e.type)


_FALSE = Lit("false", sc.BOOL)
_NOT_FALSE = Call("not", (_FALSE,), sc.BOOL)
_OVER_NOTHING = {"exists": "false", "in": "false", "any": "false", "all": "true"}


def _settled(p: Scalar, known: Facts) -> Scalar:
    """The predicate with constants for boolean columns that can have one value only."""

    def change(e: Scalar) -> Scalar | None:
        if not (isinstance(e, Col) and e.type == sc.BOOL):
            return None
        return next((value for value in (_FALSE, sc.TRUE) if known.get(e.id) == domains.exactly(value)), None)

    return sc.transform(p, change) if sc.columns(p) else p


def _filtered(below: Rel, predicates: tuple[Scalar, ...]) -> Rel:
    return ir.Filter(below, predicates) if predicates else below


def _number(e: Scalar | None) -> int | None:
    return int(e.value) if isinstance(e, Lit) and e.value is not None and e.value.isdigit() else None


def _about(p: Scalar) -> domains.Term | None:
    """The column of a predicate that is about one column only and says just what its domain says; None for others."""
    if not isinstance(p, Call):
        return None
    if p.op in ("and", "or"):  # few enough for the domain to be kept whole
        found = {_about(a) for a in p.args} if len(p.args) <= domains.ENDS else set()
        return found.pop() if len(found) == 1 else None
    if p.op in ("is null", "is not null"):
        return p.args[0].id if isinstance(p.args[0], Col) else None
    if p.op not in ("=", "<>", "<", "<=", ">", ">=", "in"):
        return None
    columns = [a for a in p.args if not domains.constant(a)]
    if (
        len(columns) != 1
        or len(p.args) > domains.ENDS + 1
        or any(isinstance(a, Lit) and a.value is None for a in p.args)
    ):
        return None
    inner = domains.bare(columns[0])
    return inner.id if isinstance(inner, Col) else None


def _nullable(known: Facts) -> Facts:
    return {i: Domain(d.intervals, True) for i, d in known.items() if isinstance(i, int)}


def _same_types(rel: ir.SetOp) -> bool:
    """Whether every branch has the columns in the types of the whole, so that any may be left out."""
    kinds = [dict(ir.output(branch)) for branch, _ in rel.inputs]
    return all(
        alike(own[ids[at]], kind)
        for at, (_, kind) in enumerate(rel.columns)
        for own, (_, ids) in zip(kinds, rel.inputs, strict=True)
    )
