"""Scalar expressions: immutable, typed, over column ids that are unique within a plan.

What the planner understands is a `Call` with a name and typed arguments; whatever it does not understand is
`Verbatim`, PostgreSQL's own text around its columns, which only the canon evaluates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from connectors.capability import signatures
from connectors.types import PgType
from planner.types import harmless_cast

if TYPE_CHECKING:
    from planner.ir import Rel

BOOL = PgType("bool")

# What holds of an expression or anything in it: learned once, when it is made, since every rule asks for it.
SUB, VOLATILE, AGGREGATE, WINDOW, SRF, VERBATIM, BOUNDARY, BY_ZONE = 1, 2, 4, 8, 16, 32, 64, 128
_KINDS = {"value": 0, "aggregate": AGGREGATE, "window": WINDOW, "srf": SRF}
_SPECIAL = AGGREGATE | WINDOW | SRF


def _of(args: tuple[Scalar, ...]) -> int:
    found = 0
    for arg in args:
        found |= arg.traits
    return found


def _learn(node: object, traits: int) -> None:
    object.__setattr__(node, "traits", traits)


@dataclass(frozen=True, slots=True)
class Col:
    """Column `id` of whatever relation below produces it."""

    id: int
    type: PgType | None
    traits: ClassVar[int] = 0


@dataclass(frozen=True, slots=True)
class Lit:
    """A constant in PostgreSQL's text form; None is NULL."""

    value: str | None
    type: PgType
    traits: ClassVar[int] = 0


@dataclass(frozen=True, slots=True)
class Param:
    """Parameter `index`, from 0. Where it is `given` as another type, a cast that cannot fail makes it `type`."""

    index: int
    type: PgType
    given: PgType | None = None
    traits: ClassVar[int] = 0


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function that capability tables know by `op` and the types of `args`."""

    op: str
    args: tuple[Scalar, ...]
    type: PgType | None
    traits: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        _learn(self, _of(self.args) | (BY_ZONE if self.op.endswith(signatures.ZONED) else 0))


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Canonical text cut at its arguments: a str is SQL, an int the index into `args`.

    `kind`: value | aggregate | window | srf. `volatile`: each evaluation may differ within a statement.
    """

    parts: tuple[str | int, ...]
    args: tuple[Scalar, ...]
    kind: str = "value"
    volatile: bool = False
    type: PgType | None = None
    traits: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        _learn(self, _of(self.args) | VERBATIM | _KINDS[self.kind] | (VOLATILE if self.volatile else 0))


@dataclass(frozen=True, slots=True)
class Agg:
    """An aggregate that capability tables know. `order` is never needed for these; count(*) has no args."""

    name: str
    args: tuple[Scalar, ...]
    type: PgType | None
    distinct: bool = False
    where: Scalar | None = None
    traits: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        _learn(self, _of(self.args) | AGGREGATE | (self.where.traits if self.where is not None else 0))


@dataclass(frozen=True, slots=True)
class Sub:
    """A sub-query as a value: kind exists | scalar | array | in (`args` IN rel) | any (args[0] `op` ANY rel) | all.

    Columns of enclosing relations may occur anywhere in `rel`. `columns` are the ids of rel's output columns.
    """

    kind: str
    rel: Rel
    columns: tuple[int, ...]
    args: tuple[Scalar, ...] = ()
    op: str = "="
    type: PgType | None = None
    traits: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        from planner.ir import volatile_rel  # the two modules are one recursive type

        _learn(self, _of(self.args) | SUB | (VOLATILE if volatile_rel(self.rel) else 0))


@dataclass(frozen=True, slots=True)
class KeyIn:
    """`args` are among the combinations of values that the columns `drivers` have in the rows of one relation elsewhere
    in the plan, some `count` of them: always redundant, so it may be dropped anywhere; where it reaches a fragment it
    becomes a bind join."""

    args: tuple[Scalar, ...]
    drivers: tuple[int, ...]
    count: float = math.inf
    traits: ClassVar[int] = 0

    @property
    def type(self) -> PgType:
        return BOOL

    @property
    def singly(self) -> tuple[KeyIn, ...]:
        """The same of each column on its own, which is weaker."""
        return tuple(KeyIn((arg,), (i,), self.count) for arg, i in zip(self.args, self.drivers, strict=True))


@dataclass(frozen=True, slots=True)
class Once:
    """A column-free expression over the clock, `args[0]`, which is computed once per query: `Plan.computed[index]`."""

    index: int
    args: tuple[Scalar]
    type: PgType

    @property
    def traits(self) -> int:
        return self.args[0].traits


@dataclass(frozen=True, slots=True)
class Boundary:
    """The value of an uncorrelated scalar sub-query that one source answers whole: `Plan.boundaries[index]`, read once
    and before whatever it bounds. Unless `sure`, it may turn out to have several rows, which is an error where a row
    is compared with it, and only there."""

    index: int
    type: PgType
    sure: bool
    args: ClassVar[tuple[()]] = ()
    traits: ClassVar[int] = 64  # BOUNDARY


Scalar = Col | Lit | Param | Call | Verbatim | Agg | Sub | KeyIn | Once | Boundary

TRUE = Lit("true", BOOL)
FALSE = Lit("false", BOOL)


def children(e: Scalar) -> tuple[Scalar, ...]:
    """Direct scalar arguments, without those inside a sub-query's relation."""
    if isinstance(e, Col | Lit | Param):
        return ()
    if isinstance(e, Agg) and e.where is not None:
        return (*e.args, e.where)
    return e.args


def walk(e: Scalar) -> Iterator[Scalar]:
    """The expression and all below it, without what stands inside sub-queries' relations."""
    yield e
    for child in children(e):
        yield from walk(child)


def subs(e: Scalar) -> Iterator[Sub]:
    """The sub-queries in an expression, without those inside their relations."""
    if e.traits & SUB:
        yield from (node for node in walk(e) if isinstance(node, Sub))


def rebuild(e: Scalar, args: tuple[Scalar, ...]) -> Scalar:
    """The same node over other arguments, in the order of `children`."""
    match e:
        case Call():
            return Call(e.op, args, e.type)
        case Verbatim():
            return Verbatim(e.parts, args, e.kind, e.volatile, e.type)
        case Sub():
            return Sub(e.kind, e.rel, e.columns, args, e.op, e.type)
        case KeyIn():
            return KeyIn(args, e.drivers, e.count)
        case Once():
            return Once(e.index, (args[0],), e.type)
        case Agg():
            where = args[-1] if e.where is not None else None
            return Agg(e.name, args if where is None else args[:-1], e.type, e.distinct, where)
        case _:
            return e


def transform(e: Scalar, change: Callable[[Scalar], Scalar | None], rel: Callable[[Rel], Rel] | None = None) -> Scalar:
    """Replace top-down: where `change` gives a node it stands; else the children are transformed.

    `rel` is applied to the relations of sub-queries.
    """
    new = change(e)
    if new is not None:
        return new
    old = children(e)
    args = tuple(transform(child, change, rel) for child in old)
    if isinstance(e, Sub) and rel is not None:
        inner = rel(e.rel)
        if inner is not e.rel:
            return Sub(e.kind, inner, e.columns, args, e.op, e.type)
    if all(a is b for a, b in zip(args, old, strict=True)):
        return e
    return rebuild(e, args)


def columns(e: Scalar) -> frozenset[int]:
    """Ids of the columns that the expression reads, those read inside its sub-queries from outside included."""
    if isinstance(e, Col):
        return frozenset((e.id,))
    found: set[int] = set()
    _columns(e, found)
    return frozenset(found)


def _columns(e: Scalar, found: set[int]) -> None:
    if isinstance(e, Col):
        found.add(e.id)
        return
    if isinstance(e, Sub):
        from planner.ir import outer_columns  # the two modules are one recursive type

        found |= outer_columns(e.rel)
    for child in children(e):
        _columns(child, found)


def substitute(e: Scalar, items: Mapping[int, Scalar]) -> Scalar:
    """Columns replaced by what stands for them, inside sub-queries too; keys are then those of that column."""
    from planner.ir import substitute_rel

    def change(node: Scalar) -> Scalar | None:
        if isinstance(node, KeyIn):
            renamed = (items.get(i) for i in node.drivers)
            drivers = (new.id if isinstance(new, Col) else i for i, new in zip(node.drivers, renamed, strict=True))
            return KeyIn(tuple(substitute(arg, items) for arg in node.args), tuple(drivers), node.count)
        return items.get(node.id, node) if isinstance(node, Col) else None

    return transform(e, change, lambda rel: substitute_rel(rel, items))


def conjuncts(e: Scalar) -> tuple[Scalar, ...]:
    """The predicates that AND joins, flattened; TRUE vanishes."""
    if isinstance(e, Call) and e.op == "and":
        return tuple(p for arg in e.args for p in conjuncts(arg))
    return () if e == TRUE else (e,)


def conjoin(predicates: tuple[Scalar, ...]) -> Scalar:
    """One predicate from many; TRUE from none."""
    if not predicates:
        return TRUE
    return predicates[0] if len(predicates) == 1 else Call("and", predicates, BOOL)


def bare(e: Scalar) -> Scalar:
    """What stands under casts that change no value: varchar to text, int4 to int8."""
    while isinstance(e, Call) and e.op == "cast" and harmless_cast(e.args[0].type, e.type):
        e = e.args[0]
    return e


def volatile(e: Scalar) -> bool:
    """Whether two evaluations in one statement may differ, in sub-queries too."""
    return bool(e.traits & VOLATILE)


def special(e: Scalar) -> str:
    """'aggregate', 'window' or 'srf' where the expression holds such a call, else ''."""
    if not e.traits & _SPECIAL:
        return ""
    if isinstance(e, Agg):
        return "aggregate"
    if isinstance(e, Verbatim) and e.kind != "value":
        return e.kind
    return next(found for child in children(e) if (found := special(child)))


def has_sub(e: Scalar) -> bool:
    """Whether a sub-query stands in the expression."""
    return bool(e.traits & SUB)


def can_raise(e: Scalar) -> bool:
    """Whether evaluating it may fail for some row (division, casts, overflow, anything not understood)."""
    match e:
        case Call():
            return _may_raise(e) or any(can_raise(a) for a in e.args)
        case Verbatim() | Sub():
            return True
        case _:
            return False


def _may_raise(e: Call) -> bool:
    if e.op in signatures.HARMLESS or e.op in signatures.VARIADIC:
        return False
    names = tuple("text" if a.type.name == "varchar" else a.type.name for a in e.args if a.type is not None)
    op = e.op.removesuffix(signatures.ZONED)
    if op == "cast":
        rounds = e.type is None or (e.type.mod >= 0 and e.type.name == "numeric")
        target = e.type.name.replace("varchar", "text") if e.type is not None else ""
        return rounds or len(names) != 1 or signatures.CASTS.get((names[0], target), True)
    found = signatures.OVERLOADS.get((op, *names))
    return found is None or (found.raises and not _tame(op, e.args) and not _few_digits(e))


def _few_digits(e: Scalar) -> bool:
    """Whether it is arithmetic of numerics of bounded length: far below the 131,072 digits that numeric holds."""
    match e:
        case Call() if e.op in ("+", "-", "*", "neg") and e.type is not None and e.type.name == "numeric":
            return all(_few_digits(a) for a in e.args)
        case Call() if e.op == "cast" and e.type is not None and e.type.name == "numeric":
            return _few_digits(e.args[0])
        case Lit() | Col():
            if e.type is None or e.type.name != "numeric":
                return e.type is not None and e.type.name in signatures.INTEGERS
            return e.type.mod >= 0 or isinstance(e, Lit)
        case _:
            return False


def _tame(op: str, args: tuple[Scalar, ...]) -> bool:
    """Whether only other constants than those that stand there would raise."""
    last = args[-1]
    if not isinstance(last, Lit) or last.value is None:
        return False
    if op == "substring" and last.type.name == "int4":
        return not last.value.startswith("-")
    if op in ("/", "%") and last.type.name != "float8":
        zero = not last.value.strip("-0.")
        return not zero and (last.type.name == "numeric" or last.value != "-1")
    return op == "split_part" and last.value.strip("-0") != ""


def strict_on(e: Scalar, ids: frozenset[int]) -> bool:
    """Whether the value is surely NULL when all columns `ids` are NULL."""
    match e:
        case Col():
            return e.id in ids
        case Call() if e.op.removesuffix(signatures.ZONED) in signatures.STRICT:
            return any(strict_on(a, ids) for a in e.args)
        case Call() if e.op in ("in", "notin", "any"):
            return strict_on(e.args[0], ids)
        case _:
            return False


def rejects_null(e: Scalar, ids: frozenset[int]) -> bool:
    """Whether the predicate cannot be true when all columns `ids` are NULL."""
    match e:
        case Call() if e.op == "and":
            return any(rejects_null(a, ids) for a in e.args)
        case Call() if e.op == "or":
            return all(rejects_null(a, ids) for a in e.args)
        case Call() if e.op in ("is not null", "is true", "is false"):
            return strict_on(e.args[0], ids)
        case Call() if e.op == "not" and isinstance(e.args[0], Call) and e.args[0].op == "is null":
            return strict_on(e.args[0].args[0], ids)
        case _:
            return strict_on(e, ids)
