"""Which columns of a fragment may hold values that do not fit, and what then becomes of these."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.base import Unfit
from planner import ir
from planner.ir import Rel
from planner.scalar import Col

Policies = Mapping[int, tuple[Unfit, str]]  # by column id: the policy, and the column's name at the source


def misfits(rel: Rel) -> Policies:
    """The columns of a relation at a source that are such a column of a table, through whatever only hands them on.

    Nothing is computed of them at the source (`Column.exact` is false), so that they are what they were in the table.
    """
    if isinstance(rel, ir.Scan):
        table = rel.table.table
        columns = [(i, table.columns[at]) for i, at in rel.columns] if table is not None else []
        return {i: (one.unfit, f"{rel.table.name}.{one.name}") for i, one in columns if one.unfit != "error"}
    below: dict[int, tuple[Unfit, str]] = {}
    for branch in ir.inputs(rel):
        below |= misfits(branch)
    if isinstance(rel, ir.SetOp):
        ids = {i: branch[at] for _, branch in rel.inputs[:1] for at, (i, _) in enumerate(rel.columns)}
        below |= {i: below[own] for i, own in ids.items() if own in below}
    if isinstance(rel, ir.Project):
        below |= {i: below[e.id] for i, e in rel.items if isinstance(e, Col) and e.id in below}
    return below
