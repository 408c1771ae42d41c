"""While a source is down: what views allow, put together; what is answered then, and how it is labelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Bound, Cancel
from connectors.errors import Error, LimitExceeded, SourceError, TimedOut
from federation.canon.server import Canon
from federation.engine import Engine
from federation.freshness import provenance
from federation.freshness.down import FAIL, Missing, Policy, policies, readers
from federation.result import Part, Result
from federation.session import Session
from tests.sources import int8
from tests.test_engine import World, engine
from views.catalog import Catalog, SourceTable, View

Key = tuple[str, str]
ANN = Session("ann")
DOWN = SourceError('source "erp" cannot be reached', sqlstate="08006")
WAYS = st.lists(st.sampled_from(("fail", "stale", "nulls", "partial")), min_size=1, max_size=3).map(tuple)


def catalog(views: Mapping[Key, tuple[Sequence[Key], Mapping[str, tuple[str, ...]]]]) -> Catalog:
    """Views by what they read and what they say; a table t in each of the sources a and b."""
    tables = {(name, "t"): SourceTable(name, "t", ()) for name in ("a", "b")}
    made = {key: View(*key, (), depends=tuple(depends), on_source_down=said) for key, (depends, said) in views.items()}
    return Catalog({}, tables, made, "1")


A, B, ONE, TWO, THREE = ("a", "t"), ("b", "t"), ("v", "one"), ("v", "two"), ("v", "three")


@pytest.mark.parametrize(
    ("views", "asked", "expected"),
    [
        ({}, [A], {}),
        ({ONE: ([A], {})}, [ONE], {}),
        ({ONE: ([A], {"a": ("fail",)})}, [ONE], {"a": FAIL}),
        ({ONE: ([A], {"a": ("partial",)})}, [ONE], {"a": Policy(then="partial")}),
        ({ONE: ([A], {"a": ("stale", "nulls")})}, [ONE], {"a": Policy(True, "nulls")}),
        ({ONE: ([A], {"a": ("partial", "stale")})}, [ONE], {"a": Policy(False, "partial")}),
        ({ONE: ([A], {"a": ("stale",)})}, [ONE], {"a": Policy(True, "fail")}),
        ({ONE: ([A], {"a": ("partial",)})}, [ONE, A], {"a": FAIL}),
        ({ONE: ([A, B], {"a": ("nulls",)})}, [ONE], {"a": Policy(then="nulls")}),
        # one on the way has to say it, and nobody on the way against it
        ({ONE: ([A], {}), TWO: ([ONE], {"a": ("nulls",)})}, [TWO], {"a": Policy(then="nulls")}),
        ({ONE: ([A], {"a": ("partial",)}), TWO: ([ONE], {})}, [TWO], {"a": Policy(then="partial")}),
        ({ONE: ([A], {"a": ("partial",)}), TWO: ([ONE], {"a": ("fail",)})}, [TWO], {"a": FAIL}),
        ({ONE: ([A], {"a": ("fail",)}), TWO: ([ONE], {"a": ("nulls",)})}, [TWO], {"a": FAIL}),
        ({ONE: ([A], {"a": ("partial",)}), TWO: ([ONE], {"a": ("stale", "nulls")})}, [TWO],
         {"a": Policy(False, "partial")}),
        # several ways to it: all count
        ({ONE: ([A], {"a": ("partial",)}), TWO: ([A], {})}, [ONE, TWO], {"a": FAIL}),
        ({ONE: ([A], {"a": ("partial",)}), TWO: ([A, ONE], {})}, [TWO], {"a": FAIL}),
        ({ONE: ([A], {"a": ("partial",)}), TWO: ([A], {"a": ("nulls",)}), THREE: ([ONE, TWO], {})}, [THREE],
         {"a": Policy(then="partial")}),
    ],
)  # fmt: skip
def test_what_views_allow_together(
    views: Mapping[Key, tuple[Sequence[Key], Mapping[str, tuple[str, ...]]]], asked: list[Key], expected: object
) -> None:
    assert policies(asked, catalog(views)) == expected


@given(WAYS, WAYS, WAYS)
def test_the_strictest_of_all_counts_in_any_order(a: tuple[str, ...], b: tuple[str, ...], c: tuple[str, ...]) -> None:
    x, y, z = (Policy.of(ways) for ways in (a, b, c))
    assert (x & y) & z == x & (y & z)
    assert x & y == y & x
    assert x & x == x
    assert (x & FAIL).then == "fail"
    assert not (x & y).stale or (x.stale and y.stale)


def test_who_reads_a_source() -> None:
    known = catalog({ONE: ([A], {}), TWO: ([ONE, B], {}), THREE: ([B], {})})
    assert readers([TWO], known) == {"a": ("v.one", "v.two"), "b": ("v.two",)}


# -- the engine

JOIN = """SELECT c.id, b.amount FROM crm.customers c LEFT JOIN sales.big b ON b.customer_id = c.id
          WHERE c.id <= 3 ORDER BY c.id, b.amount"""
COUNT = "SELECT count(*) AS n, sum(amount) AS total FROM sales.big"


def asking(
    tmp_path: Path, canon: Canon, test: Callable[[Engine, World], object], ways: tuple[str, ...] = ("partial",)
) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon, 60, on_source_down={"erp": ways}) as (made, world):
            await test(made, world)  # type: ignore[misc]

    asyncio.run(run())


async def answered(made: Engine, sql: str, *params: Bound) -> tuple[list[tuple[object, ...]], Result]:
    result = await made.query(sql, ANN, params)
    table = await result.table()
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True)), result


def test_a_partial_answer_is_exact_labelled_and_not_kept(tmp_path: Path, canon: Canon) -> None:
    async def test(made: Engine, world: World) -> None:
        world.erp.fault = DOWN
        rows, result = await answered(made, COUNT)
        assert rows == [(0, None)]
        (part,) = result.parts
        assert (part.source, part.origin, part.policy, part.tables) == ("erp", "missing", "partial", ("orders",))
        assert (part.why, part.views, part.statements) == (DOWN.message, ("sales.big",), 0)
        rows, result = await answered(made, JOIN)
        assert rows == [(1, None), (2, None), (3, None)]
        assert {part.source: part.origin for part in result.parts if part.origin == "missing"} == {"erp": "missing"}
        world.erp.fault = None
        rows, result = await answered(made, JOIN)
        assert rows == [(1, 3000), (1, 6000), (2, 1), (2, 3001), (3, 2), (3, 3002)]
        assert {part.origin for part in result.parts} <= {"live", "cache"}
        assert not result.cached
        # what was kept of the whole serves while the source is down again, and is no partial answer
        world.erp.fault = DOWN
        again, result = await answered(made, JOIN)
        assert (again, result.cached) == (rows, True)

    asking(tmp_path, canon, test)


@pytest.mark.parametrize(
    "error",
    [
        DOWN,
        SourceError("it shuts down", sqlstate="57P01"),
        SourceError("disk full", sqlstate="53100"),
        TimedOut("its owner's time is over", 30.0, hint=""),
        TimedOut("it does not even end it when told to", 1.0, hangs=True, hint=""),
    ],
    ids=lambda error: error.message,
)
def test_what_says_that_a_source_is_down(tmp_path: Path, canon: Canon, error: Error) -> None:
    async def test(made: Engine, world: World) -> None:
        world.erp.fault = error
        assert (await answered(made, COUNT))[0] == [(0, None)]

    asking(tmp_path, canon, test)


def test_the_deadline_is_that_of_the_whole(tmp_path: Path, canon: Canon) -> None:
    """The first try takes some of the time; what is left is for the second."""

    async def test(made: Engine, world: World) -> None:
        prepared = await made.prepare("SELECT (SELECT count(*) FROM sales.big), count(*) FROM crm.customers", ANN)
        world.erp.fault = DOWN
        world.erp.gate.clear()
        world.crm.gate.clear()
        loop = asyncio.get_running_loop()
        loop.call_later(0.4, world.erp.gate.set)
        loop.call_later(1.0, world.crm.gate.set)  # in time for one who had as long again
        with pytest.raises(LimitExceeded) as late:
            await made.run(prepared, [], replace(ANN, timeout=0.8), Cancel())
        assert late.value.sqlstate == "57014"

    asking(tmp_path, canon, test)


@pytest.mark.parametrize(
    "error",
    [
        SourceError("relation does not exist", sqlstate="HV000"),
        SourceError("permission denied", sqlstate="42501"),
        SourceError("not a number", sqlstate="HV004"),
        LimitExceeded("more rows than allowed"),
        TimedOut("a client had less time than the owner allows", 1.0, hint=""),
        LimitExceeded("canceling statement due to user request", sqlstate="57014"),
    ],
    ids=lambda error: error.sqlstate,
)
def test_what_does_not_say_that_a_source_is_down_is_an_error(tmp_path: Path, canon: Canon, error: Error) -> None:
    async def test(made: Engine, world: World) -> None:
        world.erp.fault = error
        with pytest.raises(Error, match=error.message):
            await answered(made, COUNT)

    asking(tmp_path, canon, test)


@pytest.mark.parametrize(
    ("ways", "sql"),
    [(("fail",), COUNT), (("stale",), COUNT), (("partial",), "SELECT count(*) FROM erp.orders"),
     (("partial",), "SELECT count(*) FROM sales.big JOIN erp.orders USING (id)")],
)  # fmt: skip
def test_where_a_view_does_not_allow_it_the_error_is_the_sources(
    tmp_path: Path, canon: Canon, ways: tuple[str, ...], sql: str
) -> None:
    async def test(made: Engine, world: World) -> None:
        world.erp.fault = DOWN
        with pytest.raises(SourceError, match="cannot be reached"):
            await answered(made, sql)

    asking(tmp_path, canon, test, ways)


def test_another_source_that_is_down_is_still_an_error(tmp_path: Path, canon: Canon) -> None:
    async def test(made: Engine, world: World) -> None:
        world.erp.fault, world.crm.fault = DOWN, SourceError("crm is gone", sqlstate="08006")
        with pytest.raises(SourceError, match="crm is gone"):
            await answered(made, JOIN)

    asking(tmp_path, canon, test)


def test_for_a_caller_that_merges_by_itself(tmp_path: Path, canon: Canon) -> None:
    async def test(made: Engine, world: World) -> None:
        world.erp.fault = DOWN
        prepared = await made.prepare(JOIN, ANN)
        less, fetched = await made.gather(prepared, [], ANN, Cancel())
        assert less.missing == (Missing("erp", "partial", DOWN.message),)
        origins = [part.origin for part in fetched.parts]
        assert origins in (["live", "missing"], ["cache", "missing"])  # the first try may have read it
        result = await made.merge(less, fetched, [], ANN, Cancel())
        assert (await result.table()).num_rows == 3
        assert [part.origin for part in result.parts] == origins
        with pytest.raises(SourceError):
            made.without(less, [], ANN, DOWN)

    asking(tmp_path, canon, test)


def test_a_statement_keeps_its_parameters_without_the_source(tmp_path: Path, canon: Canon) -> None:
    async def test(made: Engine, world: World) -> None:
        world.erp.fault = DOWN
        sql = """SELECT c.id, (SELECT count(*) FROM sales.big b WHERE b.customer_id = c.id)
                 FROM crm.customers c WHERE c.id = $1"""
        assert (await answered(made, sql, int8(7)))[0] == [(7, 0)]
        assert (await answered(made, sql, int8(8)))[0] == [(8, 0)]
        world.erp.fault = None
        assert (await answered(made, sql, int8(8)))[0] == [(8, 2)]

    asking(tmp_path, canon, test)


def test_many_who_ask_at_once_share_one_partial_answer(tmp_path: Path, canon: Canon) -> None:
    async def test(made: Engine, world: World) -> None:
        world.erp.fault = DOWN
        found = await asyncio.gather(*(answered(made, JOIN) for _ in range(20)))
        assert {len(rows) for rows, _ in found} == {3}
        assert all(any(part.origin == "missing" for part in result.parts) for _, result in found)

    asking(tmp_path, canon, test)


# -- the account of it

LIVE = Part(0, "crm", "", rows=2, read_at=1000.0, as_of="1970-01-01T00:16:40+00:00", ttl=5.0, views=("v.a",))


def test_one_account_for_each_source() -> None:
    older = replace(LIVE, cache="hit", origin="cache", read_at=900.0, as_of="1970-01-01T00:15:00+00:00", statements=0)
    gone = Part(-1, "erp", "", cache="none", statements=0, origin="missing", why="gone", policy="nulls", tables=("t",))
    unasked = Part(3, "dwh", "", cache="none", statements=0)
    crm, erp = provenance.facts([LIVE, gone, older, unasked], now=1010.0)
    assert (crm.source, crm.origin, crm.as_of, crm.read_at, crm.age) == ("crm", "cache", 900.0, 900.0, 110.0)
    assert (crm.rows, crm.statements, crm.freshness, crm.warning) == (4, 1, "real_time", "")
    assert (erp.missing, erp.age, erp.freshness) == (True, None, "")
    assert erp.warning == "source erp is down: its columns are NULL (t)"
    assert erp.json()["why"] == "gone"


@pytest.mark.parametrize(
    ("age", "freshness"),
    [(0.0, "real_time"), (3600.0, "real_time"), (3601.0, "near_real_time"), (86401.0, "batch")],
)
def test_the_class_is_that_of_the_datas_age(age: float, freshness: str) -> None:
    (fact,) = provenance.facts([LIVE], now=1000.0 + age)
    assert fact.freshness == freshness


def test_of_unknown_age_is_what_nobody_told() -> None:
    (fact,) = provenance.facts([replace(LIVE, as_of="")], now=1001.0)
    assert (fact.as_of, fact.age, fact.freshness, fact.read_at) == (None, None, "", 1000.0)


def test_what_is_stale_says_so() -> None:
    (fact,) = provenance.facts([replace(LIVE, origin="stale", why="gone")], now=1600.0)
    assert fact.warning == "source crm: what is shown is past its time, 10 min old"
