"""One state of a source for all statements of a query: on real servers, while others write."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cache.results import ResultCache
from connectors import registry
from connectors.base import Cancel, Connector
from connectors.errors import Error
from federation import bind
from federation.bind import Given
from federation.deadline import Deadline
from federation.fetch import Fetcher
from federation.query import Query
from federation.session import Session
from federation.snapshots import SnapshotLost, Snapshots
from federation.steps import Asked, Step
from planner.plan import Fragment
from tests.servers import Server
from tests.sources import INT8, catalog, fragment
from views.catalog import Limits

TOTAL = 1000
MADE = (
    "CREATE TABLE one (id int PRIMARY KEY, v int NOT NULL)",
    "CREATE TABLE two (id int PRIMARY KEY, v int NOT NULL)",
    f"INSERT INTO one VALUES (1, {TOTAL})",
    "INSERT INTO two VALUES (1, 0)",
)
MOVED = "UPDATE one SET v = v - 1 WHERE id = 1", "UPDATE two SET v = v + 1 WHERE id = 1"


@dataclass
class Place:
    """A source that has v of table one and v of table two, 1000 together at each moment."""

    kind: str
    options: dict[str, Any]
    write: Callable[[], Any]  # a connection of somebody else's, DB-API
    schema: str = ""
    parallel: bool = False
    moves: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def table(self, name: str) -> str:
        return f"{self.schema}{name}"

    @contextlib.contextmanager
    def moving(self) -> Iterator[None]:
        """While inside, one after the other goes from table one to table two, each in a transaction."""

        def run() -> None:
            with contextlib.closing(self.write()) as connection:
                while not self.stop.is_set():
                    self.move(connection)

        self.stop.clear()
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            self.stop.set()
            thread.join()

    def move(self, connection: Any) -> None:
        cursor = connection.cursor()
        for text in MOVED:
            cursor.execute(text)
        connection.commit()
        self.moves += 1
        time.sleep(0.0005)

    def once(self) -> None:
        with contextlib.closing(self.write()) as connection:
            self.move(connection)


@pytest.fixture(scope="module")
def postgresql_place(postgresql: Server) -> Place:
    postgresql.run("DROP SCHEMA IF EXISTS moved CASCADE", "CREATE SCHEMA moved", database="shop")
    postgresql.run("SET search_path = moved", *MADE, database="shop")

    def write() -> Any:
        connection = postgresql.admin("shop")
        connection.execute("SET search_path = moved")
        connection.autocommit = False
        return connection

    return Place("postgresql", postgresql.options, write, "moved.", parallel=True)


@pytest.fixture(scope="module")
def mariadb_place(mariadb: Server) -> Place:
    mariadb.run("CREATE OR REPLACE DATABASE moved", f"GRANT ALL ON moved.* TO {mariadb.user}@'%'")
    mariadb.run(*MADE, database="moved")

    def write() -> Any:
        connection = mariadb.admin("moved")
        connection.autocommit(False)
        return connection

    return Place("mariadb", {**mariadb.options, "database": "moved"}, write, "moved.")


@pytest.fixture(scope="module")
def sqlite_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    path = tmp_path_factory.mktemp("moved") / "moved.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        for text in MADE:
            connection.execute(text)
        connection.commit()
    return Place("sqlite", {"path": str(path)}, lambda: sqlite3.connect(path))


PLACES = [
    pytest.param("postgresql_place", marks=pytest.mark.service, id="postgresql"),
    pytest.param("mariadb_place", marks=pytest.mark.service, id="mariadb"),
    pytest.param("sqlite_place", id="sqlite"),
]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@contextlib.asynccontextmanager
async def fetching(
    place: Place, longest: float | None = 30.0, concurrency: int = 4, more: dict[str, Connector] | None = None
) -> AsyncIterator[Fetcher]:
    connector = registry.connect(place.kind, "crm", {**place.options, "pool_size": concurrency})
    fetcher = Fetcher(ResultCache(1 << 20, max_entry=1 << 20))
    made = catalog({name: Limits(concurrency=concurrency, timeout=20) for name in ("crm", *(more or {}))})
    sources = {name: replace(source, snapshot=longest) for name, source in made.sources.items()}
    fetcher.swap(replace(made, sources=sources), {"crm": connector, **(more or {})})
    try:
        yield fetcher
    finally:
        await fetcher.close()


def steps(place: Place, count: int = 2, *, small: bool = True) -> list[Step]:
    """Reads one, two, one ..., all at once."""
    made = [_whole(place, "two" if number % 2 else "one", number) for number in range(count)]
    return [Step(replace(one, small=small), 0.0, "1") for one in made]


def _whole(place: Place, name: str, number: int = 0) -> Fragment:
    return fragment(number, "crm", f"SELECT v FROM {place.table(name)}", {"v": INT8})


def asking(snapshots: Snapshots) -> Asked:
    """A run that reads these states."""
    return Asked(Query("q", Session("ann"), Cancel()), Given(()), Deadline.after(20), Cancel(), None, snapshots)


async def summed(fetcher: Fetcher, asks: list[Step]) -> tuple[int, set[int], list[float]]:
    """One run of a query: the sum of the first two, the snapshots of its parts, and their times."""
    sources = [step.fragment.source for step in asks]
    with fetcher.sender.kept.of(sources, fetcher.sender.generations.present.connectors) as snapshots:
        fetched = await fetcher.gather(asks, asking(snapshots))
    values = [fetched.tables[number].column(0)[0].as_py() for number in (0, 1)]
    return sum(values), {part.snapshot for part in fetched.parts}, [part.read_at for part in fetched.parts]


async def one_after_the_other(fetcher: Fetcher, place: Place, asks: list[Step]) -> tuple[int, set[int]]:
    """As `summed`, with a transfer by somebody else between each two statements."""
    total, seen = 0, set()
    sources = [step.fragment.source for step in asks]
    with fetcher.sender.kept.of(sources, fetcher.sender.generations.present.connectors) as snapshots:
        for step in asks:
            fetched = await fetcher.gather([step], asking(snapshots))
            total += fetched.tables[step.fragment.id].column(0)[0].as_py()
            seen |= {part.snapshot for part in fetched.parts}
            await asyncio.to_thread(place.once)
    return total, seen


@pytest.mark.parametrize("small", [True, False], ids=["point", "bulk"])
def test_statements_of_a_query_see_one_state(place: Place, small: bool) -> None:
    async def run() -> None:
        async with fetching(place) as fetcher:
            total, seen = await one_after_the_other(fetcher, place, steps(place, small=small))
            assert total == TOTAL
            assert len(seen) == 1 and 0 not in seen

    asyncio.run(run())


def test_without_they_do_not(place: Place) -> None:
    """The test before can fail."""

    async def run() -> None:
        async with fetching(place, longest=None) as fetcher:
            total, seen = await one_after_the_other(fetcher, place, steps(place))
            assert (total, seen) == (TOTAL + 1, {0})

    asyncio.run(run())


@pytest.mark.parametrize("concurrency", [1, 2, 4])
def test_many_queries_while_others_write(place: Place, concurrency: int) -> None:
    """However few places there are, all get an answer, each of one state; and the source never has more of ours."""

    async def run() -> None:
        async with fetching(place, concurrency=concurrency) as fetcher:
            gate = fetcher.gates.of("crm")
            with place.moving():
                runs = [summed(fetcher, steps(place, 2 + number % 5, small=number % 3 > 0)) for number in range(24)]
                found = await asyncio.gather(*runs)
            assert {total for total, _, _ in found} == {TOTAL}
            assert all(len(seen) == 1 and len(set(times)) == 1 for _, seen, times in found)
            assert gate.load.peaks()[0] <= concurrency
            await settled(fetcher)

    asyncio.run(run())


async def settled(fetcher: Fetcher) -> None:
    """Every place is given back."""
    gate = fetcher.gates.of("crm")
    for _ in range(500):
        if not gate.load.in_flight:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{gate.load.in_flight} are still taken")


def test_a_snapshot_is_bounded(place: Place) -> None:
    """Past its time nothing is held; what is read after is of a new state, and the parts say so."""

    async def run() -> None:
        async with fetching(place, longest=0.05) as fetcher:
            asks = steps(place)
            with fetcher.sender.kept.of(["crm", "crm"], fetcher.sender.generations.present.connectors) as snapshots:
                seen = set()
                for step in asks:
                    seen |= {part.snapshot for part in (await fetcher.gather([step], asking(snapshots))).parts}
                    await asyncio.sleep(0.2)
                    await settled(fetcher)
            assert len(seen) == 2 and 0 not in seen

    asyncio.run(run())


def test_a_single_statement_holds_nothing(place: Place) -> None:
    async def run() -> None:
        async with fetching(place) as fetcher:
            with fetcher.sender.kept.of(["crm"], fetcher.sender.generations.present.connectors) as snapshots:
                fetched = await fetcher.gather(steps(place)[:1], asking(snapshots))
            assert [part.snapshot for part in fetched.parts] == [0]

    asyncio.run(run())


def test_an_error_ends_it_for_all_who_share_it(place: Place) -> None:
    """Whoever did nothing wrong is told so that he can ask anew, and is right then."""

    async def run() -> None:
        async with fetching(place) as fetcher:
            wrong = Step(fragment(0, "crm", f"SELECT nothing FROM {place.table('one')}", {"v": INT8}), 0.0, "1")
            good = steps(place)
            kept = fetcher.sender.kept
            by = fetcher.sender.generations.present.connectors
            with kept.of(["crm", "crm"], by) as mine, kept.of(["crm", "crm"], by) as others:
                assert mine.at("crm") is others.at("crm")
                with pytest.raises(Error):
                    await fetcher.gather([wrong], asking(mine))
                with pytest.raises(SnapshotLost, match="lost"):
                    await fetcher.gather(good, asking(others))
            assert (await summed(fetcher, good))[0] == TOTAL
            await settled(fetcher)

    asyncio.run(run())


@pytest.mark.service
def test_bulk_readers_run_beside(postgresql_place: Place) -> None:
    """Exported: readers at the same time, over connections of their own, of one state."""

    async def run() -> None:
        connector = registry.connect("postgresql", "crm", {**postgresql_place.options, "pool_size": 3})
        snapshot = connector.snapshot(timeout=20)  # type: ignore[attr-defined]
        try:
            assert snapshot.parallel
            postgresql_place.once()
            total = 0
            for name, beside in (("one", True), ("two", False)):
                step = Step(replace(_whole(postgresql_place, name), small=False), 0.0, "1")
                (ask,) = bind.queries(step.fragment, Given(()), {})
                rows = snapshot.execute(ask, timeout=20, cancel=Cancel(), beside=beside)
                total += sum(value for batch in rows for value in batch.column(0).to_pylist())
            assert total == TOTAL
        finally:
            snapshot.close()
            connector.close()

    asyncio.run(run())


def test_a_file_without_a_log_is_not_held(tmp_path: Path) -> None:
    """An open transaction would keep its writers waiting."""
    path = tmp_path / "plain.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for text in MADE:
            connection.execute(text)
        connection.commit()
    place = Place("sqlite", {"path": str(path)}, lambda: sqlite3.connect(path))

    async def run() -> None:
        async with fetching(place) as fetcher:
            total, seen, _ = await summed(fetcher, steps(place))
            assert (total, seen) == (TOTAL, {0})
            await settled(fetcher)

    asyncio.run(run())
