"""Aggregates, groups, orders and clauses: whole answers of a source, compared with PostgreSQL's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg

from api.probe.cases import columns
from api.probe.derived import BOOL, INT4, Derived, Rows, final, said
from api.probe.scalars import UNSEEN, shown, unseen
from api.probe.verdicts import Verdicts
from connectors.base import Collation
from connectors.capability import claims
from connectors.capability.rules import V
from connectors.errors import SourceError
from connectors.types import PgType
from planner import ir
from planner.prove import prove_aggregate, prove_key
from planner.scalar import Agg, Call, Col, Lit, Scalar
from planner.types import of_aggregate

INT8 = PgType("int8")
FIRST, OTHER = 9000, 9500
_OWN = ("aggregate ", "group by ", "order by ", "feature ")
Outputs = Sequence[tuple[int, PgType]]


def try_sets(site: Derived, verdicts: Verdicts) -> None:
    """All claims that are not scalars'."""
    wanted = [
        claim for claim in verdicts.every if claim.startswith(("aggregate ", "group by ", "order by ", "feature "))
    ]
    verdicts.due.update(wanted)
    for signature in site.cap.aggregates:
        _aggregate(site, verdicts, signature)
    for kind in site.cap.keys:
        for column in columns(site, kind):
            _group(site, verdicts, kind, column)
    for kind in site.cap.order:
        for column in columns(site, kind):
            _order(site, verdicts, kind, column)
    for name in sorted(site.cap.features):
        claim = claims.feature(name)
        if claim in verdicts.every:
            for rel, outputs in _clause(site, name):
                _compare(site, verdicts, claim, name, rel, outputs)
    verdicts.due.subtract(wanted)


def _collated(site: Derived, column: Col) -> Collation | None:
    textual = column.type is not None and claims.textual((column.type.name,))
    return site.facts[column.id].collation if textual else None


def _twice(site: Derived, names: Sequence[str]) -> Rows:
    """Rows in which each value occurs several times."""
    count = max(len(site.values[name.rpartition("_")[0]]) for name in names)
    return site.mixed(names, 2 * count + 5)


def _name(site: Derived, column: Col) -> str:
    return next(name for name, n in site.ids.items() if n == column.id)


def _aggregate(site: Derived, verdicts: Verdicts, signature: tuple[str, ...]) -> None:
    """By groups, of all rows, of none."""
    name, _, distinct = signature[0].partition(" ")
    choices: list[tuple[Col, ...]] = [(c,) for c in columns(site, _family(signature))] if len(signature) > 1 else [()]
    for args in choices:
        kind = of_aggregate(name, tuple(a.type for a in args))
        agg = Agg(name, args, kind, bool(distinct))
        claim = claims.aggregate(signature, _collated(site, args[0]) if args else None)
        proof = prove_aggregate(agg, site.cap, site.facts)
        if kind is None or proof.verdict is not V.EXACT or (len(signature) > 1 and not _of(signature, args[0])):
            verdicts.untried(claim, proof.reason or "no type")
            continue
        if (distinct or name in claims.COLLATED) and unseen(site, [a.id for a in args]):
            verdicts.untried(claim, UNSEEN)
            continue
        key = site.column("int8_b") if "int8_b" in site.ids else columns(site, "int", "b")[0]
        read = sorted({_name(site, key), *(_name(site, a) for a in args)})
        rows = _twice(site, read)
        nothing = ir.Filter(rows.rel, (Call("is null", (ir.col((rows.numbers[0][0], INT4)),), BOOL),))
        for rel, keys in ((rows.rel, ((FIRST, key),)), (rows.rel, ()), (nothing, ())):
            made = ir.Aggregate(rel, keys, ((FIRST + 1, agg),))
            outputs = [*((i, _type(e)) for i, e in keys), (FIRST + 1, kind)]
            _compare(site, verdicts, claim, shown(site, agg), made, outputs)


def _family(signature: tuple[str, ...]) -> str:
    return "int" if signature[1] in ("int2", "int4", "int8") else signature[1]


def _of(signature: tuple[str, ...], column: Col) -> bool:
    """Whether a signature of one type, not of a family, is about the column."""
    name = column.type.name if column.type is not None else ""
    return signature[1] not in ("int2", "int4", "int8") or {"int2": "int4"}.get(name, name) == signature[1]


def _type(e: Scalar) -> PgType:
    assert e.type is not None  # noqa: S101
    return e.type.bare


def _group(site: Derived, verdicts: Verdicts, kind: str, column: Col) -> None:
    claim = claims.keyed(kind, _collated(site, column))
    proof = prove_key(column, site.cap, site.facts)
    if proof.verdict is not V.EXACT or column.type is None or unseen(site, [column.id]):
        verdicts.untried(claim, proof.reason or UNSEEN)
        return
    rows = _twice(site, [_name(site, column)])
    rel = ir.Aggregate(rows.rel, ((FIRST, column),), ((FIRST + 1, Agg("count", (), INT8)),))
    _compare(site, verdicts, claim, f"GROUP BY {column.type.sql}", rel, [(FIRST, column.type), (FIRST + 1, INT8)])


def _order(site: Derived, verdicts: Verdicts, kind: str, column: Col) -> None:
    claim = claims.sorted_by(kind, _collated(site, column))
    proof = prove_key(column, site.cap, site.facts, "order")
    if proof.verdict is not V.EXACT or column.type is None or unseen(site, [column.id]):
        verdicts.untried(claim, proof.reason or UNSEEN)
        return
    rows = site.rows([_name(site, column)])
    number = ir.col((rows.numbers[0][0], INT4))
    for desc, first in ((False, False), (False, True), (True, True), (True, False)):
        keys = (ir.SortKey(Col(FIRST, column.type), desc, first), ir.SortKey(Col(OTHER, INT4), False, False))
        below = ir.Project(rows.rel, ((FIRST, column), (OTHER, number)))
        rel = ir.Project(ir.Sort(below, keys), ((OTHER, Col(OTHER, INT4)),))
        told = f"ORDER BY {column.type.sql}{' DESC' if desc else ''} NULLS {'FIRST' if first else 'LAST'}"
        _compare(site, verdicts, claim, told, rel, [(OTHER, INT4)], ordered=True)


def _clause(site: Derived, name: str) -> Iterator[tuple[ir.Rel, Outputs]]:
    """Relations that need a clause."""
    a, b = (columns(site, "int", side)[0] for side in "ab")
    left, right = site.rows([_name(site, a)]), site.rows([_name(site, b)])
    outputs: Outputs = [(a.id, _type(a)), (b.id, _type(b))]
    equal = (Call("=", (a, b), BOOL),)
    match name:
        case "limit":
            yield from _limits(left)
        case "join":
            yield ir.Join("inner", left.rel, right.rel, equal), outputs
            yield ir.Join("left", left.rel, _some(right.rel, b), equal), outputs
        case "full join":
            yield ir.Join("full", _some(left.rel, a), _rest(right.rel, b), equal), outputs
        case "half join":
            for kind in ("semi", "anti"):
                yield ir.Join(kind, left.rel, _some(right.rel, b), equal), outputs[:1]
        case "distinct":
            rows = _twice(site, [_name(site, a), _name(site, b)])
            yield ir.Distinct(ir.Project(rows.rel, ((FIRST, a),))), [(FIRST, _type(a))]
        case _:
            yield from _set_operation(name, (_some(left.rel, a), a), (_rest(right.rel, b), b))


def _some(rel: ir.Rel, column: Col) -> ir.Rel:
    return ir.Filter(rel, (Call(">", (column, Lit("0", _type(column))), BOOL),))


def _rest(rel: ir.Rel, column: Col) -> ir.Rel:
    return ir.Filter(rel, (Call("<", (column, Lit("100", _type(column))), BOOL),))


def _limits(rows: Rows) -> Iterator[tuple[ir.Rel, Outputs]]:
    number = ir.col((rows.numbers[0][0], INT4))
    ordered = ir.Sort(ir.Project(rows.rel, ((FIRST, number),)), (ir.SortKey(Col(FIRST, INT4), True, True),))
    for count, offset in (("3", None), ("0", None), ("2", "3"), ("100000", "1")):
        yield ir.Limit(ordered, Lit(count, INT8), None if offset is None else Lit(offset, INT8)), [(FIRST, INT4)]


def _set_operation(name: str, left: tuple[ir.Rel, Col], right: tuple[ir.Rel, Col]) -> Iterator[tuple[ir.Rel, Outputs]]:
    kind, _, rest = name.partition(" ")
    if kind in ("union", "intersect", "except"):
        inputs = tuple((rel, (column.id,)) for rel, column in (left, right))
        kinds = _type(left[1])
        yield ir.SetOp(kind, bool(rest), inputs, ((FIRST, kinds),)), [(FIRST, kinds)]


def _compare(
    site: Derived, verdicts: Verdicts, claim: str, told: str, rel: ir.Rel, outputs: Outputs, ordered: bool = False
) -> None:
    """A trial of a claim by one statement."""
    if not verdicts.open(claim):
        return
    ids = [i for i, _ in outputs]
    try:
        right = site.canon(rel, ids)
    except psycopg.Error:
        verdicts.untried(claim, "PostgreSQL has an error for what is tried")
        return
    try:
        got = site.ask(rel, outputs)
    except SourceError as error:
        if final(error):
            raise
        verdicts.tried(claim, f"{told}: the source has an error: {said(error)}")
        return
    if ordered or isinstance(rel, ir.Limit):
        verdicts.tried(claim, "" if got == right else f"{told}: another order")
        return
    missing, more = (_first(a, b) for a, b in ((right, got), (got, right)))
    wrong = bool(missing or more) or len(got) != len(right)
    verdicts.tried(claim, f"{told}: {more or 'nothing'}, PostgreSQL {missing or 'nothing'}" if wrong else "")


def _first(one: list[tuple[str | None, ...]], other: list[tuple[str | None, ...]]) -> str:
    """A row of one that the other has not."""
    found = sorted({*one} - {*other}, key=str)
    return ", ".join("NULL" if value is None else value for value in found[0]) if found else ""
