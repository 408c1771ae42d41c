"""What every branch of an OR says, the OR says; what every branch says of one relation is known of that relation."""

from __future__ import annotations

from collections.abc import Iterable

from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.scalar import Call, Scalar


def factor_disjunctions(rel: Rel) -> Rel:
    """`(p AND a) OR (p AND b)` as `p AND (a OR b)` in every filter and join condition: three-valued logic allows it.

    Must not take out a `p` that may raise, which its branch may guard, nor one that is volatile.
    """
    return ir.rewrite(rel, _factored)


def weakened(p: Scalar, ids: frozenset[int]) -> Scalar | None:
    """What `p` says of the columns `ids` alone: true wherever `p` is; None where that is nothing.

    Of `(n1 = 'A' AND n2 = 'B') OR (n1 = 'B' AND n2 = 'A')` and n1 it is `n1 = 'A' OR n1 = 'B'`.
    """
    if not _is_or(p) or sc.volatile(p):
        return None
    branches = [_about(sc.conjuncts(branch), ids) for branch in _branches(p)]
    return _either(branches) if all(branches) else None


def _factored(rel: Rel) -> Rel:
    if isinstance(rel, ir.Filter):
        return ir.Filter(rel.input, _flat(rel.predicates))
    if isinstance(rel, ir.Join) and not rel.compare:
        return ir.Join(rel.kind, rel.left, rel.right, _flat(rel.on), rel.lateral, rel.mark)
    return rel


def _flat(predicates: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return tuple(dict.fromkeys(q for p in predicates for q in _factors(p)))


def _factors(p: Scalar) -> tuple[Scalar, ...]:
    """Predicates that together are `p`."""
    if not _is_or(p) or sc.volatile(p):
        return (p,)
    branches = [sc.conjuncts(branch) for branch in _branches(p)]
    common = [q for q in branches[0] if not sc.can_raise(q) and all(q in branch for branch in branches[1:])]
    if not common:
        return (p,)
    rests = [tuple(q for q in branch if q not in common) for branch in branches]
    return (*common, _either(rests)) if all(rests) else tuple(common)


def _is_or(p: Scalar) -> bool:
    return isinstance(p, Call) and p.op == "or"


def _branches(p: Scalar) -> Iterable[Scalar]:
    if isinstance(p, Call) and p.op == "or":
        for arg in p.args:
            yield from _branches(arg)
    else:
        yield p


def _about(conjuncts: tuple[Scalar, ...], ids: frozenset[int]) -> tuple[Scalar, ...]:
    """The conjuncts over these columns only, and what the others, where they are ORs again, say of these."""
    found = []
    for q in conjuncts:
        used = sc.columns(q)
        if used and used <= ids and not sc.can_raise(q):
            found.append(q)
        elif used & ids and (weaker := weakened(q, ids)) is not None:
            found.append(weaker)
    return tuple(found)


def _either(branches: Iterable[tuple[Scalar, ...]]) -> Scalar:
    different = tuple(dict.fromkeys(sc.conjoin(branch) for branch in branches))
    return different[0] if len(different) == 1 else Call("or", different, sc.BOOL)
