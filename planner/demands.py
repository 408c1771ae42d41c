"""Views whose owners want them filtered: whoever reads one compares one of its columns with a value."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.errors import LimitExceeded
from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.scalar import Call, Col, Scalar
from views.catalog import View

_COMPARISONS = frozenset(("=", "in", "any", "<", "<=", ">", ">=", "like"))


def demanded(view: View) -> ir.Demand | None:
    """What the view's owner demands, by the positions of its columns."""
    wanted = view.require_any_filter
    if not wanted:
        return None
    names = [name for name, _ in view.columns]
    at = tuple(names.index(name) for name in wanted if name in names)
    return ir.Demand(f"{view.schema}.{view.name}", view.file, wanted, at)


def check_demands(rel: Rel) -> None:
    """LimitExceeded where a demand is not met. A comparison with a value counts where it stands above the view, under
    whatever name the column has there, and for a column that is joined to the view's by equality."""
    found = [node for node in _nodes(rel) if isinstance(node, ir.Project) and node.demand is not None]
    if not found:
        return
    nodes = tuple(_nodes(rel))
    for view in found:
        demand = view.demand
        if demand is None:
            continue
        aliases = _aliases(frozenset(view.items[at][0] for at in demand.at), nodes)
        if not any(_meets(p, aliases) for node in nodes for p in _conditions(node, aliases)):
            raise LimitExceeded(
                f"view {demand.view} may only be read with a filter on {_either(demand.columns)}",
                hint=f"Add WHERE {demand.columns[0]} = ... (a range, IN or LIKE will do). The demand is "
                f"guard.require_any_filter in {demand.file}.",
            )


def _nodes(rel: Rel) -> Iterator[Rel]:
    yield rel
    for branch in ir.inputs(rel):
        yield from _nodes(branch)
    for e in ir.scalars(rel):
        for sub in sc.subs(e):
            yield from _nodes(sub.rel)


def _aliases(ids: frozenset[int], nodes: tuple[Rel, ...]) -> frozenset[int]:
    """The columns that are always these, further up or by equality."""
    known = set(ids)
    size = 0
    while size < len(known):
        size = len(known)
        for node in nodes:
            known |= _same(node, frozenset(known))
    return frozenset(known)


def _same(node: Rel, known: frozenset[int]) -> set[int]:
    match node:
        case ir.Project():
            return {i for i, e in node.items if isinstance(e, Col) and e.id in known}
        case ir.Aggregate():
            return {i for i, e in node.keys if isinstance(e, Col) and e.id in known}
        case ir.SetOp():
            places = {at for _, ids in node.inputs for at, i in enumerate(ids) if i in known}
            return {i for at, (i, _) in enumerate(node.columns) if at in places}
        case _:
            pairs = [p.args for p in _conditions(node, known) if isinstance(p, Call) and p.op == "="]
            columns = [[a.id for a in args if isinstance(a, Col)] for args in pairs]
            return {i for pair in columns if len(pair) == 2 and known & {*pair} for i in pair}


def _conditions(node: Rel, ids: frozenset[int]) -> tuple[Scalar, ...]:
    """Predicates that rows with these columns have to meet."""
    if isinstance(node, ir.Filter):
        return node.predicates
    if isinstance(node, ir.Join) and (node.kind in ("inner", "semi") or (node.kind == "left" and _right(node, ids))):
        return node.on
    return ()


def _right(node: ir.Join, ids: frozenset[int]) -> bool:
    return bool(ir.ids(node.right) & ids) and not ir.ids(node.left) & ids


def _meets(p: Scalar, ids: frozenset[int]) -> bool:
    if not isinstance(p, Call):
        return False
    if p.op in ("and", "or"):
        return (any if p.op == "and" else all)(_meets(a, ids) for a in p.args)
    own = [a for a in p.args if isinstance(a, Col) and a.id in ids]
    others = [a for a in p.args if not (isinstance(a, Col) and a.id in ids)]
    return p.op in _COMPARISONS and len(own) == 1 and not any(sc.columns(a) for a in others)


def _either(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]
