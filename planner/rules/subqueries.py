"""Sub-queries become joins, so that what lies below and beside them is pushed and nothing is asked row by row."""

from __future__ import annotations

from dataclasses import replace

from planner import ir
from planner import scalar as sc
from planner.context import Context
from planner.ir import Rel
from planner.keys import unique_keys
from planner.nulls import is_never_null, never_null
from planner.relabel import relabel
from planner.rules.decorrelate import Decorrelator, Free, Kept
from planner.scalar import FALSE, TRUE, Agg, Call, Col, Lit, Scalar, Sub
from planner.types import INT8

_OPPOSITE = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def join_subqueries(rel: Rel, context: Context) -> Rel:
    """EXISTS, IN and scalar sub-queries, correlated or not, as joins.

    Must stay: what is volatile; what may fail for rows that PostgreSQL would not reach; NOT IN over values that may
    be NULL as an anti join; what cannot be freed of its correlation (decorrelate.py).
    """
    return ir.rewrite(rel, lambda node: _Node(context).rewritten(node))


def join_laterals(rel: Rel, context: Context) -> Rel:
    """LATERAL joins whose right side can be freed of its correlation become plain ones."""
    return ir.rewrite(rel, lambda node: _lateral(node, context))


def _has_sub(rel: Rel) -> bool:
    return any(sc.has_sub(e) for e in ir.scalars(rel))


class _Node:
    """Rewrites the sub-queries of one node; `base` is its input with what has been joined to it."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.base: Rel = ir.Values(((),), ())
        self.made: dict[Sub, Scalar] = {}

    def rewritten(self, rel: Rel) -> Rel:
        """The node over joins, where it had sub-queries that can be joined."""
        if not isinstance(rel, ir.Filter | ir.Project | ir.Aggregate | ir.Window | ir.Join) or not _has_sub(rel):
            return rel
        if isinstance(rel, ir.Filter):
            return self._filter(rel)
        if isinstance(rel, ir.Join):
            return self._join(rel)
        self.base = rel.input
        new = tuple(self.value(e) for e in ir.scalars(rel))
        made = ir.with_inputs(ir.with_scalars(rel, new), (self.base,))
        return _only(made, ir.output(rel)) if isinstance(rel, ir.Window) else made

    def _filter(self, rel: ir.Filter) -> Rel:
        plain = tuple(p for p in rel.predicates if not sc.has_sub(p))
        # What may fail is asked of all rows, as PostgreSQL does; the rest goes down later, to both sides of a join.
        first = tuple(p for p in plain if sc.volatile(p) or sc.can_raise(p))
        self.base = ir.Filter(rel.input, first) if first else rel.input
        late = []
        for p in rel.predicates:
            if not sc.has_sub(p):
                continue
            try:
                self.base = self._conjunct(p)
            except Kept:
                late.append(p)
        late = [*(p for p in plain if p not in first), *(self.value(p) for p in late)]
        made = ir.Filter(self.base, tuple(late)) if late else self.base
        return _only(made, ir.output(rel))

    def _join(self, rel: ir.Join) -> Rel:
        """In ON: of an inner join as in WHERE; of a left one where one side has all that the sub-query reads."""
        if rel.kind == "inner":
            asked = tuple(p for p in rel.on if sc.has_sub(p))
            return self._filter(ir.Filter(replace(rel, on=tuple(p for p in rel.on if p not in asked)), asked))
        if rel.kind != "left":
            return rel
        left, right = ir.ids(rel.left), ir.ids(rel.right)
        inside = tuple(p for p in rel.on if sc.has_sub(p) and not sc.columns(p) & left and sc.columns(p) & right)
        self.base = rel.left
        mine = {p: self.value(p) for p in rel.on if sc.has_sub(p) and not sc.columns(p) & right}
        on = tuple(mine.get(p, p) for p in rel.on if p not in inside)
        other = _Node(self.context)._filter(ir.Filter(rel.right, inside)) if inside else rel.right
        return _only(replace(rel, left=self.base, right=other, on=on), ir.output(rel))

    # -- conjuncts of WHERE

    def _conjunct(self, p: Scalar) -> Rel:
        """The base filtered by one conjunct; Kept where that is no semi or anti join."""
        negated = isinstance(p, Call) and p.op == "not"
        sub = p.args[0] if isinstance(p, Call) and negated else p
        if not isinstance(sub, Sub):
            raise Kept("part of an expression")
        if sub.kind == "exists":
            found = self._free(_existence(sub.rel, self.context), multi=False)
            return self._half("anti" if negated else "semi", found, found.on)
        if sub.kind == "all" and sub.op == "<>" and not negated:
            sub, negated = Sub("any", sub.rel, sub.columns, sub.args, "=", sub.type), True
        if sub.kind not in ("in", "any") or any(sc.volatile(a) or sc.can_raise(a) for a in sub.args):
            raise Kept("no membership")
        found = self._free(sub.rel, multi=False)
        compare = _comparisons(sub, found)
        if negated and not self._comparable(sub, found):
            raise Kept("NOT IN over NULLs")
        return self._half("anti" if negated else "semi", found, (*found.on, *compare))

    def _half(self, kind: str, found: Free, on: tuple[Scalar, ...]) -> Rel:
        if found.one or found.rel is None:
            raise Kept("one row")
        if any(sc.volatile(p) or sc.can_raise(p) for p in on):
            raise Kept("a comparison that may fail")
        return ir.Join(kind, self.base, found.rel, on)

    def _comparable(self, sub: Sub, found: Free) -> bool:
        """Whether no comparison of the membership is ever unknown."""
        if found.rel is None:
            return False
        known = never_null(self.base) | never_null(found.rel)
        values = (*sub.args, *(found.value(i, sub.rel) for i in sub.columns))
        return all(is_never_null(e, known) for e in values)

    def _free(self, rel: Rel, multi: bool) -> Free:
        """The sub-query without correlation; Kept where it cannot be, or may fail where nobody would look."""
        if ir.volatile_rel(rel):
            raise Kept("it is volatile")
        found = Decorrelator(rel, self.context).free(rel, multi)
        if found.rel is not None and _fails(found.rel, filters=multi or not _flat(found.rel)):
            raise Kept("it may fail")
        return found

    # -- values

    def value(self, e: Scalar) -> Scalar:
        """The expression with its sub-queries read from joined columns."""
        return sc.transform(e, self._replaced) if sc.has_sub(e) else e

    def _replaced(self, e: Scalar) -> Scalar | None:
        if not isinstance(e, Sub):
            return None
        if e not in self.made:
            self.made[e] = self._joined(e)
        return self.made[e]

    def _joined(self, sub: Sub) -> Scalar:
        sub = Sub(sub.kind, sub.rel, sub.columns, tuple(self.value(a) for a in sub.args), sub.op, sub.type)
        before = self.base
        try:
            match sub.kind:
                case "scalar":
                    return self._scalar(sub)
                case "exists":
                    return self._exists(sub)
                case "in" | "any":
                    return self._membership(sub)
                case "all" if sub.op in _OPPOSITE:
                    opposite = Sub("any", sub.rel, sub.columns, sub.args, _OPPOSITE[sub.op], sub.type)
                    return Call("not", (self._membership(opposite),), sc.BOOL)
        except Kept:
            self.base = before
        return sub

    def _beside(self, found: Free) -> None:
        """Joins what has one row at most for each row of the base."""
        if found.rel is None:
            return
        always = not found.on and _exactly_one(found.rel)
        self.base = ir.Join("inner" if always else "left", self.base, found.rel, found.on)

    def _scalar(self, sub: Sub) -> Scalar:
        if not _reads(sub.rel):
            raise Kept("it reads no relation")
        found = self._free(sub.rel, multi=True)
        value = found.value(sub.columns[0], sub.rel)
        if found.one:
            self._beside(found)
            return _if(found.having, value)
        rel = found.joined
        if _at_most_one(found):
            self._beside(found)
            return value if sc.strict_on(value, ir.ids(rel)) else _if(_matched(found), value)
        if not found.on or not isinstance(value, Col) or value.id not in ir.ids(rel):
            raise Kept("more than one row is an error")
        inner, columns, on = Decorrelator(sub.rel, self.context).keyed(found)
        first = Col(self.context.next_id(), value.type)
        count = Col(self.context.next_id(), INT8)
        fresh = {c.id: Col(self.context.next_id(), c.type) for c in columns}
        aggs = ((first.id, Agg("any_value", (value,), value.type)), (count.id, Agg("count", (), INT8)))
        grouped = ir.Aggregate(inner, tuple((fresh[c.id].id, c) for c in columns), aggs)
        self._beside(Free(grouped, tuple(sc.substitute(p, fresh) for p in on)))
        return Call("single", (count, first), sub.type)

    def _exists(self, sub: Sub) -> Scalar:
        found = self._free(_existence(sub.rel, self.context), multi=False)
        if found.one:
            self._beside(found)
            return Call("is true", (sc.conjoin(found.having),), sc.BOOL) if found.having else TRUE
        self._strict(found)
        return self._mark(found.joined, found.on, ())

    def _membership(self, sub: Sub) -> Scalar:
        if any(sc.volatile(a) or sc.can_raise(a) for a in sub.args):
            raise Kept("a comparison that may fail")
        found = self._free(sub.rel, multi=False)
        compare = _comparisons(sub, found)
        if any(sc.can_raise(p) for p in compare):
            raise Kept("a comparison that may fail")
        if found.one:
            self._beside(found)
            within = sc.conjoin(compare)
            return Call("case", (sc.conjoin(found.having), within, FALSE), sc.BOOL) if found.having else within
        self._strict(found)
        if self._comparable(sub, found):
            return self._mark(found.joined, (*found.on, *compare), ())
        if not found.on or len(compare) > 1:
            return self._mark(found.joined, found.on, compare)
        return self._three_valued(sub, found, compare)

    def _strict(self, found: Free) -> None:
        """A value may stand where few rows reach it: then even a filter inside may not fail."""
        if _fails(found.joined, filters=True):
            raise Kept("it may fail")

    def _mark(self, rel: Rel, on: tuple[Scalar, ...], compare: tuple[Scalar, ...]) -> Scalar:
        mark = self.context.next_id()
        self.base = ir.Join("mark", self.base, rel, on, mark=mark, compare=compare)
        return Col(mark, sc.BOOL)

    def _three_valued(self, sub: Sub, found: Free, compare: tuple[Scalar, ...]) -> Scalar:
        """IN among an outer row's own values: TRUE by a match; else NULL where one of them, or where the value
        compared and not all of nothing, is NULL. So the group's size and its number of values tell the rest."""
        if ir.unsteady(found.joined):
            raise Kept("it would run twice")
        value = found.value(sub.columns[0], sub.rel)
        if sc.columns(value) - ir.ids(found.joined):
            raise Kept("a value of outer columns")
        inner, columns, on = Decorrelator(sub.rel, self.context).keyed(found)
        copy, at = relabel(found.joined, self.context.next_id)
        renamed: dict[int, Scalar] = {i: Col(at[i], kind) for i, kind in ir.output(found.joined)}
        total, known = Col(self.context.next_id(), INT8), Col(self.context.next_id(), INT8)
        fresh = {c.id: Col(self.context.next_id(), c.type) for c in columns}
        aggs = ((total.id, Agg("count", (), INT8)), (known.id, Agg("count", (value,), INT8)))
        grouped = ir.Aggregate(inner, tuple((fresh[c.id].id, c) for c in columns), aggs)
        self._beside(Free(grouped, tuple(sc.substitute(p, fresh) for p in on)))
        mark = self._mark(copy, tuple(sc.substitute(p, renamed) for p in (*found.on, *compare)), ())
        some = Call(">", (total, Lit("0", INT8)), sc.BOOL)
        missing = Call("<", (known, total), sc.BOOL)
        unknown = Call("or", (Call("is null", (sub.args[0],), sc.BOOL), missing), sc.BOOL)
        arms = (mark, TRUE, Call("and", (some, unknown), sc.BOOL), Lit(None, sc.BOOL), FALSE)
        return Call("case", arms, sc.BOOL)


def _lateral(rel: Rel, context: Context) -> Rel:
    if not isinstance(rel, ir.Join) or not rel.lateral or rel.kind not in ("inner", "left"):
        return rel
    if ir.volatile_rel(rel.right):
        return rel
    try:
        found = Decorrelator(rel.right, context).free(rel.right)
        if found.rel is not None and _fails(found.rel, filters=not _flat(found.rel)):
            return rel
        return _beside_left(rel, found)
    except Kept:
        return rel


def _beside_left(rel: ir.Join, found: Free) -> Rel:
    values = {i: found.value(i, rel.right) for i, _ in ir.output(rel.right)}
    on = tuple(sc.substitute(p, found.columns) for p in rel.on)
    if any(sc.has_sub(p) for p in on):
        raise Kept("sub-queries in ON")
    base: Rel
    if found.one:
        if rel.kind == "left" and (on or found.having):
            raise Kept("an outer join of one row")
        always = not found.on
        kind = "inner" if always else "left"
        base = rel.left if found.rel is None else ir.Join(kind, rel.left, found.rel, found.on)
        base = ir.Filter(base, (*found.having, *on)) if found.having or on else base
    else:
        base = ir.Join(rel.kind, rel.left, found.joined, (*found.on, *on))
        if rel.kind == "left":
            own = ir.ids(found.joined)
            values = {i: v if sc.strict_on(v, own) else _if(_matched(found), v) for i, v in values.items()}
    kept = tuple((i, Col(i, kind)) for i, kind in ir.output(rel.left))
    return ir.Project(base, (*kept, *values.items()))


def _only(rel: Rel, wanted: tuple[tuple[int, object], ...]) -> Rel:
    """The relation without the columns that were joined to it on the way."""
    if ir.output(rel) == wanted:
        return rel
    kinds = dict(ir.output(rel))
    return ir.Project(rel, tuple((i, Col(i, kinds[i])) for i, _ in wanted))


def _comparisons(sub: Sub, found: Free) -> tuple[Scalar, ...]:
    values = (found.value(i, sub.rel) for i in sub.columns)
    return tuple(Call(sub.op, (a, b), sc.BOOL) for a, b in zip(sub.args, values, strict=True))


def _if(conditions: tuple[Scalar, ...], value: Scalar) -> Scalar:
    return Call("case", (sc.conjoin(conditions), value), value.type) if conditions else value


def _matched(found: Free) -> tuple[Scalar, ...]:
    """A condition that holds where the outer join found a row: a column that equals something is not NULL."""
    own = ir.ids(found.joined)
    for p in found.on:
        if isinstance(p, Call) and p.op == "=":
            for a in p.args:
                if isinstance(a, Col) and a.id in own:
                    return (Call("is not null", (a,), sc.BOOL),)
    raise Kept("nothing tells whether a row was found")


def _at_most_one(found: Free) -> bool:
    """Whether the columns equated with outer values are unique in the relation."""
    own = ir.ids(found.joined)
    equal = set()
    for p in found.on:
        if isinstance(p, Call) and p.op == "=":
            a, b = p.args
            pairs = ((a, b), (b, a))
            equal |= {x.id for x, y in pairs if isinstance(x, Col) and x.id in own and not sc.columns(y) & own}
    return any(key <= equal for key in unique_keys(found.joined))


def _exactly_one(rel: Rel) -> bool:
    while isinstance(rel, ir.Project):
        rel = rel.input
    return isinstance(rel, ir.Aggregate) and not rel.keys and not rel.sets


def _existence(rel: Rel, context: Context) -> Rel:
    """The relation without what cannot change whether it has a row."""
    while True:
        match rel:
            case ir.Sort() | ir.Distinct():
                rel = rel.input
            case ir.Project() if not any(sc.special(e) for _, e in rel.items):
                rel = rel.input
            case ir.Limit(count=count) if rel.offset is None and count and context.values.at_most(count, 0) is False:
                rel = rel.input
            case _:
                return rel


def _reads(rel: Rel) -> bool:
    """Whether a relation of some source or of the session is read at all."""
    return isinstance(rel, ir.Scan | ir.Local | ir.CteRef) or any(_reads(branch) for branch in ir.inputs(rel))


def _flat(rel: Rel) -> bool:
    """Whether it is selections and joins only: PostgreSQL itself runs their filters before the semi join."""
    if not isinstance(rel, ir.Filter | ir.Project | ir.Scan | ir.SetOp | ir.CteRef) and not (
        isinstance(rel, ir.Join) and rel.kind in ("inner", "left")
    ):
        return False
    return all(_flat(branch) for branch in ir.inputs(rel))


def _fails(rel: Rel, filters: bool) -> bool:
    """Whether computing all of the relation may fail; `filters`: those of its filters count too."""
    if isinstance(rel, ir.Local | ir.Opaque | ir.Recursive):
        return True
    asked = filters or not isinstance(rel, ir.Filter | ir.Join)
    return (asked and any(map(_may_fail, ir.scalars(rel)))) or any(_fails(b, filters) for b in ir.inputs(rel))


def _may_fail(e: Scalar) -> bool:
    if isinstance(e, Agg):
        return any(map(_may_fail, sc.children(e))) or (e.name not in _SAFE_CALLS and not _summable(e))
    if isinstance(e, sc.Verbatim) and e.kind in ("aggregate", "window"):
        return _unsafe_call(e)
    return sc.can_raise(e)


_SAFE_CALLS = frozenset(
    "array_agg string_agg json_agg jsonb_agg bool_and bool_or bit_and bit_or bit_xor min max count row_number rank "
    "dense_rank percent_rank "
    "cume_dist lag lead first_value last_value percentile_disc percentile_cont mode any_value".split()
)


def _unsafe_call(e: sc.Verbatim) -> bool:
    name = str(e.parts[0]).lstrip("(").partition("(")[0].lower()
    return name not in _SAFE_CALLS or any(map(sc.can_raise, e.args))


def _summable(e: Agg) -> bool:
    return e.args[0].type is not None and e.args[0].type.name in ("int2", "int4", "int8", "numeric")
