"""A relation's identity across statements, without the values in it: by tables, columns' names and predicates."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.scalar import Agg, Boundary, Call, Col, Lit, Once, Param, Scalar, Verbatim


class _Nameless(Exception):
    """A part that differs from run to run."""


class _Names(dict[int, str]):
    """What each column id stands for; `scans` counts how often each table was met."""

    def __init__(self) -> None:
        super().__init__()
        self.scans: Counter[str] = Counter()


def fingerprint(rel: Rel) -> str:
    """The same for relations that differ in values, in the columns that they hand up, in the order of conjuncts or in
    column ids; '' for one that has no number of rows of its own (it needs keys, or reads what stands outside)."""
    try:
        text = _rel(rel, _Names())
    except _Nameless:
        return ""
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _rel(rel: Rel, names: _Names) -> str:
    match rel:
        case ir.Scan():
            return _scan(rel, names)
        case ir.Cut():
            return _rel(rel.rel, names)
        case ir.Project():
            text = _rel(rel.input, names)
            names.update((i, _scalar(e, names)) for i, e in rel.items)
            return text
        case ir.Sort():
            return _rel(rel.input, names)
        case ir.Filter():
            return _filter(rel, names)
        case ir.Join():
            sides = f"{_rel(rel.left, names)} {rel.kind} {_rel(rel.right, names)}"
            return f"({sides} on {sorted(_scalar(p, names) for p in rel.on)})"
        case ir.Aggregate() if not rel.sets:
            text = _rel(rel.input, names)
            items = [(i, _scalar(e, names)) for i, e in (*rel.keys, *rel.aggs)]
            names.update(items)
            return f"({text} by {sorted(name for _, name in items[: len(rel.keys)])})"
        case _:
            return _other(rel, names)


def _scan(rel: ir.Scan, names: _Names) -> str:
    table = f"{rel.table.schema}.{rel.table.name}"
    table = f"{table}#{names.scans[table]}"
    names.scans[table.rpartition("#")[0]] += 1
    names.update((i, f"{table}.{rel.table.columns[at][0]}") for i, at in rel.columns)
    return table


def _other(rel: Rel, names: _Names) -> str:
    match rel:
        case ir.Distinct() if rel.on is None:
            text = _rel(rel.input, names)
            return f"({text} distinct {sorted(names.get(i, '') for i in ir.ids(rel))})"
        case ir.SetOp():
            branches = [_rel(branch, names) for branch, _ in rel.inputs]
            outs = [names.get(at[0], "") if at else "" for _, at in rel.inputs]
            names.update((i, f"{rel.kind}{n}{outs}") for n, (i, _) in enumerate(rel.columns))
            return f"({rel.kind} {rel.all} {branches})"
        case ir.Limit():
            return f"({_rel(rel.input, names)} limit {[_scalar(e, names) for e in ir.scalars(rel)]})"
        case ir.Values():
            names.update((i, f"values.{n}") for n, (i, _) in enumerate(rel.columns))
            return f"values {len(rel.rows)}"
        case _:
            raise _Nameless


def _filter(rel: ir.Filter, names: _Names) -> str:
    predicates: list[Scalar] = []
    below: Rel = rel
    while isinstance(below, ir.Filter):
        predicates += below.predicates
        below = below.input
    text = _rel(below, names)
    return f"({text} where {sorted({_scalar(p, names) for p in predicates})})"


def _scalar(e: Scalar, names: Mapping[int, str]) -> str:
    match e:
        case Col():
            if e.id not in names:
                raise _Nameless
            return names[e.id]
        case Lit():
            return "null" if e.value is None else f"?{e.type.name}"
        case Param() | Once() | Boundary():
            return f"?{e.type.name}"
        case Call() if e.op in ("in", "notin"):
            members = sorted({_scalar(a, names) for a in e.args[1:]})
            return f"{e.op}({_scalar(e.args[0], names)}, {members} {len(e.args).bit_length()})"
        case Call():
            kind = e.type.sql if e.op == "cast" and e.type is not None else ""
            return f"{e.op}({', '.join(_scalar(a, names) for a in e.args)}){kind}"
        case Verbatim():
            parts = (p if isinstance(p, str) else _scalar(e.args[p], names) for p in e.parts)
            return "".join(parts)
        case Agg():
            return f"{e.name}({e.distinct} {', '.join(_scalar(a, names) for a in sc.children(e))})"
        case _:
            raise _Nameless
