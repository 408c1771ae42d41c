"""The true number of rows lies within the estimated interval wherever statistics are fresh and exact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings

from connectors.statistics import Estimate
from connectors.types import PgType
from planner import ir
from planner.estimate import Estimator
from planner.scalar import BOOL, Agg, Call, Col, Lit, conjuncts
from planner.selectivity import both
from tests.estimates import world
from tests.estimates.world import IDS, KINDS, PREDICATES, Case, Site, column

INT8 = PgType("int8")


@pytest.fixture(
    scope="module", params=["sqlite", "parquet", "duckdb", pytest.param("postgresql", marks=pytest.mark.service)]
)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The table in each kind of source."""
    folder: Path = tmp_path_factory.mktemp("estimates")
    makers = {"sqlite": world.sqlite, "parquet": world.parquet, "duckdb": world.duck}
    if request.param == "postgresql":
        with world.postgresql(request.getfixturevalue("postgresql")) as found:
            yield found
    else:
        with makers[request.param](folder) as found:
            yield found


def within(site: Site, rel: ir.Rel, query: str) -> None:
    estimate, actual = Estimator(site.known).rows(rel), site.count(query)
    assert estimate.low <= actual <= estimate.high, f"{query}: {actual} is not in {estimate}"
    assert estimate.low <= estimate.likely <= estimate.high


@given(PREDICATES)
@settings(max_examples=40)
def test_filters(site: Site, case: Case) -> None:
    predicate, text = case
    within(site, ir.Filter(site.scan(), conjuncts(predicate)), f"SELECT count(*) FROM t WHERE {text}")


@given(PREDICATES)
@settings(max_examples=10)
def test_what_stands_over_filters(site: Site, case: Case) -> None:
    predicate, text = case
    filtered = ir.Filter(site.scan(), conjuncts(predicate))
    for names in (["b"], ["a", "b"], ["t"]):
        keys = tuple((100 + IDS[name], column(name)) for name in names)
        grouped = ir.Aggregate(filtered, keys, ((200, Agg("count", (), INT8)),))
        listed = ", ".join(names)
        within(site, grouped, f"SELECT count(*) FROM (SELECT {listed} FROM t WHERE {text} GROUP BY {listed}) x")
    within(site, ir.Limit(filtered, None, None), f"SELECT count(*) FROM t WHERE {text}")


@given(PREDICATES)
@settings(max_examples=8)
def test_joins(site: Site, case: Case) -> None:
    predicate, text = case
    right = site.scan()
    right = ir.Scan(right.table, tuple((i + 50, at) for i, at in right.columns))
    left = ir.Filter(site.scan(), conjuncts(predicate))
    on = (Call("=", (column("b"), Col(IDS["id"] + 50, INT8)), BOOL),)
    filtered = f"(SELECT * FROM t WHERE {text}) x"
    for kind in ("inner", "left", "full"):
        query = f"SELECT count(*) FROM {filtered} {kind.upper()} JOIN t y ON x.b = y.id"
        within(site, ir.Join(kind, left, right, on), query)
    for kind, word in (("semi", "EXISTS"), ("anti", "NOT EXISTS")):
        query = f"SELECT count(*) FROM {filtered} WHERE {word} (SELECT 1 FROM t y WHERE x.b = y.id)"
        within(site, ir.Join(kind, left, right, on), query)


@pytest.mark.parametrize(
    ("text", "predicates"),
    [
        ("b = 3", [("=", "b", "3")]),
        ("b >= 2 AND b < 4", [(">=", "b", "2"), ("<", "b", "4")]),
        ("id > 5400", [(">", "id", "5400")]),
        ("d >= DATE '2021-01-01'", [(">=", "d", "2021-01-01")]),
    ],
)
def test_likely_numbers_are_near(site: Site, text: str, predicates: list[tuple[str, str, str]]) -> None:
    """Within a factor of three where the source knows the column."""
    calls = tuple(Call(op, (column(n), Lit(v, PgType(KINDS[n]))), BOOL) for op, n, v in predicates)
    if site.statistics.columns.get(predicates[0][1]) is None:
        return  # this source keeps nothing of the column
    actual = site.count(f"SELECT count(*) FROM t WHERE {text}")
    likely = Estimator(site.known).rows(ir.Filter(site.scan(), calls)).likely
    assert actual / 3 <= likely <= actual * 3


def test_every_column_is_known(site: Site) -> None:
    """Whatever the source keeps is read: without it, the properties above would hold of nothing."""
    found = site.statistics
    assert found.rows.low <= world.ROWS <= found.rows.high < 10 * world.ROWS
    bounded = {name for name in KINDS if name in found.columns and found.columns[name].low is not None}
    assert bounded >= {"id", "b"}
    assert found.columns["id"].low == 0.0
    assert found.columns["id"].high == world.ROWS - 1


def test_shares_of_false_statistics_are_numbers_still() -> None:
    share = both([Estimate(-1.0, -0.5, 1.0), Estimate(0.0, 0.5, 1.0)])
    assert 0 <= share.low <= share.likely <= share.high <= 1
