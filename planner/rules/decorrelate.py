"""A correlated sub-query as a relation without correlation and the conditions under which its rows are an outer row's.

Predicates over outer columns move up through what stands above them. Where they would change what an operator sees
(grouping, DISTINCT, LIMIT, windows, set operations), an equality becomes a key of that operator instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from connectors.capability import family
from planner import ir
from planner import scalar as sc
from planner.context import Context
from planner.ir import Rel, SortKey
from planner.scalar import Agg, Call, Col, Lit, Scalar, Verbatim
from planner.types import INT8

# Families whose `=` is an equivalence that GROUP BY shares, across the types of one family too.
_KEYS = frozenset("int numeric text bpchar date timestamp timestamptz time uuid bool float float4".split())
# Aggregates that give something else than NULL over no rows, or of which that is not known.
_NOT_NULL = frozenset(("count", "regr_count", "grouping"))
_NAME = re.compile(r"\(*([A-Za-z_]\w*)\(")


class Kept(Exception):
    """Why a sub-query stays as it is."""


@dataclass(frozen=True, slots=True)
class Free:
    """The rows of a sub-query for one outer row: those of `rel` that make all of `on` true.

    `columns`: expressions, over outer columns too, for output columns that `rel` does not produce. `one`: there is
    exactly one row, whose columns are expressions over the one row of `rel` that `on` finds or, where it finds none,
    over NULLs; it is there where `having` holds. Without `rel` nothing need be joined.
    """

    rel: Rel | None
    on: tuple[Scalar, ...] = ()
    columns: Mapping[int, Scalar] = field(default_factory=dict)
    one: bool = False
    having: tuple[Scalar, ...] = ()

    def value(self, column: int, rel: Rel) -> Scalar:
        """What stands for an output column of `rel`, the sub-query as it was."""
        return self.columns.get(column) or Col(column, dict(ir.output(rel))[column])

    @property
    def joined(self) -> Rel:
        """`rel` where there must be one."""
        if self.rel is None or self.one:
            raise Kept("one row amid a sub-query")
        return self.rel


class Decorrelator:
    """Frees one sub-query of its outer columns."""

    def __init__(self, rel: Rel, context: Context) -> None:
        self.outer = ir.outer_columns(rel)
        self.context = context

    def free(self, rel: Rel, multi: bool = True) -> Free:
        """`rel` without its correlation; Kept where that is not possible. `multi`: duplicates matter."""
        if isinstance(rel, ir.Values) and len(rel.rows) == 1 and not rel.columns:
            return Free(None, one=True)
        if not self._outside(ir.outer_columns(rel)):
            return Free(rel)
        match rel:
            case ir.Filter():
                return self._filter(rel, multi)
            case ir.Project():
                return self._project(rel, multi)
            case ir.Join():
                return self._join(rel, multi)
            case ir.Aggregate() if not rel.sets:
                return self._aggregate(rel)
            case ir.Distinct():
                return self._distinct(rel, multi)
            case ir.Sort():
                return self._sort(rel, multi)
            case ir.Limit() if not rel.ties:
                return self._limit(rel)
            case ir.SetOp():
                return self._set_operation(rel, multi)
            case ir.Window():
                return self._window(rel)
            case ir.Shared() if not self._outside(ir.outer_columns(rel.body)):
                inner = self.free(rel.input, multi)
                return replace(inner, rel=ir.Shared(rel.id, rel.body, rel.body_ids, inner.joined))
            case _:
                raise Kept(f"correlation in {type(rel).__name__.lower()}")

    def _outside(self, columns: frozenset[int]) -> frozenset[int]:
        return columns & self.outer

    def _correlated(self, e: Scalar) -> bool:
        return bool(self._outside(sc.columns(e)))

    # -- what predicates pass

    def _filter(self, rel: ir.Filter, multi: bool) -> Free:
        below = self.free(rel.input, multi)
        predicates = [sc.substitute(p, below.columns) for p in rel.predicates]
        if below.one:
            return replace(below, having=(*below.having, *predicates))
        stay = tuple(p for p in predicates if not self._correlated(p))
        up = tuple(p for p in predicates if self._correlated(p))
        _movable(up)
        inner = below.joined
        return replace(below, rel=ir.Filter(inner, stay) if stay else inner, on=(*below.on, *up))

    def _project(self, rel: ir.Project, multi: bool) -> Free:
        """What reads outer columns, or may fail, is computed where the sub-query stood."""
        below = self.free(rel.input, multi)
        items = {i: sc.substitute(e, below.columns) for i, e in rel.items}
        if any(sc.special(e) for e in items.values()) and (below.one or any(map(self._correlated, items.values()))):
            raise Kept("a set-returning function of outer columns")
        if below.one:
            return replace(below, columns=items)
        later = {i: e for i, e in items.items() if self._correlated(e) or (sc.can_raise(e) and not sc.special(e))}
        read = frozenset().union(*(sc.columns(e) for e in (*below.on, *later.values())))
        through = tuple((i, Col(i, kind)) for i, kind in ir.output(below.joined) if i in read and i not in items)
        kept = tuple((i, e) for i, e in items.items() if i not in later)
        return replace(below, rel=ir.Project(below.joined, (*kept, *through)), columns=later)

    def _sort(self, rel: ir.Sort, multi: bool) -> Free:
        below = self.free(rel.input, multi)
        if below.one:
            return below
        return replace(below, rel=ir.Sort(below.joined, self._order(rel.keys, below)))

    def _order(self, keys: tuple[SortKey, ...], below: Free) -> tuple[SortKey, ...]:
        made = tuple(SortKey(sc.substitute(k.expr, below.columns), k.desc, k.nulls_first, k.using) for k in keys)
        if any(self._correlated(k.expr) for k in made):
            raise Kept("an order by outer columns")
        return made

    # -- joins

    def _join(self, rel: ir.Join, multi: bool) -> Free:
        left = self.free(rel.left, multi)
        if rel.lateral and left.columns:
            raise Kept("LATERAL over outer columns")
        on = tuple(sc.substitute(p, left.columns) for p in rel.on)
        if rel.kind == "inner":
            right = self.free(rel.right, multi)
            on = tuple(sc.substitute(p, right.columns) for p in on)
            stay, up = self._parted(on)
            joined = replace(rel, left=left.joined, right=right.joined, on=stay)
            return Free(joined, (*left.on, *right.on, *up), {**left.columns, **right.columns})
        if rel.kind == "semi":
            return self._semi(rel, left, on, multi)
        both = (*on, *(sc.substitute(p, left.columns) for p in rel.compare))
        if rel.kind == "full" or any(map(self._correlated, both)) or self._outside(ir.outer_columns(rel.right)):
            raise Kept(f"correlation in a {rel.kind} join")
        return replace(left, rel=replace(rel, left=left.joined, on=on, compare=both[len(on) :]))

    def _parted(self, on: tuple[Scalar, ...]) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
        up = tuple(p for p in on if self._correlated(p))
        _movable(up)
        return tuple(p for p in on if p not in up), up

    def _semi(self, rel: ir.Join, left: Free, on: tuple[Scalar, ...], multi: bool) -> Free:
        """A semi join whose conditions read outer columns meets each row at most once: over distinct values."""
        right = self.free(rel.right, multi=False)
        every = (*(sc.substitute(p, right.columns) for p in on), *right.on)
        stay, up = self._parted(every)
        if not up:
            return replace(left, rel=replace(rel, left=left.joined, right=right.joined, on=stay))
        inner = right.joined
        if multi:
            inner, stay, up = self._distinct_values(inner, stay, up)
        return replace(left, rel=ir.Join("inner", left.joined, inner, stay, rel.lateral), on=(*left.on, *up))

    def _distinct_values(
        self, rel: Rel, stay: tuple[Scalar, ...], up: tuple[Scalar, ...]
    ) -> tuple[Rel, tuple[Scalar, ...], tuple[Scalar, ...]]:
        ids = ir.ids(rel)
        values: dict[Scalar, Col] = {}

        def keyed(p: Scalar) -> Scalar:
            mine, theirs, op = _equality(p, lambda e: bool(sc.columns(e)) and sc.columns(e) <= ids)
            if sc.columns(theirs) & ids:
                raise Kept("a condition that is no equality")
            values.setdefault(mine, Col(self.context.next_id(), mine.type))
            return Call(op, (values[mine], theirs), sc.BOOL)

        stay, up = tuple(keyed(p) for p in stay), tuple(keyed(p) for p in up)
        return ir.Distinct(ir.Project(rel, tuple((c.id, e) for e, c in values.items()))), stay, up

    # -- operators that need their keys

    def keyed(self, below: Free) -> tuple[Rel, tuple[Col, ...], tuple[Scalar, ...]]:
        """The relation with a column for each expression that an outer one must equal; these; the conditions."""
        columns: dict[Scalar, Col] = {}
        made: list[tuple[int, Scalar]] = []
        on: list[Scalar] = []
        for p in below.on:
            mine, theirs, op = _equality(p, lambda e: bool(sc.columns(e)) and not self._correlated(e))
            if not sc.columns(theirs) <= self.outer:
                raise Kept("a condition that is no equality with an outer value")
            if mine not in columns:
                columns[mine] = mine if isinstance(mine, Col) else Col(self.context.next_id(), mine.type)
                made += [] if isinstance(mine, Col) else [(columns[mine].id, mine)]
            on.append(Call(op, (columns[mine], theirs), sc.BOOL))
        rel = below.joined
        if made:
            rel = ir.Project(rel, (*((i, Col(i, kind)) for i, kind in ir.output(rel)), *made))
        return rel, tuple(columns.values()), tuple(on)

    def _aggregate(self, rel: ir.Aggregate) -> Free:
        below = self.free(rel.input)
        keys = tuple((i, sc.substitute(e, below.columns)) for i, e in rel.keys)
        aggs = tuple((i, sc.substitute(e, below.columns)) for i, e in rel.aggs)
        if any(self._correlated(e) for _, e in (*keys, *aggs)):
            raise Kept("an aggregate of outer columns")
        inner, columns, on = self.keyed(below)
        fresh = {c.id: Col(self.context.next_id(), c.type) for c in columns}
        by = (*keys, *((fresh[c.id].id, c) for c in columns))
        on = tuple(sc.substitute(p, fresh) for p in on)
        grouped = ir.Aggregate(inner, by, aggs)
        if rel.keys:
            return Free(grouped, on)
        return Free(grouped, on, {i: _over_nothing(i, e) for i, e in aggs}, one=True)

    def _distinct(self, rel: ir.Distinct, multi: bool) -> Free:
        if rel.on is None and not multi:
            return self.free(rel.input, multi=False)
        below = self.free(rel.input)
        if below.one:
            return below
        own = ir.ids(rel)
        if rel.on is None and below.columns.keys() & own:
            raise Kept("DISTINCT of outer columns")
        inner, columns, on = self.keyed(below)
        if rel.on is None:
            wanted = own | {c.id for c in columns}
            items = tuple((i, Col(i, kind)) for i, kind in ir.output(inner) if i in wanted)
            return Free(ir.Distinct(ir.Project(inner, items)), on)
        by = tuple(sc.substitute(e, below.columns) for e in rel.on)
        if any(map(self._correlated, by)):
            raise Kept("DISTINCT ON of outer columns")
        order = (*(SortKey(c) for c in columns), *self._order(rel.order, below))
        return Free(ir.Distinct(inner, (*columns, *by), order), on, below.columns)

    def _limit(self, rel: ir.Limit) -> Free:
        first, count = self._number(rel.offset, 0), self._number(rel.count, -1)
        sort = rel.input if isinstance(rel.input, ir.Sort) else None
        below = self.free(sort.input if sort is not None else rel.input)
        if count == 0 or (below.one and first):
            raise Kept("LIMIT of nothing")
        if below.one:
            return below
        keys = self._order(sort.keys if sort is not None else (), below)
        inner, columns, on = self.keyed(below)
        if not columns:
            return replace(below, rel=ir.Limit(ir.Sort(inner, keys) if keys else inner, rel.count, rel.offset))
        if (first, count) == (0, 1):
            picked: Rel = ir.Distinct(inner, columns, (*(SortKey(c) for c in columns), *keys))
            return Free(picked, on, below.columns)
        number = Col(self.context.next_id(), INT8)
        bounds = [Call(">", (number, Lit(str(first), INT8)), sc.BOOL)] if first else []
        if count > 0:
            bounds.append(Call("<=", (number, Lit(str(first + count), INT8)), sc.BOOL))
        counted = ir.Window(inner, ((number.id, _row_number(columns, keys)),))
        return Free(ir.Filter(counted, tuple(bounds)) if bounds else inner, on, below.columns)

    def _number(self, e: Scalar | None, missing: int) -> int:
        known = missing if e is None else self.context.values.integer(e)
        if known is None or (e is not None and known < 0):
            raise Kept("LIMIT by an expression")
        return known

    def _window(self, rel: ir.Window) -> Free:
        below = self.free(rel.input)
        items = tuple((i, sc.substitute(e, below.columns)) for i, e in rel.items)
        if any(self._correlated(e) for _, e in items):
            raise Kept("a window over outer columns")
        inner, columns, on = self.keyed(below)
        return Free(ir.Window(inner, tuple((i, _partitioned(e, columns)) for i, e in items)), on, below.columns)

    def _set_operation(self, rel: ir.SetOp, multi: bool) -> Free:
        """Each branch with the same outer values equated: they become columns of the result."""
        branches = [(self.free(b, multi or rel.kind != "union"), ids) for b, ids in rel.inputs]
        keyed = []
        for branch, ids in branches:
            if branch.columns.keys() & set(ids):
                raise Kept("outer columns in a branch")
            inner, _, on = self.keyed(branch)
            keyed.append((inner, ids, {(p.op, p.args[1]): p.args[0] for p in on if isinstance(p, Call)}))
        wanted = tuple(keyed[0][2])
        if not wanted or any(found.keys() != set(wanted) for _, _, found in keyed):
            raise Kept("branches of unlike correlation")
        fresh = {}
        for key in wanted:
            kinds = {found[key].type for _, _, found in keyed}
            if len(kinds) > 1:
                raise Kept("branches of unlike types")
            fresh[key] = Col(self.context.next_id(), kinds.pop())
        inputs = tuple((inner, (*ids, *(_id(found[k]) for k in wanted))) for inner, ids, found in keyed)
        columns = (*rel.columns, *((c.id, c.type) for c in fresh.values()))
        on = tuple(Call(op, (fresh[op, theirs], theirs), sc.BOOL) for op, theirs in wanted)
        return Free(ir.SetOp(rel.kind, rel.all, inputs, columns), on)


def _id(e: Scalar) -> int:
    if not isinstance(e, Col):
        raise Kept("a key that is no column")
    return e.id


def _movable(predicates: tuple[Scalar, ...]) -> None:
    """Kept where a condition may not be asked of other rows than it was, or is a sub-query itself."""
    for p in predicates:
        if sc.volatile(p) or sc.can_raise(p):
            raise Kept("a condition that may fail")


def _equality(p: Scalar, mine: object) -> tuple[Scalar, Scalar, str]:
    """(side for which `mine` holds, other side, operator) of an equality of types that group as they compare."""
    if isinstance(p, Call) and p.op in ("=", "is not distinct") and callable(mine):
        for a, b in (p.args, p.args[::-1]):
            if mine(a) and family(a.type) in _KEYS and family(b.type) in _KEYS:
                return a, b, p.op
    raise Kept("a condition that is no equality")


def _over_nothing(i: int, e: Scalar) -> Scalar:
    """An aggregate's column where its group may be missing: what the aggregate gives over no rows."""
    if isinstance(e, Agg) and e.name == "count":
        return Call("coalesce", (Col(i, INT8), Lit("0", INT8)), INT8)
    if isinstance(e, Verbatim):
        found = _NAME.match(str(e.parts[0])) if e.parts else None
        if found is None or found.group(1).lower() in _NOT_NULL:
            raise Kept("an aggregate that may not be NULL over no rows")
    return Col(i, e.type)


def _row_number(columns: tuple[Col, ...], keys: tuple[SortKey, ...]) -> Verbatim:
    args: list[Scalar] = []
    parts: list[str | int] = ["ROW_NUMBER() OVER ("]
    for at, c in enumerate(columns):
        parts += ["PARTITION BY " if not at else ", ", len(args)]
        args.append(c)
    for at, k in enumerate(keys):
        if k.using:
            raise Kept("ORDER BY USING")
        parts += [" ORDER BY " if not at else ", ", len(args)]
        parts.append((" DESC" if k.desc else "") + (" NULLS FIRST" if k.nulls_first else " NULLS LAST"))
        args.append(k.expr)
    return Verbatim((*parts, ")"), tuple(args), "window", False, INT8)


def _partitioned(e: Scalar, columns: tuple[Col, ...]) -> Scalar:
    """A window call by `columns` first; what is none stays."""
    if not isinstance(e, Verbatim) or e.kind != "window" or not columns:
        return e
    at = next((n for n, p in enumerate(e.parts) if isinstance(p, str) and "OVER (" in p), None)
    if at is None:
        raise Kept("a window that is not understood")
    head, _, rest = str(e.parts[at]).partition("OVER (")
    parts: list[str | int] = [*e.parts[:at], f"{head}OVER (PARTITION BY "]
    for n in range(len(columns)):
        parts += [*([", "] if n else []), len(e.args) + n]
    word = "PARTITION BY "
    parts.append(", " + rest.removeprefix(word) if rest.startswith(word) else f" {rest}" if rest != ")" else rest)
    return Verbatim((*parts, *e.parts[at + 1 :]), (*e.args, *columns), e.kind, e.volatile, e.type)
