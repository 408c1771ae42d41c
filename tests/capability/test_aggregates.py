"""Every claim of an aggregate, of a grouping key and of an order, tried on its engine against the canon."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from api.probe import cases
from connectors.capability.rules import V
from connectors.errors import Error
from connectors.types import PgType
from federation.duck import Unfit
from planner import ir
from planner.prove import prove_aggregate, prove_key
from planner.scalar import Agg, Call, Col, Scalar
from planner.types import of_aggregate
from tests.capability.sites import INT4, Site
from tests.capability.test_claims import site, site_id

__all__ = ["site"]
pytestmark = pytest.mark.service
BOOL, INT8 = PgType("bool"), PgType("int8")


def test_aggregates(site: Site) -> None:
    claims = [s for s in site.cap.aggregates if s[0] != "any_value"]  # only of a row that the planner counts
    wrong = [line for signature in claims for line in aggregate_trial(site, signature)]
    assert not wrong, "\n".join(wrong)


def test_keys_and_orders(site: Site) -> None:
    wrong = [*(line for kind in site.cap.keys for line in key_trial(site, kind)),
             *(line for kind in site.cap.order for line in order_trial(site, kind))]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def columns(site: Site, family: str) -> list[Col]:
    """Columns of a family, or of the one type that the signature names."""
    named = [site.column(t.name) for t in site.held if t.name == f"{family}_a"]
    return cases.columns(site, family) or named


def aggregate_trial(site: Site, signature: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with a claim of an aggregate: by groups, filtered, of nothing."""
    name, _, distinct = signature[0].partition(" ")
    tried = 0
    for args in [(column,) for column in columns(site, signature[1])] if len(signature) > 1 else [()]:
        kind = of_aggregate(name, tuple(a.type for a in args))
        plain = Agg(name, args, kind, bool(distinct))
        if kind is None or prove_aggregate(plain, site.cap, site.facts).verdict is not V.EXACT:
            continue
        tried += 1
        where = Call("<", (site.column("int4_a"), site.column("int4_b")), BOOL)
        aggs = [plain]
        if "filter" in site.cap.features:
            aggs.append(Agg(name, args, kind, bool(distinct), where))
        key = site.column("int2_b")
        nothing = ir.Filter(site.leaf, (Call("is null", (site_id(site),), BOOL),))
        for rel, keys in ((site.leaf, ((9000, key),)), (site.leaf, ()), (nothing, ())):
            made = ir.Aggregate(rel, keys, tuple((9001 + n, agg) for n, agg in enumerate(aggs)))
            outputs = [*((i, PgType("int2")) for i, _ in keys), *((9001 + n, kind) for n, _ in enumerate(aggs))]
            found = compared(site, made, outputs)
            if found:
                yield f"{' '.join(signature)} of {kind.sql}: {found}"
                return
    if not tried:
        yield f"{' '.join(signature)}: no case proves it"


def key_trial(site: Site, family: str) -> Iterator[str]:
    """What is wrong with grouping by a family."""
    tried = 0
    for column in columns(site, family):
        if prove_key(column, site.cap, site.facts).verdict is V.EXACT and column.type is not None:
            tried += 1
            rel = ir.Aggregate(site.leaf, ((9000, column),), ((9001, Agg("count", (), INT8)),))
            found = compared(site, rel, [(9000, column.type), (9001, INT8)])
            if found:
                yield f"group by {column.type.sql}: {found}"
    if not tried:
        yield f"group by {family}: no case proves it"


def order_trial(site: Site, family: str) -> Iterator[str]:
    """What is wrong with sorting by a family."""
    tried = 0
    for column in columns(site, family):
        if prove_key(column, site.cap, site.facts, "order").verdict is not V.EXACT:
            continue
        tried += 1
        for desc, first in ((False, False), (False, True), (True, True), (True, False)):
            items: tuple[tuple[int, Scalar], ...] = ((0, site_id(site)), (9001, column))
            keys = (ir.SortKey(Col(9001, column.type), desc, first), ir.SortKey(Col(0, INT4), False, False))
            rel = ir.Project(ir.Sort(ir.Project(site.leaf, items), keys), ((0, Col(0, INT4)),))
            if site.canon(rel, (0,)) != site.ask(rel, ((0, INT4),)):
                yield f"order by {column.type.sql if column.type else '?'} {desc=} {first=}: another order"
    if not tried:
        yield f"order by {family}: no case proves it"


def compared(site: Site, rel: ir.Rel, outputs: list[tuple[int, PgType]]) -> str:
    """'' where both give the same rows, or both an error."""
    try:
        right = site.canon(rel, [i for i, _ in outputs])
    except psycopg.Error:
        right = []
    try:
        got = site.ask(rel, outputs)
    except (Error, Unfit) as error:
        merged = site.duck is not None  # what DuckDB refuses, the canon merges
        return "" if not right or merged else f"{type(error).__name__}: {error} {getattr(error, 'detail', '')}"[:300]
    missing, more = sorted(map(str, set(right) - set(got))), sorted(map(str, set(got) - set(right)))
    return f"PostgreSQL {missing[:2]}, the engine {more[:2]}" if missing or more or len(got) != len(right) else ""
