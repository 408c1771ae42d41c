"""Several servers of one source, with real replication: which is asked, how far it may be behind, what if it fails."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from cache.results import ResultCache
from connectors.base import Cancel, Served
from connectors.conformance.asking import INT8, statement
from connectors.errors import ConfigError, Error, SourceError
from connectors.registry import connect
from connectors.replicas import Replicated
from federation.bind import Given
from federation.deadline import Deadline
from federation.fetch import Fetcher
from federation.query import Query
from federation.session import Session
from federation.snapshots import SnapshotLost
from federation.steps import Asked, Step
from tests.replication import Site, replicated
from tests.servers import Missing
from tests.sources import catalog, fragment
from views.catalog import Limits

pytestmark = [pytest.mark.service, pytest.mark.slow]
BOTH = pytest.mark.parametrize("small", [True, False], ids=["point", "bulk"])


@pytest.fixture(scope="module", params=["postgresql", "mariadb", pytest.param("mysql", marks=pytest.mark.deep)])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    try:
        with replicated(request.param) as site:
            yield site
    except Missing as reason:
        pytest.skip(str(reason))


@pytest.fixture
def source(site: Site) -> Iterator[Callable[..., Replicated]]:
    """Makes the source; afterwards all servers are well and nobody is connected to them."""
    made: list[Replicated] = []

    def make(**more: Any) -> Replicated:
        found = connect(site.kind, "crm", site.options(**more))
        assert isinstance(found, Replicated)
        made.append(found)
        return found

    yield make
    for one in made:
        one.close()
    for server in (site.primary, *site.replicas):
        if server.process is None:
            server.start()
    assert eventually(lambda: site.read(0) == site.read(1) == current(site))


def current(site: Site) -> int:
    return int(site.primary.run("SELECT n FROM t", database=site.primary.database)[0][0])


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return True
        except Error:
            pass
        time.sleep(0.05)
    return condition()


def ask(source: Replicated, small: bool = True, key: str = "", fresh: float = float("inf")) -> tuple[int, Served]:
    """The row's value, and who told it."""
    cancel = Cancel(key=key, fresh=fresh)
    table = "public.t" if source.profile().engine == "postgresql" else "shop.t"
    query = statement(
        f"SELECT CAST(n AS {'SIGNED' if '.t' and table == 'shop.t' else 'bigint'}) FROM {table}",
        columns=(INT8,),
        small=small,
    )
    batches = list(source.execute(query, timeout=10, cancel=cancel))
    assert cancel.served is not None
    return next(batch.column(0)[0].as_py() for batch in batches if batch.num_rows), cancel.served


def names(site: Site) -> list[str]:
    return [f"{one.host}:{one.port}" for one in site.replicas]


def test_options(site: Site) -> None:
    with pytest.raises(ConfigError, match="max_lag"):
        connect(site.kind, "crm", site.options(max_lag="soon"))
    with pytest.raises(ConfigError, match="read"):
        connect(site.kind, "crm", site.options(read="whatever"))
    assert not isinstance(connect(site.kind, "crm", site.primary.options), Replicated)


@BOTH
def test_replicas_are_asked_and_one_query_asks_one(site: Site, source: Callable[..., Replicated], small: bool) -> None:
    crm = source(max_lag="5s")
    assert eventually(lambda: {ask(crm, small)[1].server for _ in range(8)} == set(names(site)), 60), (
        "in turns", [(one.name, one.looked(), one.lag) for one in crm.members],
        [one.run(site.tells) for one in site.replicas],
    )  # fmt: skip
    for key in ("a-1", "a-2", "a-3"):
        assert len({ask(crm, small, key)[1].server for _ in range(5)}) == 1
    value, served = ask(crm, small)
    assert served.replica and served.lag is not None and 0 <= served.lag < 5
    site.write(value + 1)
    assert eventually(lambda: ask(crm, small)[0] == value + 1)
    assert ask(source(read="primary"), small)[1] == Served(f"{site.primary.host}:{site.primary.port}", False, 0.0)


def test_the_bound_of_lag(site: Site, source: Callable[..., Replicated], small: bool = True) -> None:
    strict, patient = source(max_lag="3s"), source()
    only = source(max_lag="3s", read="replica")
    primary = f"{site.primary.host}:{site.primary.port}"
    assert ask(strict, small)[1].replica
    before = current(site)
    with site.paused(0, 1):
        site.write(before + 1)
        sent = time.monotonic()
        while time.monotonic() - sent < 6:
            value, served = ask(strict, small)
            late = time.monotonic() - sent
            assert value == before + 1 or (served.replica and late < 3.5), (value, served, late)
            time.sleep(0.1)
        value, served = ask(strict, small)
        assert (value, served.server) == (before + 1, primary), "none is young enough"
        value, served = ask(patient, small)
        assert value == before and served.replica
        assert served.lag is None or served.lag >= 5, "its age is told as it is"
        with pytest.raises(SourceError) as error:
            ask(only, small)
        assert error.value.sqlstate == "08006" and all(name in error.value.message for name in names(site))
        assert "behind" in error.value.message or "stopped" in error.value.message
    assert eventually(lambda: ask(strict, small)[1].replica and ask(only, small)[0] == before + 1)


def test_an_asker_may_want_younger_data(site: Site, source: Callable[..., Replicated]) -> None:
    crm = source()
    assert ask(crm)[1].replica
    assert not ask(crm, fresh=0.0001)[1].replica or ask(crm, fresh=0.0001)[1].lag == 0
    with site.paused(0, 1):
        site.write(current(site) + 1)
        assert eventually(lambda: not ask(crm, fresh=1.5)[1].replica)


def test_killed_replicas(site: Site, source: Callable[..., Replicated], small: bool = True) -> None:
    """Nothing fails, whoever dies, as long as somebody may be asked; and they are used again."""
    crm, errors, over = source(max_lag="10s"), list[Error](), threading.Event()
    asked = [0]

    def load() -> None:
        while not over.is_set():
            try:
                ask(crm, small)
                asked[0] += 1
            except Error as error:
                errors.append(error)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for server in site.replicas:
            server.stop(signal.SIGKILL)
            since = asked[0]
            assert eventually(lambda since=since: asked[0] > since + 10)
        assert not ask(crm, small)[1].replica
        for server in site.replicas:
            server.start()
        assert eventually(lambda: {ask(crm, small)[1].server for _ in range(8)} == set(names(site)), 60), "back"
    finally:
        over.set()
        for thread in threads:
            thread.join(20)
    assert not errors, [f"{error} {error.detail}" for error in errors[:3]]


def test_without_its_primary(site: Site, source: Callable[..., Replicated]) -> None:
    crm, strict = source(), source(max_lag="2s")
    assert ask(crm)[1].replica and eventually(lambda: ask(strict)[1].replica, 60)
    site.primary.stop(signal.SIGKILL)
    try:
        value, served = ask(crm)
        assert served.replica and value >= 0
        with pytest.raises(SourceError):
            for _ in range(80):
                ask(strict)  # who knows what the primary had done since
                time.sleep(0.1)
    finally:
        site.primary.start()
    assert eventually(lambda: ask(strict)[1].replica, 60)


def test_all_together_hold_no_more_connections_than_allowed(site: Site, source: Callable[..., Replicated]) -> None:
    crm = source(pool_size=3, read="nearest")
    over = time.monotonic() + 2
    most = [0]

    def load() -> None:
        while time.monotonic() < over:
            ask(crm, key=str(time.monotonic_ns()))

    def count() -> int:
        if site.kind != "postgresql":
            sql = "SELECT count(*) FROM information_schema.processlist WHERE user = 'vdw'"
        else:
            sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vdw'"
        return sum(int(server.run(sql)[0][0]) for server in (site.primary, *site.replicas))

    threads = [threading.Thread(target=load) for _ in range(6)]
    for thread in threads:
        thread.start()
    while time.monotonic() < over:
        most[0] = max(most[0], count())
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert 0 < most[0] <= 3 + 1  # one that is being closed may be counted still


def test_what_it_tells(site: Site, source: Callable[..., Replicated]) -> None:
    crm = source()
    assert [table.name for table in crm.tables()] == ["t"] or "t" in [table.name for table in crm.tables()]
    tables = [table for table in crm.tables() if table.name == "t"]
    crm.statistics(tables, {})
    crm.ping()
    assert crm.pressure() is not None
    with_snapshot = crm.snapshot(timeout=5)
    assert with_snapshot is not None
    cancel = Cancel()
    try:
        name = "public.t" if site.kind == "postgresql" else "shop.t"
        rows = list(with_snapshot.execute(statement(f"SELECT 1 FROM {name}", small=True), timeout=5, cancel=cancel))
        assert sum(batch.num_rows for batch in rows) == 1
    finally:
        with_snapshot.close()
    assert cancel.served is not None and cancel.served.server in names(site)


def held(crm: Replicated, **more: Any) -> tuple[int, Served]:
    """What a snapshot's two statements read, the same, and at which server."""
    table = "public.t" if crm.profile().engine == "postgresql" else "shop.t"
    read = statement(f"SELECT n + 0 FROM {table}", columns=(INT8,), small=True)
    snapshot, cancel = crm.snapshot(timeout=10, **more), Cancel()
    assert snapshot is not None
    try:
        rows = [batch.column(0)[0].as_py() for _ in "12" for batch in snapshot.execute(read, timeout=5, cancel=cancel)]
    finally:
        snapshot.close()
    assert cancel.served is not None and len(set(rows)) == 1
    return rows[0], cancel.served


def test_a_snapshot_is_of_the_server_that_a_statement_would_ask(site: Site, source: Callable[..., Replicated]) -> None:
    """Of the same key the same one, that a query never goes from one replica to another; and young enough."""
    crm = source()
    for key in ("a", "b", "c", "d"):
        assert eventually(lambda key=key: len({held(crm, key=key)[1].server for _ in range(4)}) == 1)
        assert held(crm, key=key)[1].server == ask(crm, key=key)[1].server
    with site.paused(0, 1):
        now = current(site) + 1
        site.write(now)
        assert held(crm)[0] == now - 1, "as old as replicas are, where nobody minds"
        assert eventually(lambda: held(crm, fresh=1.5) == (now, Served(crm.members[0].name, False, 0.0)))


def test_a_query_whose_snapshot_died_with_its_server_is_asked_anew(
    site: Site, source: Callable[..., Replicated]
) -> None:
    """Of another server, from its first statement on; and the one that died is left alone."""
    crm = source()

    async def run() -> None:
        fetcher = Fetcher(ResultCache(1 << 20, max_entry=1 << 20))
        made = catalog({"crm": Limits(concurrency=4, timeout=20)})
        made = replace(made, sources={name: replace(one, snapshot=30.0) for name, one in made.sources.items()})
        fetcher.swap(made, {"crm": crm})
        table = "public.t" if site.kind == "postgresql" else "shop.t"
        step = Step(replace(fragment(0, "crm", f"SELECT n + 0 AS n FROM {table}", {"n": INT8}), small=True), 0.0, "1")
        try:
            servers = []
            for attempt in range(2):
                with fetcher.sender.kept.of(["crm", "crm"], {"crm": crm}) as snapshots:
                    asked = Asked(Query("q", Session("ann"), Cancel()), Given(()), Deadline.after(20), Cancel())
                    asked.snapshots = snapshots
                    (part,) = (await fetcher.gather([step], asked)).parts
                    servers += part.servers
                    if attempt == 0:
                        (died,) = [one for one in site.replicas if part.servers[0].startswith(f"{one.host}:{one.port}")]
                        await asyncio.to_thread(died.stop, signal.SIGKILL)
                        with pytest.raises(SnapshotLost) as lost:
                            await fetcher.gather([step], asked)
                        assert lost.value.server
            assert servers[0].split()[0] != servers[1].split()[0]
        finally:
            await fetcher.close()

    asyncio.run(run())
