"""Which rows a fragment asks for, told apart from how it asks: so that rows fetched for one can answer another.

Filters commute with everything that a region holds: with projections and inner joins always, with the kept side of
other joins, with DISTINCT and GROUP BY where they read grouped columns only. What does not commute, or cannot be
checked again here, is part of the frame, which must be the same.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.base import Bound, Collation
from connectors.types import PgType
from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.plan import BoundaryRef, ComputedRef, Condition, KeysRef, ParamRef, Region, Term, Value
from planner.scalar import Agg, Boundary, Call, Col, KeyIn, Lit, Once, Param, Scalar
from planner.targets import python_value

Keys = Mapping[KeyIn, tuple[KeysRef, ...]]

# Types whose values compare here, as Arrow has them, just as PostgreSQL compares them. Not floats (NaN, -0), and
# numerics only where every value has the same scale.
_CLASSES = {
    "int2": "int", "int4": "int", "int8": "int", "bool": "bool", "date": "date", "timestamp": "timestamp",
    "timestamptz": "timestamptz", "uuid": "uuid", "numeric": "numeric", "text": "text", "varchar": "text",
}  # fmt: skip
_EQUALITY = frozenset(("=", "<>", "in", "notin", "any"))
_ORDER = frozenset(("<", "<=", ">", ">="))
_TURNED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TRUE, _FALSE = Bound(sc.BOOL, True), Bound(sc.BOOL, False)


class _Opaque(Exception):
    """A part that no region holds."""


@dataclass(frozen=True, slots=True)
class _Out:
    """A column: what it stands for, and the operators that can be repeated over its values."""

    term: Term
    ops: frozenset[str] = frozenset()


Env = Mapping[int, _Out]


@dataclass(frozen=True, slots=True)
class _Block:
    """Joined leaves, the predicates over them that must be the same, and those that need not be, each as both."""

    leaves: tuple[Term, ...]
    env: Env
    fixed: tuple[Term, ...] = ()
    free: tuple[tuple[Condition, Term], ...] = ()
    order: Term | None = None

    @property
    def frame(self) -> Term:
        """All that must be the same."""
        return _joined("from", self.leaves, _joined("where", self.fixed))

    @property
    def frozen(self) -> Term:
        """The whole, when nothing in it may differ."""
        return replace(self, fixed=(*self.fixed, *(term for _, term in self.free))).frame


def region(rel: Rel, columns: Sequence[int], keys: Keys) -> Region | None:
    """The region of a fragment's relation; None where its rows answer no other fragment, nor another's it.

    `keys` is what stands in its statement for each of its predicates over keys.
    """
    try:
        reader = _Reader(keys)
        block = reader.block(rel)
        outs = tuple(block.env[i].term for i in columns)
    except (_Opaque, KeyError):
        return None
    digest = hashlib.blake2b(block.frame.text.encode(), digest_size=16).hexdigest()
    frame = Term(digest, block.frame.values)
    conditions, repeated = tuple(dict.fromkeys(c for c, _ in block.free)), max(reader.scans.values(), default=0) > 1
    return Region(frame, outs, conditions, block.order, repeated)


@dataclass(slots=True)
class _Reader:
    keys: Keys
    scans: Counter[str] = field(default_factory=Counter)
    groupings: int = 0

    def block(self, rel: Rel) -> _Block:
        """A relation as a block; _Opaque for one that has none."""
        match rel:
            case ir.Scan():
                return self._scan(rel)
            case ir.Filter():
                return self._where(replace(self.block(rel.input), order=None), rel.predicates)
            case ir.Project():
                return self._project(rel)
            case ir.Join() if not rel.lateral:
                return self._join(rel)
            case ir.Aggregate() if rel.keys and not rel.sets:
                return self._aggregate(rel)
            case ir.Distinct() if rel.on is None:
                return self._distinct(rel)
            case ir.Sort():
                return self._sort(rel)
            case _:
                raise _Opaque

    def _scan(self, rel: ir.Scan) -> _Block:
        table = rel.table
        if table.table is None:
            raise _Opaque
        path = f"{table.table.schema!r}.{table.table.name!r}"
        self.scans[path] += 1
        leaf = f"{path}#{self.scans[path]}"
        env = {}
        for i, at in rel.columns:
            column = table.table.columns[at]
            ops = _comparable(table.columns[at][1], column.collation) if column.exact else frozenset[str]()
            env[i] = _Out(Term(f"{leaf}.{column.name!r}"), ops)
        return _Block((Term(leaf),), env)

    def _project(self, rel: ir.Project) -> _Block:
        below = self.block(rel.input)
        env = {}
        for i, e in rel.items:
            if isinstance(e, Col):
                env[i] = below.env[e.id]
            else:
                env[i] = _Out(_term(e, below.env), _computed(e.type))
        return replace(below, env=env)

    def _join(self, rel: ir.Join) -> _Block:
        left, right = self.block(rel.left), self.block(rel.right)
        env = {**left.env, **right.env}
        if rel.kind == "inner":
            free, fixed = (*left.free, *right.free), (*left.fixed, *right.fixed)
            return self._where(_Block((*left.leaves, *right.leaves), env, fixed, free), rel.on)
        on = _joined("on", tuple(_term(p, env) for p in rel.on))
        if rel.kind == "full":
            leaf = _joined("full", (left.frozen, right.frozen), on, ordered=True)
            return _Block((leaf,), {**_nullable(left.env), **_nullable(right.env)})
        if rel.kind not in ("left", "semi", "anti"):
            raise _Opaque
        kept = _joined("from", left.leaves)
        leaf = _joined(rel.kind, (kept, right.frozen), on, ordered=True)
        outs = {**left.env, **_nullable(right.env)} if rel.kind == "left" else left.env
        return _Block((leaf,), outs, left.fixed, left.free)

    def _aggregate(self, rel: ir.Aggregate) -> _Block:
        below = self.block(rel.input)
        self.groupings += 1
        groups = {i: (_term(e, below.env), _ops(e, below.env)) for i, e in rel.keys}
        env = {i: _Out(term, ops) for i, (term, ops) in groups.items()}
        for i, e in rel.aggs:  # numbered, since a count of counts is told from these only by where it stands
            made = _term(e, below.env)
            env[i] = _Out(Term(f"{self.groupings}:{made.text}", made.values), _computed(e.type))
        return _grouped("group", below, tuple(term for term, _ in groups.values()), env)

    def _distinct(self, rel: ir.Distinct) -> _Block:
        below = self.block(rel.input)
        env = {i: below.env[i] for i, _ in ir.output(rel)}
        return _grouped("distinct", below, tuple(out.term for out in env.values()), env)

    def _sort(self, rel: ir.Sort) -> _Block:
        below = self.block(rel.input)
        terms = [_term(key.expr, below.env) for key in rel.keys]
        ways = (f"{key.desc} {key.nulls_first} {key.using!r}" for key in rel.keys)
        named = tuple(Term(f"{t.text} {way}", t.values) for t, way in zip(terms, ways, strict=True))
        return replace(below, order=_joined("order", named, ordered=True))

    def _where(self, block: _Block, predicates: Iterable[Scalar]) -> _Block:
        fixed, free = list(block.fixed), list(block.free)
        for p in predicates:
            if isinstance(p, KeyIn):
                free.append(self._keyed(p, block.env))
                continue
            term = _term(p, block.env)
            condition = _condition(p, block.env)
            if condition is None:
                fixed.append(term)
            else:
                free.append((condition, term))
        return replace(block, fixed=tuple(fixed), free=tuple(free))

    def _keyed(self, p: KeyIn, env: Env) -> tuple[Condition, Term]:
        """Keys as a condition; combinations of several columns are none."""
        refs, column = self.keys.get(p, ()), p.args[0]
        if len(refs) != 1 or refs[0].columns or not isinstance(column, Col) or column.type is None:
            raise _Opaque
        out = env[column.id]
        if "any" not in out.ops:
            raise _Opaque
        return Condition(out.term, column.type, "any", refs), Term(f"keys({out.term.text}, ?)", refs)


def _grouped(word: str, below: _Block, by: tuple[Term, ...], env: Env) -> _Block:
    """One row for each combination of `by`: what reads nothing else may as well be asked of these rows."""
    free = tuple(pair for pair in below.free if pair[0].column in by)
    inner = replace(below, free=tuple(pair for pair in below.free if pair not in free), order=None)
    return _Block((_joined(word, (inner.frozen, _joined("by", by)), ordered=True),), env, (), free)


def _nullable(env: Env) -> dict[int, _Out]:
    """Columns past the outer join that may make them NULL: what was computed of them before it is another value."""
    return {i: _Out(Term(f"nullable({out.term.text})", out.term.values), out.ops) for i, out in env.items()}


def _joined(word: str, parts: Sequence[Term], last: Term | None = None, ordered: bool = False) -> Term:
    """Several terms as one."""
    parts = list(parts) if ordered else sorted(parts, key=lambda term: term.text)
    parts += [last] if last is not None else []
    return Term(f"{word}({', '.join(p.text for p in parts)})", tuple(value for p in parts for value in p.values))


def _comparable(kind: PgType | None, collation: Collation = Collation.LOOSE) -> frozenset[str]:
    """The operators whose results over fetched values are those of PostgreSQL."""
    known = _CLASSES.get(kind.name) if kind is not None else None
    if kind is None or known is None or (known == "numeric" and kind.arrow == PgType("text").arrow):
        return frozenset()
    if known == "text":
        exact = {Collation.BYTES: _EQUALITY | _ORDER, Collation.EQUAL: _EQUALITY}
        return exact.get(collation, frozenset())
    return _EQUALITY if known in ("uuid", "bool") else _EQUALITY | _ORDER


def _computed(kind: PgType | None) -> frozenset[str]:
    """The same for what a source computes."""
    return _comparable(kind) if kind is not None and kind.name != "numeric" else frozenset()


def _ops(e: Scalar, env: Env) -> frozenset[str]:
    return env[e.id].ops if isinstance(e, Col) else _computed(e.type)


# -- scalars


def _term(e: Scalar, env: Env) -> Term:
    match e:
        case Col():
            return env[e.id].term
        case Lit():
            return Term(f"{e.value!r}::{e.type.name}:{e.type.mod}")
        case Param() | Once() | Boundary():
            value = _value(e)
            if value is None:
                raise _Opaque
            return Term(f"?{e.type.name}:{e.type.mod}", (value,))
        case Call():
            kind = f"::{e.type.name}:{e.type.mod}" if e.op == "cast" and e.type is not None else ""
            made = _joined(f"{e.op!r}", [_term(a, env) for a in e.args], ordered=True)
            return Term(made.text + kind, made.values)
        case Agg() if not e.traits & sc.VOLATILE:
            where = "" if e.where is None else " where"
            args = [_term(a, env) for a in sc.children(e)]
            return _joined(f"{e.name!r}{' distinct' if e.distinct else ''}{where}", args, ordered=True)
        case _:
            raise _Opaque


def _value(e: Scalar) -> Value | None:
    """What a constant is at run time; None for what is none, or may turn out to be several values."""
    match e:
        case Lit() if e.value is not None:
            try:
                return Bound(e.type, python_value(e))
            except ValueError:
                return None
        case Param():
            return ParamRef(e.index, e.type)
        case Once():
            return ComputedRef(e.index, e.type)
        case Boundary() if e.sure:
            return BoundaryRef(e.index, e.type, e.sure)
        case _:
            return None


def _condition(p: Scalar, env: Env) -> Condition | None:
    """The predicate as one that can be checked again over fetched rows; None where it cannot."""
    if isinstance(p, Col):
        return _made(p, "=", (_TRUE,), env)
    if not isinstance(p, Call) or not p.args:
        return None
    found = _TESTS.get(p.op)
    if found is not None:
        op, values = found
        return _made(p.args[0], op, values, env)
    if p.op in _TURNED:
        column, value, op = p.args[0], p.args[1], p.op
        if not isinstance(sc.bare(column), Col):
            column, value, op = value, column, _TURNED[op]
        return _compared(column, op, (value,), env)
    return _compared(p.args[0], p.op, p.args[1:], env) if p.op in ("in", "notin", "any") else None


# NOT of a column is true where that is false, as IS FALSE is.
_TESTS: Mapping[str, tuple[str, tuple[Value, ...]]] = {
    "is null": ("null", ()), "is not null": ("notnull", ()), "is true": ("=", (_TRUE,)), "is false": ("=", (_FALSE,)),
    "not": ("=", (_FALSE,)),
}  # fmt: skip


def _compared(column: Scalar, op: str, constants: Sequence[Scalar], env: Env) -> Condition | None:
    values = [_value(e) for e in constants]
    if not _fits(column.type, constants, op):
        return None
    known = tuple(value for value in values if value is not None)
    return _made(column, op, known, env) if len(known) == len(values) else None


def _fits(kind: PgType | None, constants: Sequence[Scalar], op: str) -> bool:
    """Whether a column compares with these values as they are, without a cast of its own."""
    wanted = _CLASSES.get(kind.name) if kind is not None else None
    names = [e.type.name if e.type is not None else "" for e in constants]
    if op == "any":
        names = [name[1:] if name.startswith("_") else "" for name in names]
    classes = {_CLASSES.get(name) for name in names}
    return wanted is not None and classes <= {wanted, *(("int",) if wanted == "numeric" else ())}


def _made(column: Scalar, op: str, values: tuple[Value, ...], env: Env) -> Condition | None:
    column = sc.bare(column)
    if not isinstance(column, Col) or column.type is None:
        return None
    out = env[column.id]
    if op not in out.ops and op not in ("null", "notnull"):
        return None
    if any(isinstance(value, Bound) and value.type == sc.BOOL for value in values) and column.type.name != "bool":
        return None
    return Condition(out.term, column.type, op, values)
