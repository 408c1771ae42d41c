"""Whether DuckDB may merge the fragments: each node and scalar of the residual is proven equal there, or why not."""

from __future__ import annotations

from connectors.capability import Capability, V
from connectors.types import PgType
from planner import ir
from planner.ir import Rel
from planner.prove import Fact, Facts, prove, prove_aggregate, prove_key
from planner.scalar import Col, KeyIn, Lit, Once, Param, Scalar, walk
from planner.show import show
from planner.types import alike


class NotProven(Exception):
    """Why the residual is the canon's."""


def why_not(rel: Rel, capability: Capability) -> str:
    """'' where DuckDB gives the canon's answer; else the first reason why that is not proven."""
    try:
        _check(rel, capability)
    except NotProven as reason:
        return str(reason)
    return ""


def _check(rel: Rel, cap: Capability) -> Facts:
    match rel:
        case ir.Cut():
            return {i: Fact(exact=_carried(kind)) for i, kind in rel.columns}
        case ir.Filter():
            facts = _check(rel.input, cap)
            _exact(tuple(p for p in rel.predicates if not isinstance(p, KeyIn)), cap, facts)
            return facts
        case ir.Project():
            return _project(rel, cap)
        case ir.Join() if not rel.lateral:
            return _join(rel, cap)
        case ir.Aggregate() if not rel.sets and (rel.aggs or rel.keys):
            return _aggregate(rel, cap)
        case ir.Distinct() if rel.on is None:
            facts = _check(rel.input, cap)
            _keys([ir.col(pair) for pair in ir.output(rel)], cap, facts, "keys")
            return facts
        case ir.SetOp():
            return _set_operation(rel, cap)
        case ir.Sort():
            facts = _check(rel.input, cap)
            _keys([key.expr for key in rel.keys], cap, facts, "order")
            return facts
        case ir.Limit() if not rel.ties and _numbers(rel):
            return _check(rel.input, cap)
        case _:
            raise NotProven(f"{type(rel).__name__.lower()} is not proven in DuckDB")


def _join(rel: ir.Join, cap: Capability) -> Facts:
    left = _check(rel.left, cap)
    facts = {**left, **_check(rel.right, cap)}
    _exact((*rel.on, *rel.compare), cap, facts)
    if rel.widens:
        return facts
    return {**left, rel.mark: Fact()} if rel.kind == "mark" else left


def _carried(kind: PgType) -> bool:
    """Whether Arrow carries the type itself; a numeric without scale travels as text, char(n) would lose its blanks."""
    return not (kind.name == "numeric" and kind.mod < 0) and kind.name != "bpchar"


def _numbers(rel: ir.Limit) -> bool:
    return all(e is None or isinstance(e, Lit) for e in (rel.count, rel.offset))


def _exact(predicates: tuple[Scalar, ...], cap: Capability, facts: Facts) -> None:
    for p in predicates:
        if any(isinstance(node, Once) for node in walk(p)):
            raise NotProven(f"{show(p)}: it is computed in the canon")
        proof = prove(p, cap, facts)
        if proof.verdict is not V.EXACT:
            raise NotProven(f"{show(p)}: {proof.reason}")


def _project(rel: ir.Project, cap: Capability) -> Facts:
    facts = _check(rel.input, cap)
    made: dict[int, Fact] = {}
    for i, e in rel.items:
        if isinstance(e, Col):
            if e.id not in facts:
                raise NotProven("a column of an enclosing query")
            made[i] = facts[e.id]
            continue
        if e.type is None or e.type.name == "numeric" or isinstance(e, Param):
            raise NotProven(f"{show(e)}: the text of its value is not proven")
        _exact((e,), cap, facts)
        made[i] = Fact()
    return made


def _same(a: PgType | None, b: PgType) -> bool:
    """Of one type in DuckDB too: decimals of another scale would print otherwise."""
    return alike(a, b) and (b.name != "numeric" or a == b)


def _aggregate(rel: ir.Aggregate, cap: Capability) -> Facts:
    facts = _check(rel.input, cap)
    _keys([e for _, e in rel.keys], cap, facts, "keys")
    for i, e in rel.aggs:
        proof = prove_aggregate(e, cap, facts)
        if proof.verdict is not V.EXACT or e.type is None:
            raise NotProven(f"{show(e)}: {proof.reason}")
        del i
    return {i: Fact() for i, _ in (*rel.keys, *rel.aggs)}


def _keys(keys: list[Scalar], cap: Capability, facts: Facts, table: str) -> None:
    for e in keys:
        proof = prove_key(e, cap, facts, table)
        if proof.verdict is not V.EXACT:
            raise NotProven(f"{show(e)}: {proof.reason}")


def _set_operation(rel: ir.SetOp, cap: Capability) -> Facts:
    facts = [(_check(branch, cap), dict(ir.output(branch)), ids) for branch, ids in rel.inputs]
    for at, (_, kind) in enumerate(rel.columns):
        if kind is None or any(not _same(types[ids[at]], kind) for _, types, ids in facts):
            raise NotProven("branches of different types")
    made = {i: Fact(all(known[ids[at]].exact for known, _, ids in facts)) for at, (i, _) in enumerate(rel.columns)}
    if not (rel.kind == "union" and rel.all):
        if rel.kind != "union":
            raise NotProven(f"{rel.kind} is not proven in DuckDB")
        _keys([ir.col(pair) for pair in rel.columns], cap, made, "keys")
    return made
