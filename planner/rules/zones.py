"""Where the session's time zone is UTC, what depends on it is what the sources compute: their sessions are in UTC."""

from __future__ import annotations

from connectors.capability.signatures import ZONED
from planner import ir
from planner import scalar as sc
from planner.context import Context
from planner.ir import Rel
from planner.scalar import Call, Scalar

_UTC = frozenset(("UTC", "ETC/UTC", "GMT"))


def in_utc(rel: Rel, context: Context) -> Rel:
    """Calls by the session's zone become those of plain moments; in any other zone they stay the canon's."""
    if context.values.zone.upper() not in _UTC:
        return rel
    return ir.rewrite(rel, _node)


def _node(rel: Rel) -> Rel:
    old = ir.scalars(rel)
    if not any(e.traits & sc.BY_ZONE for e in old):
        return rel
    return ir.with_scalars(rel, tuple(sc.transform(e, _plain) for e in old))


def _plain(e: Scalar) -> Scalar | None:
    if not e.traits & sc.BY_ZONE:
        return e
    if not (isinstance(e, Call) and e.op.endswith(ZONED)):
        return None
    args = tuple(sc.transform(a, _plain) for a in e.args)
    return Call(e.op.removesuffix(ZONED), args, e.type)
