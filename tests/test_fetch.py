"""Fetching: keys, batches, sharing, streams, and that whatever is not wanted any more is stopped at the source."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.results import ResultCache
from connectors.base import Bound, Cancel
from connectors.errors import LimitExceeded, QueryError, SourceError
from connectors.types import PgType, numeric
from federation import bind, fetch
from federation.bind import Given
from federation.budgets import Spent
from federation.deadline import Deadline
from federation.fetch import Fetcher
from federation.query import Query
from federation.session import Session
from federation.steps import Asked, Fetched, Step
from planner.plan import ComputedRef, Fragment, KeysRef, ParamRef, SourceText
from tests.sources import INT8, TEXT, Tapped, catalog, fragment, int8, numbers, sqlite, wait_for
from views.catalog import Limits, QueryLimits

KEYS = KeysRef(0, 0, INT8.array, cut=True)
IN_KEYS = "SELECT id, name FROM t WHERE {id IN (SELECT value FROM json_each(?))}"


@asynccontextmanager
async def fetching(
    *connectors: Tapped,
    limits: Limits | None = None,
    max_bytes: int = 1 << 20,
) -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(ResultCache(max_bytes, max_entry=max_bytes))
    fetcher.swap(catalog({c.name: limits or Limits() for c in connectors}), {c.name: c for c in connectors})
    try:
        yield fetcher
    finally:
        for connector in connectors:
            connector.gate.set()
        await fetcher.close()


def asked(params: Sequence[Bound] = (), seconds: float = 60, cancel: Cancel | None = None, user: str = "ann") -> Asked:
    return Asked(Query("q", Session(user), Cancel()), Given(params), Deadline.after(seconds), cancel or Cancel())


def step(fragment: Fragment, ttl: float = 0.0) -> Step:
    return Step(fragment, ttl, "1")


def everything(number: int = 0, source: str = "crm") -> Step:
    return step(fragment(number, source, "SELECT id, name FROM t ORDER BY id", {"id": INT8, "name": TEXT}))


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_for, condition)


def test_values_become_parameters(tmp_path: Path) -> None:
    async def run() -> None:
        crm = Tapped(numbers(tmp_path))
        sql = "SELECT id FROM t WHERE id >= ? AND id < ? AND id <> ? ORDER BY id"
        values = (Bound(INT8, 3), ParamRef(0, INT8), ComputedRef(0, INT8))
        one = step(fragment(0, "crm", sql, {"id": INT8}, values))
        async with fetching(crm) as fetcher:
            given = Given([Bound(PgType("int4"), 6)], [int8(4)])
            fetched = await fetcher.gather(
                [one], Asked(Query("q", Session("ann"), Cancel()), given, Deadline.after(9), Cancel())
            )
            assert fetched.tables[0].column(0).to_pylist() == [3, 5]
            assert crm.asked[0].sql == "SELECT id FROM t WHERE id >= $1 AND id < $2 AND id <> $3 ORDER BY id"
            (part,) = fetched.parts
            assert (part.source, part.rows, part.cache, part.statements) == ("crm", 2, "miss", 1)
            assert part.as_of.endswith("+00:00")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("given", "kind", "expected"),
    [
        (Bound(PgType("int4"), 7), PgType("int8"), 7),
        (Bound(PgType("int8"), 7), PgType("numeric"), "7"),
        (Bound(PgType("int4"), 7), PgType("float8"), 7.0),
        (Bound(PgType("varchar"), "a "), TEXT, "a "),
        (Bound(PgType("bpchar"), "a "), TEXT, "a"),
        (Bound(PgType("text"), None), PgType("int4"), None),
        (Bound(PgType("_int4"), [1, None]), PgType("_numeric"), ["1", None]),
    ],
)
def test_casts_that_keep_the_value(given: Bound, kind: PgType, expected: object) -> None:
    assert bind.cast(given, kind) == Bound(kind, expected)


def test_casts_that_do_not() -> None:
    with pytest.raises(QueryError, match="integer out of range") as caught:
        bind.cast(int8(1 << 31), PgType("int4"))
    assert caught.value.sqlstate == "22003"
    with pytest.raises(Exception, match="belongs in the canon"):
        bind.cast(Bound(PgType("numeric"), "1.25"), numeric(3, 1))


def test_cache_keys_tell_apart_what_compares_equal() -> None:
    values = [1, 1.0, True, "1", 0.0, -0.0]
    assert len({bind.frozen([Bound(PgType("float8"), value)]) for value in values}) == len(values)


def test_keys_go_from_fragment_to_fragment(tmp_path: Path) -> None:
    async def run() -> None:
        crm = Tapped(sqlite(tmp_path, "crm", "CREATE TABLE k(i INT); INSERT INTO k VALUES (4),(2),(4),(NULL)"))
        erp = Tapped(numbers(tmp_path, "erp"))
        first = step(fragment(0, "crm", "SELECT i FROM k", {"i": INT8}))
        second = step(fragment(1, "erp", IN_KEYS, {"id": INT8, "name": TEXT}, (KEYS,)))
        async with fetching(crm, erp) as fetcher:
            fetched = await fetcher.gather([second, first], asked())
            assert fetched.tables[1].to_pydict() == {"c0": [2, 4], "c1": ["name 2", "name 4"]}
            assert erp.asked[0].params == (Bound(INT8.array, [2, 4]),)
            assert [part.fragment for part in fetched.parts] == [0, 1]

    asyncio.run(run())


def _keyed(tmp_path: Path, keys: int) -> tuple[Tapped, Tapped, list[Step]]:
    crm = Tapped(numbers(tmp_path, "crm", keys))
    erp = Tapped(numbers(tmp_path, "erp", 12_000))
    first = step(fragment(0, "crm", "SELECT id FROM t", {"id": INT8}))
    return crm, erp, [first, step(fragment(1, "erp", IN_KEYS, {"id": INT8, "name": TEXT}, (KEYS,)))]


@pytest.mark.parametrize(("keys", "statements"), [(0, 0), (1, 1), (1000, 1), (1001, 2), (2500, 3), (10_000, 10)])
def test_many_keys_are_cut_into_statements(tmp_path: Path, keys: int, statements: int) -> None:
    async def run() -> None:
        crm, erp, steps = _keyed(tmp_path, keys)
        async with fetching(crm, erp, limits=Limits(concurrency=2)) as fetcher:
            fetched = await fetcher.gather(steps, asked())
            assert sorted(fetched.tables[1].column(0).to_pylist()) == list(range(keys))
            assert fetched.tables[1].schema == steps[1].schema
            assert (len(erp.asked), fetched.parts[1].statements) == (statements, statements)
            assert all(len(query.params[0].value) <= 1000 for query in erp.asked)
            assert erp.most <= 2
            assert fetched.parts[1].cache == ("miss" if keys else "none")

    asyncio.run(run())


def test_too_many_keys_read_it_all(tmp_path: Path) -> None:
    async def run() -> None:
        crm, erp, steps = _keyed(tmp_path, 10_001)
        async with fetching(crm, erp) as fetcher:
            fetched = await fetcher.gather(steps, asked())
            assert [query.sql for query in erp.asked] == ["SELECT id, name FROM t WHERE TRUE"]
            assert fetched.tables[1].num_rows == 12_000

    asyncio.run(run())


def _keyed_by(sql: str, *refs: KeysRef) -> Fragment:
    return fragment(2, "crm", sql, {"c": INT8}, refs)


def test_only_keys_that_an_index_serves_are_cut() -> None:
    table = pa.table({"c0": pa.array(range(1500), pa.int64())})
    for cut, statements in ((True, 2), (False, 1)):
        asks = bind.queries(_keyed_by("x {a ?}", KeysRef(0, 0, INT8.array, cut=cut)), Given(), {0: table})
        assert len(asks) == statements
        assert sorted(key for ask in asks for key in ask.params[0].value) == list(range(1500))


@given(st.lists(st.tuples(st.integers(0, 30) | st.none(), st.sampled_from("aAbé ") | st.none())), st.integers(0, 40))
def test_combinations_are_distinct_and_never_hold_null(rows: list[tuple[int | None, str | None]], most: int) -> None:
    left, right = [a for a, _ in rows], [b for _, b in rows]
    table = pa.table({"c0": pa.array(left, pa.int64()), "c1": pa.array(right, pa.string())})
    refs = [KeysRef(0, at, kind.array, most, False, (0, 1)) for at, kind in enumerate((INT8, TEXT))]
    wanted = {(a, b) for a, b in rows if a is not None and b is not None}
    asks = bind.queries(_keyed_by("x {y ? z ?} v", *refs), Given(), {0: table})
    if not wanted:
        assert asks == ()
    elif len(wanted) > most:
        assert [(ask.sql, ask.params) for ask in asks] == [("x TRUE v", ())]
    else:
        (ask,) = asks
        pairs = list(zip(*(param.value for param in ask.params), strict=True))
        assert sorted(pairs) == sorted(wanted)


def test_combinations_travel_as_json_too() -> None:
    table = pa.table({"c0": pa.array([2, 1], pa.int64()), "c1": pa.array(["é", 'a"']), "c2": [date(2024, 1, 2), None]})
    for columns, text in (((1, 0), '[["a\\"", 1], ["é", 2]]'), ((0, 2), '[[2, "2024-01-02"]]')):
        ref = KeysRef(0, -1, TEXT, columns=columns)
        (ask,) = bind.queries(_keyed_by("x {y ?}", ref), Given(), {0: table})
        assert ask.params == (Bound(TEXT, text),)


def test_of_several_keys_the_fewest_are_cut_and_too_many_are_left_out() -> None:
    tables = {
        0: pa.table({"c0": pa.array(range(1800), pa.int64())}),
        1: pa.table({"c0": pa.array(range(2500), pa.int64())}),
    }
    refs = [KeysRef(at, 0, INT8.array, cut=True) for at in (0, 1)]
    asks = bind.queries(_keyed_by("x {a ?} and {b ?} w", *refs), Given(), tables)
    assert [[len(param.value) for param in ask.params] for ask in asks] == [[1000, 2500], [800, 2500]]
    refs[0] = KeysRef(0, 0, INT8.array, most=1799, cut=True)
    asks = bind.queries(_keyed_by("x {a ?} and {b ?} w", *refs), Given(), tables)
    assert [ask.sql for ask in asks] == ["x TRUE and b $1 w"] * 3
    assert bind.queries(_keyed_by("x {a ?} and {b ?} w", *refs), Given(), {**tables, 1: tables[1].slice(0, 0)}) == ()


@pytest.mark.parametrize(("keys", "small"), [(1, True), (100, True), (101, False), (10_001, False)])
def test_many_keys_take_the_way_for_many_rows(keys: int, small: bool) -> None:
    one = replace(_keyed_by("x {a ?}", KEYS), small=True)
    asks = bind.queries(one, Given(), {0: pa.table({"c0": pa.array(range(keys), pa.int64())})})
    assert {ask.small for ask in asks} == {small}


def test_keys_without_a_python_value_read_it_all() -> None:
    one = _keyed_by("a {b ?}", KeysRef(0, 0, PgType("_date")))
    infinity = pa.array([2**31 - 1], pa.int32()).cast(pa.date32())
    assert [ask.sql for ask in bind.queries(one, Given(), {0: pa.table({"c0": infinity})})] == ["a TRUE"]


def test_decimal_keys_travel_as_plain_text() -> None:
    one = _keyed_by("a {?}", KeysRef(0, 0, PgType("_numeric")))
    column = pa.array(["0.0000001", "12"], pa.string()).cast(pa.decimal128(20, 7))
    (ask,) = bind.queries(one, Given(), {0: pa.table({"c0": column})})
    assert ask.params[0].value == ["0.0000001", "12.0000000"]


def test_independent_fragments_run_at_once_and_the_owner_s_limit_holds(tmp_path: Path) -> None:
    async def run() -> None:
        crm, erp = Tapped(numbers(tmp_path, "crm")), Tapped(numbers(tmp_path, "erp"))
        crm.gate.clear()
        erp.gate.clear()
        ones = [step(fragment(i, "crm", f"SELECT id FROM t WHERE id = {i}", {"id": INT8})) for i in range(5)]
        async with fetching(crm, erp, limits=Limits(concurrency=2)) as fetcher:
            task = asyncio.create_task(fetcher.gather([*ones, everything(9, "erp")], asked()))
            await until(lambda: crm.running == 2 and erp.running == 1)
            assert fetcher.loads["crm"].waiting == 3
            crm.gate.set()
            erp.gate.set()
            assert (await task).rows == 5 + 10
            assert (crm.most, fetcher.loads["crm"].statements, fetcher.loads["crm"].rows) == (2, 5, 5)

    asyncio.run(run())


def test_a_failing_fragment_stops_the_others(tmp_path: Path) -> None:
    async def run() -> None:
        crm, erp = Tapped(numbers(tmp_path, "crm")), Tapped(numbers(tmp_path, "erp"))
        crm.gate.clear()
        bad = step(fragment(1, "erp", "SELECT nonsense", {"id": INT8}))
        waits = step(fragment(2, "erp", IN_KEYS, {"id": INT8, "name": TEXT}, (KEYS,)))
        async with fetching(crm, erp) as fetcher:
            with pytest.raises(SourceError, match="erp"):
                await fetcher.gather([everything(), bad, waits], asked())
            await until(lambda: crm.stopped == 1)
            await until(lambda: fetcher.loads["crm"].in_flight == 0)
            assert fetcher.loads["erp"].errors == 1

    asyncio.run(run())


def test_the_row_limit_is_the_owner_s(tmp_path: Path) -> None:
    async def run() -> None:
        crm = Tapped(numbers(tmp_path, rows=30_000))
        async with fetching(crm, limits=Limits(rows=20_000)) as fetcher:
            with pytest.raises(LimitExceeded, match="source crm has more than 20,000 rows") as caught:
                await fetcher.gather([everything()], asked())
            assert caught.value.sqlstate == "53400"
            assert crm.ended == 1
            assert crm.batches < 4, "it was read on past the limit"

    asyncio.run(run())


@pytest.mark.parametrize("how", ["cancel", "deadline", "vanish"])
def test_what_nobody_waits_for_is_stopped_at_the_source(tmp_path: Path, how: str) -> None:
    async def run() -> None:
        crm = Tapped(numbers(tmp_path))
        crm.gate.clear()
        cancel = Cancel()
        async with fetching(crm) as fetcher:
            seconds = 0.05 if how == "deadline" else 60
            task = asyncio.create_task(fetcher.gather([everything()], asked((), seconds, cancel)))
            await until(lambda: crm.running == 1)
            if how == "cancel":
                await asyncio.to_thread(cancel.fire)
            elif how == "vanish":
                task.cancel()
            await asyncio.wait([task])
            if how == "vanish":
                assert task.cancelled()
            else:
                with pytest.raises(LimitExceeded) as caught:
                    await task
                assert caught.value.sqlstate == "57014"
                named = how == "cancel" or "source crm had not answered (1 of 4 statements in flight" in str(
                    caught.value.detail
                )
                assert named
            await until(lambda: crm.stopped == 1)
            await until(lambda: fetcher.loads["crm"].in_flight == 0)

    asyncio.run(run())


def test_the_same_question_is_asked_once_and_outlives_the_one_who_asked_first(tmp_path: Path) -> None:
    async def run() -> None:
        crm = Tapped(numbers(tmp_path))
        crm.gate.clear()
        async with fetching(crm) as fetcher:
            tasks = [asyncio.create_task(fetcher.gather([everything()], asked())) for _ in range(20)]
            stream = asyncio.create_task(fetcher.stream(everything(), asked(), Fetched({}, []), ["id", "name"]))
            other = asyncio.create_task(fetcher.gather([everything()], asked(user="bob")))
            await until(lambda: crm.running == 1)
            tasks[0].cancel()
            await asyncio.wait([tasks[0]])
            crm.gate.set()
            answers = await asyncio.gather(*tasks[1:])
            batches, (part,) = await stream
            assert [len(b) async for b in batches] == [10]
            assert (await other).parts[0].cache == "shared", "the source reads the same for bob as for ann"
            assert (len(crm.asked), crm.stopped) == (1, 0)
            assert {answer.parts[0].cache for answer in answers} == {"shared"}
            assert (part.cache, part.rows) == ("shared", 10)

    asyncio.run(run())


def test_a_kept_answer_says_when_it_was_read(tmp_path: Path) -> None:
    async def run() -> None:
        crm = Tapped(numbers(tmp_path))
        one = step(everything().fragment, ttl=60)
        async with fetching(crm) as fetcher:
            first = await fetcher.gather([one], asked())
            again = await fetcher.gather([one], asked())
            assert (again.parts[0].cache, again.parts[0].statements) == ("hit", 0)
            assert again.parts[0].read_at == first.parts[0].read_at
            assert again.tables[0] == first.tables[0]
            batches, (part,) = await fetcher.stream(one, asked(), Fetched({}, []), ["id", "name"])
            assert (part.cache, [b.num_rows async for b in batches]) == ("hit", [10])
            assert len(crm.asked) == 1

    asyncio.run(run())


@pytest.fixture
def small_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "HEAD", 1000)


async def _open(fetcher: Fetcher, ttl: float = 60, seconds: float = 60, cancel: Cancel | None = None):  # type: ignore[no-untyped-def]
    one = step(everything().fragment, ttl)
    return await fetcher.stream(one, asked((), seconds, cancel), Fetched({}, []), ["id", "name"])


@pytest.mark.usefixtures("small_head")
def test_a_large_stream_is_bounded_and_exact(tmp_path: Path) -> None:
    async def run() -> None:
        crm = Tapped(numbers(tmp_path, rows=100_000))
        async with fetching(crm) as fetcher:
            stream, (part,) = await _open(fetcher)
            await until(lambda: crm.batches >= 4)
            await asyncio.sleep(0.05)
            assert crm.batches == 4, "one in hand, two ahead, one that waits to be passed on"
            seen: list[int] = []
            async for batch in stream:
                assert batch.schema.names == ["id", "name"]
                seen += batch.column(0).to_pylist()
            assert seen == list(range(100_000))
            assert (part.rows, part.cache, crm.stopped) == (100_000, "miss", 0)
            assert fetcher.cache.bytes == 0

    asyncio.run(run())


@pytest.mark.usefixtures("small_head")
@pytest.mark.parametrize("how", ["close", "cancel", "deadline", "forget"])
def test_an_open_stream_is_stopped(tmp_path: Path, how: str) -> None:
    async def run() -> None:
        crm = Tapped(numbers(tmp_path, rows=100_000))
        cancel = Cancel()
        async with fetching(crm) as fetcher:
            seconds = 1 if how in ("deadline", "forget") else 60  # longer than opening takes
            stream, _ = await _open(fetcher, seconds=seconds, cancel=cancel)
            await anext(stream)
            if how == "close":
                await stream.aclose()
                with pytest.raises(StopAsyncIteration):
                    await anext(stream)
            elif how == "forget":
                del stream
            else:
                if how == "cancel":
                    await asyncio.to_thread(cancel.fire)
                await until(lambda: crm.stopped == 1)
                with pytest.raises(LimitExceeded) as caught:
                    while True:
                        await anext(stream)
                assert caught.value.sqlstate == "57014"
            await until(lambda: crm.stopped == 1)
            await until(lambda: fetcher.loads["crm"].in_flight == 0)

    asyncio.run(run())


@pytest.mark.usefixtures("small_head")
def test_a_stream_too_large_to_share_goes_to_one_and_the_others_ask_again(tmp_path: Path) -> None:
    async def run() -> None:
        crm = Tapped(numbers(tmp_path, rows=50_000))
        crm.gate.clear()
        async with fetching(crm) as fetcher:
            opening = [asyncio.create_task(_open(fetcher)) for _ in range(3)]
            gathering = [asyncio.create_task(fetcher.gather([everything()], asked())) for _ in range(2)]
            await until(lambda: crm.running == 1)
            crm.gate.set()

            async def count(task: asyncio.Task) -> int:  # type: ignore[type-arg]
                stream, _ = await task
                return sum([batch.num_rows async for batch in stream])

            assert await asyncio.gather(*map(count, opening)) == [50_000] * 3
            assert [fetched.rows for fetched in await asyncio.gather(*gathering)] == [50_000] * 2
            assert len(crm.asked) == 4, "a statement for each stream, one for both gatherers"
            assert crm.most <= 4

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.usefixtures("small_head")
def test_a_stream_that_its_clients_left_at_the_door_is_stopped(tmp_path: Path) -> None:
    """The head has come, and in that very moment everybody has gone: the rest must not stay open."""

    async def run() -> None:
        crm = Tapped(numbers(tmp_path, rows=50_000))
        async with fetching(crm) as fetcher:
            for turns in range(12):
                crm.gate.clear()
                task = asyncio.create_task(_open(fetcher))
                await until(lambda: crm.running == 1)
                crm.gate.set()
                while not crm.batches:  # noqa: ASYNC110  (the loop's turns are the point)
                    await asyncio.sleep(0)
                for _ in range(turns):
                    await asyncio.sleep(0)
                if not task.cancel():
                    stream, _ = task.result()
                    await stream.aclose()
                await asyncio.wait([task])
                if not task.cancelled():
                    stream, _ = task.result()
                    await stream.aclose()
                await until(lambda: crm.running == 0)
                await until(lambda: fetcher.loads["crm"].in_flight == 0)
                crm.batches = 0

    asyncio.run(run())


def test_a_swap_lets_statements_end_and_closes_what_is_gone(tmp_path: Path) -> None:
    async def run() -> None:
        old, new = Tapped(numbers(tmp_path, "crm")), Tapped(numbers(tmp_path, "erp"))
        old.gate.clear()
        async with fetching(old, new) as fetcher:
            task = asyncio.create_task(fetcher.gather([everything()], asked()))
            await until(lambda: old.running == 1)
            retired = fetcher.swap(catalog({"erp": Limits()}), {"erp": new})
            assert retired == [old]
            closing = asyncio.create_task(fetcher.sender.retire(retired))
            await asyncio.sleep(0.02)
            assert not old.closed
            old.gate.set()
            assert (await task).rows == 10
            await closing
            assert old.closed
            with pytest.raises(SourceError, match="not there any more"):
                await fetcher.gather([everything()], asked())
            assert (await fetcher.gather([everything(0, "erp")], asked())).rows == 10

    asyncio.run(run())


def test_a_fetch_into_a_stream_with_keys(tmp_path: Path) -> None:
    async def run() -> None:
        crm, erp, steps = _keyed(tmp_path, 1500)
        text = SourceText(steps[1].fragment.text.parts, (KeysRef(1, 0, INT8.array),))
        keyed = step(replace(steps[1].fragment, id=0, text=text))
        first = step(replace(steps[0].fragment, id=1))
        async with fetching(crm, erp) as fetcher:
            before = await fetcher.gather([first], asked())
            stream, parts = await fetcher.stream(keyed, asked(), before, ["id", "name"])
            assert sorted([i async for b in stream for i in b.column("id").to_pylist()]) == list(range(1500))
            assert sorted(part.fragment for part in parts) == [0, 1]

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["live", "file", "query", "query that fails"])
def test_the_age_of_data_is_the_source_s_own_word(tmp_path: Path, kind: str) -> None:
    async def run() -> None:
        script = "CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1); CREATE TABLE loads (at TIMESTAMP);"
        crm = Tapped(sqlite(tmp_path, "crm", script + "INSERT INTO loads VALUES ('2024-02-29 12:00:00');"))
        os.utime(tmp_path / "crm.db", (1_700_000_000, 1_700_000_000))
        word, _, fails = kind.partition(" ")
        told = {"kind": word, "sql": "SELECT nonsense" if fails else "SELECT max(at) FROM loads"}
        known = catalog({"crm": Limits()})
        source = replace(known.sources["crm"], as_of=told)
        async with fetching(crm) as fetcher:
            fetcher.swap(replace(known, sources={"crm": source}), {"crm": crm})
            one = step(fragment(0, "crm", "SELECT id FROM t", {"id": INT8}), ttl=60)
            parts = [(await fetcher.gather([one], asked())).parts[0] for _ in range(2)]
            assert [part.cache for part in parts] == ["miss", "hit"]
            assert parts[0].as_of == parts[1].as_of
            as_of = parts[0].as_of
            if kind == "live":
                assert abs(datetime.fromisoformat(as_of).timestamp() - parts[0].read_at) < 0.001
            elif kind == "query that fails":
                assert as_of == ""
            else:
                expected = {"file": "2023-11-14T22:13:20+00:00", "query": "2024-02-29T12:00:00+00:00"}
                assert as_of == expected[kind]

    asyncio.run(run())


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),  # which question
            st.sampled_from(["gather", "stream", "read", "close"]),
            st.one_of(st.none(), st.integers(0, 25)),  # after how many turns of the loop the client vanishes
            st.integers(0, 4),  # turns before the next one comes
        ),
        max_size=12,
    ),
    st.sampled_from([0.0, 60.0]),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
def test_whoever_vanishes_whenever_nothing_is_left_behind(
    tmp_path_factory: pytest.TempPathFactory,
    clients: list[tuple[int, str, int | None, int]],
    ttl: float,
) -> None:
    """Random clients over one source with two places; whoever stays gets the right rows, and all is free at the end."""
    folder = tmp_path_factory.mktemp("random")

    async def client(fetcher: Fetcher, question: int, how: str) -> None:
        sql = f"SELECT id, name FROM t WHERE id % 4 >= {question} ORDER BY id"
        one = step(fragment(0, "crm", sql, {"id": INT8, "name": TEXT}), ttl)
        expected = [i for i in range(20_000) if i % 4 >= question]
        if how == "gather":
            fetched = await fetcher.gather([one], asked())
            assert fetched.tables[0].column(0).to_pylist() == expected
            return
        stream, _ = await fetcher.stream(one, asked(), Fetched({}, []), ["id", "name"])
        try:
            seen = list((await anext(stream)).column(0).to_pylist())
            if how == "read":
                async for batch in stream:
                    seen += batch.column(0).to_pylist()
                assert seen == expected
        finally:
            await stream.aclose()

    async def leave(task: asyncio.Task[None], turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()

    async def run() -> None:
        crm = Tapped(numbers(folder, rows=20_000))
        async with fetching(crm, limits=Limits(concurrency=2)) as fetcher:
            tasks = []
            for question, how, vanishes, pause in clients:
                task = asyncio.create_task(client(fetcher, question, how))
                tasks.append(task)
                if vanishes is not None:
                    tasks.append(asyncio.create_task(leave(task, vanishes)))
                for _ in range(pause):
                    await asyncio.sleep(0)
            for end in await asyncio.gather(*tasks, return_exceptions=True):
                assert end is None or isinstance(end, asyncio.CancelledError), repr(end)
            await until(lambda: crm.running == 0)
            await until(lambda: fetcher.loads["crm"].in_flight == 0 if clients else True)
            assert crm.most <= 2
            assert not clients or fetcher.loads["crm"].waiting == 0
            assert not fetcher.cache._flights
            assert not fetcher.sender._running

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch, "HEAD", 50_000)
        asyncio.run(run())


@pytest.mark.parametrize(
    ("allowed", "told"),
    [
        (QueryLimits(rows=25), r"cost source erp 30 rows; its owner allows 25 for one query"),
        (QueryLimits(bytes=500), r"cost source erp \d\d\d bytes; its owner allows 500 for one query"),
    ],
)
def test_what_all_statements_of_a_query_cost_together(tmp_path: Path, allowed: QueryLimits, told: str) -> None:
    async def run() -> None:
        erp = Tapped(numbers(tmp_path, "erp"))
        ones = [
            step(fragment(i, "erp", f"SELECT id, name FROM t WHERE id > {-i - 1}", {"id": INT8, "name": TEXT}))
            for i in range(3)
        ]
        async with fetching(erp, limits=Limits(query=allowed)) as fetcher:
            with pytest.raises(LimitExceeded, match=told) as caught:
                await fetcher.gather(ones, asked())
            assert caught.value.sqlstate == "53400"
            assert "limits.query." in str(caught.value.hint)
            two = await fetcher.gather(ones[:2], asked())
            assert two.rows == 20

    asyncio.run(run())


def test_a_stream_stops_at_what_a_query_may_cost(tmp_path: Path) -> None:
    async def run() -> None:
        crm = Tapped(numbers(tmp_path, rows=200_000))
        wide = step(fragment(0, "crm", "SELECT id, name || name || name || name FROM t", {"id": INT8, "name": TEXT}))
        small = step(fragment(1, "crm", "SELECT id FROM t WHERE id < 100000", {"id": INT8}))
        async with fetching(crm, limits=Limits(query=QueryLimits(rows=290_000))) as fetcher:
            mine = asked()
            before = await fetcher.gather([small], mine)
            stream, _ = await fetcher.stream(wide, mine, before, ["id", "name"])
            with pytest.raises(LimitExceeded, match="allows 290,000 for one query"):
                async for _batch in stream:
                    pass
            await until(lambda: fetcher.loads["crm"].in_flight == 0)

    asyncio.run(run())


def test_the_time_of_a_query_s_statements_counts_together_and_bounds_each(tmp_path: Path) -> None:
    spent, most = Spent(), QueryLimits(time=2.0)
    spent.spend("crm", most, 1, 10, 1.5)
    spent.spend("erp", most, 1, 10, 1.5)
    with pytest.raises(LimitExceeded, match=r"cost source crm 2\.1 s; its owner allows 2 s for one query"):
        spent.spend("crm", most, 1, 10, 0.6)

    async def run() -> None:
        crm = Tapped(numbers(tmp_path))
        async with fetching(crm, limits=Limits(timeout=30, query=most)) as fetcher:
            await fetcher.gather([everything()], asked())
            assert crm.timeouts == [2.0]

    asyncio.run(run())
