"""What values a column can have where predicates are true: unions of intervals, and perhaps NULL. Always a superset.

Ends of intervals are scalars (constants, parameters, values computed once). They are compared only by `Values`, which
records what was learned; ends of which nothing is known are kept side by side, for the engine to compare at run time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.capability import family
from planner import scalar as sc
from planner.scalar import Boundary, Call, Col, Lit, Once, Param, Scalar
from planner.types import harmless_cast
from planner.values import Values

MOST = 64  # intervals of a domain; a longer list says no more than "not NULL"
ENDS = 4  # ends of one side of an interval that are kept for the engine to compare


@dataclass(frozen=True, slots=True)
class End:
    """One end of an interval; `open`: the value itself is outside."""

    value: Scalar
    open: bool = False


@dataclass(frozen=True, slots=True)
class Interval:
    """The values above all of `lows` and below all of `highs`. An end that turns out NULL leaves nothing."""

    lows: tuple[End, ...] = ()
    highs: tuple[End, ...] = ()


@dataclass(frozen=True, slots=True)
class Domain:
    """The values of one of `intervals`, and NULL where `null`."""

    intervals: tuple[Interval, ...]
    null: bool

    @property
    def empty(self) -> bool:
        """Whether no value is left, not even NULL."""
        return not self.intervals and not self.null


ANY = Domain((Interval(),), True)
PRESENT = Domain((Interval(),), False)
NULL = Domain((), True)

# By column id, or by the expression itself where it is no column.
Term = int | Scalar
Facts = Mapping[Term, Domain]


def order(a: Scalar, b: Scalar, values: Values) -> int | None:
    """As `values` orders two ends; one is equal to itself without being looked at."""
    return 0 if a == b else values.compare(a, b)


def crossed(low: End, high: End, values: Values) -> bool | None:
    """Whether nothing lies between the two ends; None where that is not known."""
    sign = order(low.value, high.value, values)
    if sign is None:
        return None
    return sign > 0 or (sign == 0 and (low.open or high.open))


def meet(a: Domain, b: Domain, values: Values) -> Domain:
    """What is in both."""
    null = a.null and b.null
    if a.intervals == (Interval(),):
        return Domain(b.intervals, null)
    if b.intervals == (Interval(),):
        return Domain(a.intervals, null)
    if len(a.intervals) * len(b.intervals) > MOST * 4:
        return Domain(min(a.intervals, b.intervals, key=len), null)
    found = (_both(x, y, values) for x in a.intervals for y in b.intervals)
    return Domain(tuple(dict.fromkeys(i for i in found if i is not None)), null)


def join(a: Domain, b: Domain) -> Domain:
    """What is in either."""
    both = tuple(dict.fromkeys((*a.intervals, *b.intervals)))
    unbounded = Interval() in both or len(both) > MOST
    return Domain((Interval(),) if unbounded else both, a.null or b.null)


def _both(a: Interval, b: Interval, values: Values) -> Interval | None:
    lows, highs = _tightest(a.lows + b.lows, -1, values), _tightest(a.highs + b.highs, 1, values)
    if any(crossed(low, high, values) for low in lows for high in highs):
        return None
    return Interval(lows, highs)


def _tightest(ends: tuple[End, ...], side: int, values: Values) -> tuple[End, ...]:
    """The ends that no other one makes superfluous; `side` is -1 for lower, 1 for upper ends."""
    kept: list[End] = []
    for end in ends:
        beaten = False
        for other in tuple(kept):
            sign = order(end.value, other.value, values)
            if sign is None:
                continue
            if sign * side > 0 or (sign == 0 and (other.open or not end.open)):
                beaten = True
                break
            kept.remove(other)
        if not beaten and len(kept) < ENDS:
            kept.append(end)
    return tuple(kept)


def within(a: Domain, b: Domain, values: Values) -> bool:
    """Whether `a` is surely part of `b`."""
    if a.null and not b.null:
        return False
    return all(any(_inside(x, y, values) for y in b.intervals) for x in a.intervals)


def _inside(x: Interval, y: Interval, values: Values) -> bool:
    return all(any(_beyond(e, low, -1, values) for e in x.lows) for low in y.lows) and all(
        any(_beyond(e, high, 1, values) for e in x.highs) for high in y.highs
    )


def _beyond(end: End, other: End, side: int, values: Values) -> bool:
    """Whether whatever meets `end` meets `other`."""
    sign = order(end.value, other.value, values)
    return sign is not None and (sign * side < 0 or (sign == 0 and (end.open or not other.open)))


# -- from predicates


def facts(predicates: Iterable[Scalar], values: Values, known: Facts | None = None) -> Facts | None:
    """What holds of columns and expressions where `known` does and all `predicates` are true; None: they never are."""
    found: dict[Term, Domain] = dict(known or {})
    equal: list[tuple[int, int]] = []
    for p in predicates:
        own = of(p, values)
        if own is None or not _add(found, own, values):
            return None
        pair = _columns(p)
        if pair is not None:
            equal.append(pair)
    return _equalised(found, equal, values)


def of(p: Scalar, values: Values) -> Facts | None:
    """What holds where one predicate is true; None: it never is."""
    match p:
        case Lit():
            return {} if p.value in ("true", "t") else None
        case Col():
            return {p.id: exactly(sc.TRUE)}
        case Call() if p.op == "and":
            return facts(p.args, values)
        case Call() if p.op == "or":
            return _either([f for f in (of(a, values) for a in p.args) if f is not None])
        case Call() if p.op in ("not", "is false"):
            opposite = _negated(p.args[0])
            return of(opposite, values) if opposite is not None else {}
        case Call() if p.op == "is true":
            return of(p.args[0], values)
        case Call() if p.op in ("is null", "is not null"):
            return _null_test(p)
        case Call() if p.op in ("in", "notin"):
            return _listed(p, values)
        case Call() if p.op == "any":
            return _present(p.args[0])
        case Call() if p.op == "like":
            return _like(p)
        case Call() if p.op in ("is distinct", "is not distinct"):
            return _distinct(p)
        case Call() if p.op in COMPARISONS:
            return _comparison(p, values)
        case _:
            return {}


def constant(e: Scalar) -> bool:
    """Whether a value is fixed for the whole query, so that it can be the end of an interval."""
    return isinstance(e, Lit | Param | Once | Boundary)


def term(e: Scalar) -> Term:
    """What facts are kept by: casts that change no value are looked through."""
    e = bare(e)
    return e.id if isinstance(e, Col) else e


def bare(e: Scalar) -> Scalar:
    """The expression without casts that keep every value and the order of all."""
    while isinstance(e, Call) and e.op == "cast":
        kind = e.args[0].type
        to_numeric = family(kind) == "int" and e.type is not None and e.type.name == "numeric" and e.type.mod < 0
        if not (to_numeric or harmless_cast(kind, e.type)):
            break
        e = e.args[0]
    return e


COMPARISONS = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPPOSITE = {
    "=": "<>", "<>": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<", "in": "notin", "notin": "in", "like": "notlike",
    "is null": "is not null", "is not null": "is null", "is distinct": "is not distinct",
    "is not distinct": "is distinct", "notlike": "like",
}  # fmt: skip


def _negated(p: Scalar) -> Scalar | None:
    """What is true where `p` is false (not where it is unknown); None where no rule says."""
    if isinstance(p, Col):
        return Call("=", (p, Lit("false", sc.BOOL)), sc.BOOL)
    if isinstance(p, Lit) and p.value is not None:
        return Lit("false" if p.value in ("true", "t") else "true", sc.BOOL)
    if not isinstance(p, Call):
        return None
    if p.op in _OPPOSITE:
        return Call(_OPPOSITE[p.op], p.args, sc.BOOL)
    if p.op in ("and", "or"):
        parts = tuple(_negated(a) or sc.Verbatim(("?",), ()) for a in p.args)
        return Call("or" if p.op == "and" else "and", parts, sc.BOOL)
    return p.args[0] if p.op == "not" else None


def _comparison(p: Call, values: Values) -> Facts | None:
    a, b = p.args
    op = p.op
    if constant(a) and not constant(b):
        a, b, op = b, a, COMPARISONS[op]
    if any(isinstance(side, Lit) and side.value is None for side in (a, b)):
        return None
    if constant(a):
        return _constants(op, a, b, values)
    found: dict[Term, Domain] = {}
    for side in (a, b):
        for i in sc.columns(side):
            if sc.strict_on(side, frozenset((i,))):
                found[i] = PRESENT
    if constant(b) and family(b.type) != "?":
        _add(found, {term(a): _compared(op, b)}, values)
    return None if any(domain.empty for domain in found.values()) else found


def _constants(op: str, a: Scalar, b: Scalar, values: Values) -> Facts | None:
    sign = order(a, b, values)
    if sign is None:
        return {}
    true = {"=": sign == 0, "<>": sign != 0, "<": sign < 0, "<=": sign <= 0, ">": sign > 0, ">=": sign >= 0}
    return {} if true[op] else None


def _compared(op: str, value: Scalar) -> Domain:
    closed, opened = (End(value),), (End(value, True),)
    intervals = {
        "=": (Interval(closed, closed),),
        "<>": (Interval((), opened), Interval(opened, ())),
        "<": (Interval((), opened),),
        "<=": (Interval((), closed),),
        ">": (Interval(opened, ()),),
        ">=": (Interval(closed, ()),),
    }
    return Domain(intervals[op], False)


def exactly(value: Scalar) -> Domain:
    """Just that value."""
    return _compared("=", value)


def _present(e: Scalar) -> Facts:
    return {term(e): PRESENT}


def _null_test(p: Call) -> Facts | None:
    e = p.args[0]
    if isinstance(e, Lit):
        return {} if (e.value is None) == (p.op == "is null") else None
    return {term(e): NULL} if p.op == "is null" else _present(e)


def _listed(p: Call, values: Values) -> Facts | None:
    e, members = p.args[0], p.args[1:]
    nulls = [m for m in members if isinstance(m, Lit) and m.value is None]
    if p.op == "notin" and nulls:
        return None
    members = tuple(m for m in members if m not in nulls)
    if not members:
        return None
    if len(members) > MOST or not all(constant(m) for m in members):
        return _present(e)
    if p.op == "in":
        return {term(e): Domain(tuple(exactly(m).intervals[0] for m in members), False)}
    found = PRESENT
    for m in members:
        found = meet(found, _compared("<>", m), values)
    return {term(e): found}


def _distinct(p: Call) -> Facts | None:
    e, value = p.args if constant(p.args[1]) else p.args[::-1]
    if constant(e) or not constant(value):
        return {}
    if isinstance(value, Lit) and value.value is None:
        return {term(e): PRESENT if p.op == "is distinct" else NULL}
    if p.op == "is not distinct":
        return {term(e): Domain(exactly(value).intervals, not isinstance(value, Lit))}
    return {term(e): Domain(_compared("<>", value).intervals, True)} if isinstance(value, Lit) else {}


def _like(p: Call) -> Facts | None:
    e, pattern = p.args[0], p.args[1]
    if not isinstance(pattern, Lit):
        return _present(e)
    if pattern.value is None:
        return None
    prefix = pattern.value[: next((at for at, c in enumerate(pattern.value) if c in "%_\\"), len(pattern.value))]
    if prefix == pattern.value:
        return {term(e): exactly(pattern)}
    lows = (End(Lit(prefix, pattern.type)),) if prefix else ()
    after = _after(prefix)
    return {term(e): Domain((Interval(lows, (End(Lit(after, pattern.type), True),) if after else ()),), False)}


def _after(prefix: str) -> str:
    """The least text above all that begin with `prefix`, by code points and so by bytes of UTF-8; '' for none."""
    while prefix:
        following = ord(prefix[-1]) + 1
        if following == 0xD800:
            following = 0xE000
        if following <= 0x10FFFF:
            return prefix[:-1] + chr(following)
        prefix = prefix[:-1]
    return ""


def _columns(p: Scalar) -> tuple[int, int] | None:
    """The two columns that a predicate says to be equal."""
    if not (isinstance(p, Call) and p.op == "="):
        return None
    a, b = (bare(e) for e in p.args)
    comparable = isinstance(a, Col) and isinstance(b, Col) and family(a.type) == family(b.type) != "?"
    return (a.id, b.id) if comparable and isinstance(a, Col) and isinstance(b, Col) else None


def _equalised(found: dict[Term, Domain], equal: Sequence[tuple[int, int]], values: Values) -> Facts | None:
    """Columns that are equal have what all of them can be."""
    for _ in range(min(len(equal), 4)):
        for a, b in equal:
            shared = meet(meet(found.get(a, PRESENT), found.get(b, PRESENT), values), PRESENT, values)
            if shared.empty:
                return None
            found[a] = found[b] = shared
    return found


def _add(found: dict[Term, Domain], more: Facts, values: Values) -> bool:
    """Narrow `found` by `more`; whether anything can still be."""
    for key, domain in more.items():
        found[key] = meet(found[key], domain, values) if key in found else domain
        if found[key].empty:
            return False
    return True


def _either(branches: list[Facts]) -> Facts | None:
    if not branches:
        return None
    shared = set(branches[0]).intersection(*branches[1:])
    made = dict(branches[0])
    for other in branches[1:]:
        made = {key: join(made[key], other[key]) for key in shared}
    return {key: made[key] for key in branches[0] if key in shared}
