"""Prices: an operational source's work is dear, an index makes it cheap, a budget makes it unaffordable."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from connectors.base import Column, Table
from connectors.statistics import ColumnStatistics, Estimate, TableStatistics
from connectors.types import PgType
from planner import ir
from planner.access import accesses, expected
from planner.context import Context
from planner.cost import cost
from planner.estimate import Estimator, stack
from planner.fingerprint import fingerprint
from planner.rules.bind import bind_keys
from planner.scalar import BOOL, Call, Col, KeyIn, Lit, Scalar
from planner.scope import Counter
from planner.values import Values
from views.catalog import Catalog, Limits, Source, SourceTable, Statistics

INT = PgType("int8")
ROWS = 20_000.0


def table(source: str, name: str, *indexes: tuple[str, ...]) -> SourceTable:
    columns = tuple(Column(c, INT, nullable=False) for c in ("id", "a", "b"))
    known = Table(source, None, name, columns, keys=(("id",),), indexes=indexes)
    return SourceTable(source, name, tuple((c.name, c.type) for c in columns), "", known)


def scan(of: SourceTable, first: int) -> ir.Scan:
    return ir.Scan(of, ((first, 0), (first + 1, 1), (first + 2, 2)))


def catalog(*tables: SourceTable, rows: float = ROWS, limits: Limits | None = None) -> Catalog:
    unique = ColumnStatistics(nulls=0.0, distinct=Estimate.exactly(rows))
    some = ColumnStatistics(nulls=0.0, distinct=Estimate.exactly(200.0))
    known = TableStatistics(Estimate.exactly(rows), {"id": unique, "a": some, "b": some}, sample=math.inf)
    kinds = {"oltp": "postgresql", "dwh": "files"}
    sources = {name: Source(name, kind, None, limits or Limits()) for name, kind in kinds.items()}
    statistics = Statistics({t.key: known for t in tables})
    return Catalog(sources, {t.key: t for t in tables}, {}, "1", statistics)


def equal(column: int, value: int) -> Scalar:
    return Call("=", (Col(column, INT), Lit(str(value), INT)), BOOL)


def price(rel: ir.Rel, of: Catalog) -> float:
    return cost(rel, Estimator(of.statistics), of).total


def test_the_same_scan_is_dearer_where_people_work() -> None:
    oltp, dwh = table("oltp", "t"), table("dwh", "t")
    known = catalog(oltp, dwh)
    asked = [ir.Filter(scan(t, 1), (equal(2, 5),)) for t in (oltp, dwh)]
    assert price(asked[0], known) > 5 * price(asked[1], known)
    warehouse = {**known.sources, "oltp": replace(known.sources["oltp"], role="warehouse")}
    assert price(asked[0], replace(known, sources=warehouse)) < price(asked[0], known) / 5


def test_an_index_s_leftmost_columns_serve() -> None:
    of = table("oltp", "t", ("a", "b"))
    known = catalog(of)
    by_prefix = ir.Filter(scan(of, 1), (equal(2, 5),))
    by_both = ir.Filter(scan(of, 1), (equal(2, 5), equal(3, 5)))
    by_second = ir.Filter(scan(of, 1), (equal(3, 5),))
    estimator = Estimator(known.statistics)
    found = {name: accesses(rel, estimator)[0] for name, rel in (("a", by_prefix), ("ab", by_both), ("b", by_second))}
    assert (found["a"].index, found["ab"].index, found["b"].index) == (("a",), ("a", "b"), ())
    assert found["a"].examined.likely == pytest.approx(100)
    assert found["ab"].examined.likely < found["a"].examined.likely
    assert found["b"].examined.likely == ROWS
    assert expected(by_second, estimator).sequential == ("oltp.t",)


def test_past_the_owner_s_budget_any_other_plan_is_better() -> None:
    of = table("oltp", "t")
    whole = scan(of, 1)
    free, bounded = catalog(of), catalog(of, limits=Limits(examined_rows=5_000))
    assert price(whole, bounded) > 500 * price(whole, free)


def test_what_explain_read_counts_more_than_what_we_think() -> None:
    of = table("oltp", "t")
    known = catalog(of)
    rel = ir.Filter(scan(of, 1), (equal(2, 5),))
    read = replace(known.statistics, readings={fingerprint(rel): Estimate.exactly(7.0)})
    assert expected(rel, Estimator(known.statistics)).examined.likely == ROWS
    assert expected(rel, Estimator(read)).examined == Estimate.exactly(7.0)


def test_what_was_measured_counts_more_than_what_we_think() -> None:
    of = table("oltp", "t")
    known = catalog(of)
    rel = ir.Filter(scan(of, 1), (equal(2, 5),))
    seen = replace(known.statistics, measured={fingerprint(rel): Estimate.exactly(4_000.0)})
    assert Estimator(known.statistics).rows(rel).likely == pytest.approx(100)
    assert Estimator(seen).rows(rel).likely == 4_000


@pytest.mark.parametrize("turned", [False, True])
def test_keys_spare_the_operational_side(turned: bool) -> None:
    """Either side could give the other its keys and would save as many rows: those of the dear source go."""
    oltp, dwh = table("oltp", "t", ("a",)), table("dwh", "t", ("a",))
    known = catalog(oltp, dwh, rows=4_000.0)
    small = Statistics({key: _fewer(found) for key, found in known.statistics.tables.items()})
    context = Context(replace(known, statistics=small), Values(), Counter(), Estimator(small))
    left, right = (ir.Filter(scan(t, n), (equal(n + 2, 5),)) for t, n in ((oltp, 1), (dwh, 11)))
    if turned:
        left, right = right, left
    on = (Call("=", (Col(2, INT), Col(12, INT)), BOOL),)
    joined = bind_keys(ir.Join("inner", left, right, on), context)
    assert isinstance(joined, ir.Join)
    bound = [side for side in (joined.left, joined.right) if _takes_keys(side)]
    assert [stack(side)[1] for side in bound] == [scan(oltp, 1)]


def _takes_keys(side: ir.Rel) -> bool:
    return any(isinstance(p, KeyIn) for p in stack(side)[0])


def _fewer(known: TableStatistics) -> TableStatistics:
    """A thousand values to join by, ten to filter by."""
    a, b = (ColumnStatistics(nulls=0.0, distinct=Estimate.exactly(n)) for n in (1_000.0, 10.0))
    return replace(known, columns={**known.columns, "a": a, "b": b})


def test_fingerprints_know_a_fragment_again_with_other_values_and_columns() -> None:
    of = table("oltp", "t")
    one = ir.Filter(scan(of, 1), (equal(2, 5), equal(3, 6)))
    other = ir.Project(ir.Filter(scan(of, 40), (equal(42, 1), equal(41, 9))), ((50, Col(40, INT)),))
    assert fingerprint(one) == fingerprint(other) != ""
    assert fingerprint(ir.Filter(scan(of, 1), (equal(2, 5),))) != fingerprint(one)
    assert fingerprint(ir.Filter(scan(of, 1), (KeyIn((Col(2, INT),), (99,)),))) == ""
