"""Every fault at each server, over both protocols: a right answer, or a clear error in time; then all is well again."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.network import SOON, Wired, small_disk
from tests.faults.proxy import Proxy
from tests.faults.run import LATE
from tests.faults.world import BOTH, DATABASE, RIGHT, SIDE, Question, Said, World, background, decent, eventually
from tests.servers import Missing, Server, own, running

pytestmark = [pytest.mark.service, pytest.mark.slow]

FAULTS = (
    "stopped", "killed", "frozen", "slow", "narrow", "cut", "cut in mid-result", "silent", "refusing", "password",
    "too many connections", "sessions ended", "statements ended", "rejected",
)  # fmt: skip
QUICK = {
    "shop": Question("crm.people_soon", ("id", "name"), ("id", 7)),
    "desk": Question("crm.tickets_soon", ("id", "subject"), ("id", 7)),
}
WORDS = {"shop": [(7, "customer 7")], "desk": [(7, "ticket 7")]}
LARGE = {"shop": "select id, label from crm.orders_soon", "desk": "select id, body from crm.notes_soon"}
# Of what a fault may say: unreachable, lost, left alone, out of time, full.
CODES = {"08001", "08006", "57P03", "57014", "53100", "53300", "HV000"}


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The project over proxies, with servers of its own."""
    folder = tmp_path_factory.mktemp("wired")
    with (
        _servers() as (postgresql, mariadb),
        Proxy(postgresql.host, postgresql.port) as shop,
        Proxy(mariadb.host, mariadb.port) as desk,
    ):
        site = Wired(postgresql, mariadb, folder, {"shop": shop, "desk": desk})
        site.create()
        with World(site, folder) as made:
            yield made


@contextlib.contextmanager
def _servers(*mariadb: str) -> Iterator[tuple[Server, Server]]:
    try:
        with running("postgresql") as one, running("mariadb", *mariadb) as other:
            yield one, other
    except Missing as reason:
        pytest.skip(str(reason))


def site(world: World) -> Wired:
    assert isinstance(world.site, Wired)
    return world.site


def right(world: World, protocol: str, source: str) -> bool:
    return world.ask(protocol, QUICK[source]).rows == WORDS[source]


def bearable(said: Said, rows: list[tuple[object, ...]], seconds: float = SOON) -> None:
    """In time, and either right or an error that a stranger can act on."""
    assert said.seconds < seconds + LATE, said
    if said.rows is None:
        assert decent(said).code in CODES, said
    else:
        assert said.rows == rows


@pytest.mark.parametrize("fault", FAULTS)
def test_right_or_a_clear_error_in_time_and_then_well_again(wired: World, source: str, fault: str) -> None:
    faults = site(wired).faults(source, random.Random(1))
    if fault not in faults:
        pytest.skip("MariaDB has no pg_hba.conf")
    other = "desk" if source == "shop" else "shop"
    for protocol in ("postgresql", "graphql"):
        assert eventually(lambda at=protocol: right(wired, at, source)), "before"
    with faults[fault]():
        for protocol in ("postgresql", "graphql"):
            bearable(wired.ask(protocol, QUICK[source]), WORDS[source])
            assert wired.ask(protocol, QUICK[other]).rows == WORDS[other], "the other source is well"
            assert wired.ask(protocol, SIDE).rows == RIGHT[SIDE]
            bearable(wired.ask(protocol, BOTH, SOON), RIGHT[BOTH], 20)
    for protocol in ("postgresql", "graphql"):
        assert eventually(lambda at=protocol: right(wired, at, source)), "without a restart of ours"
        assert eventually(lambda at=protocol: wired.ask(at, BOTH).rows == RIGHT[BOTH])
    wired.quiet()


@pytest.mark.parametrize("how", ["killed", "frozen", "cut", "silent"])
def test_in_the_middle_of_a_result(wired: World, source: str, how: str) -> None:
    """Rows have come, and more will not."""
    assert eventually(lambda: right(wired, "postgresql", source))
    faults = site(wired).faults(source, random.Random(1))
    with wired.connect() as connection:
        connection.execute(f"SET statement_timeout = {2 * SOON * 1000}")
        cursor, count = connection.cursor(), 0
        began = time.monotonic()
        with pytest.raises(Exception) as caught:
            rows = cursor.stream(LARGE[source])
            next(rows)
            with faults[how]():
                for _ in rows:
                    count += 1
        assert count < 200_000 - 1
        assert getattr(caught.value, "sqlstate", "") in CODES, caught.value
        assert time.monotonic() - began < SOON + 20  # the server's own start included
        assert connection.execute(SIDE.sql).fetchall() == RIGHT[SIDE], "the session goes on"
    assert eventually(lambda: right(wired, "postgresql", source))
    wired.quiet()


def test_a_frozen_server_holds_neither_the_loop_nor_threads_and_is_left_alone(wired: World, source: str) -> None:
    assert eventually(lambda: right(wired, "postgresql", source))
    before, breaker = threading.active_count(), wired.runtime.engine.gates.of(source).breaker
    assert breaker is not None
    over, said = threading.Event(), []

    def ask() -> None:
        while not over.is_set():
            said.append(wired.ask("postgresql", QUICK[source], 0.5))

    with background(ask), background(ask), background(ask), background(ask):
        with site(wired).server(source).paused():
            assert eventually(lambda: breaker.state != "closed", 60)
            for _ in range(20):
                began = time.monotonic()
                assert wired.ask("graphql", SIDE).rows == RIGHT[SIDE]
                assert time.monotonic() - began < 2, "the loop is held up"
            refused = [one for one in said if one.code == "57P03"]
            assert eventually(lambda: bool(refused) or any(one.code == "57P03" for one in said))
            # two for each statement that hangs, and as many more for those that end it
            assert threading.active_count() < before + 24
        assert eventually(lambda: breaker.state == "closed", 20), "it is tried without a client"
        over.set()
    assert all(one.rows in (None, WORDS[source]) for one in said)
    told = next(one.text for one in said if one.code == "57P03")
    assert f"source {source} is left alone since" in told and "tried" in told, told
    assert eventually(lambda: right(wired, "graphql", source))
    wired.quiet()


def test_nobody_pays_for_finding_out_that_it_is_back(wired: World, source: str) -> None:
    """While it was down everybody was refused at once; the first who comes later is answered."""
    server, breaker = site(wired).server(source), wired.runtime.engine.gates.of(source).breaker
    assert breaker is not None
    server.stop(signal.SIGINT if source == "shop" else signal.SIGTERM)
    try:
        assert eventually(lambda: wired.ask("postgresql", QUICK[source]).code == "57P03", 20)
        assert wired.ask("graphql", QUICK[source]).seconds < 1
    finally:
        server.start()
    assert eventually(lambda: breaker.state == "closed")
    assert right(wired, "graphql", source)


SPILL = {
    "shop": "CREATE VIEW spilling AS SELECT count(*)::int AS id, max(label) AS name FROM "
    "(SELECT id, repeat(md5(id::text), 20) AS label FROM generate_series(1, 60000) AS id ORDER BY 2 OFFSET 0) AS s",
    "desk": "CREATE VIEW spilling AS SELECT CAST(count(*) AS INT) AS id, max(label) AS name FROM "
    "(SELECT DISTINCT REPEAT(MD5(seq), 20) AS label FROM seq_1_to_60000) AS s",
}


@pytest.fixture(scope="module")
def cramped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Path]]:
    """A project over servers that put what does not fit into memory onto a disk of 100 MB."""
    folder, temporary = tmp_path_factory.mktemp("cramped"), tempfile.TemporaryDirectory(prefix="vdw-disk-")
    disk = Path(temporary.name)
    disk.chmod(0o755)
    with temporary, small_disk(100, str(disk)) as mounted:
        if not mounted:
            pytest.skip("only root may mount a small disk")
        for name, kind in (("shop", "postgresql"), ("desk", "mariadb")):
            (disk / name).mkdir()
            own(disk / name, kind)
        with _servers(f"--tmpdir={disk / 'desk'}") as (postgresql, mariadb):
            made = Wired(postgresql, mariadb, folder)
            made.create()
            postgresql.run(f"CREATE TABLESPACE cramped LOCATION '{disk / 'shop'}'")
            postgresql.run("GRANT CREATE ON TABLESPACE cramped TO faulty_reader")
            postgresql.run("ALTER ROLE faulty_reader SET temp_tablespaces = cramped")
            postgresql.run("ALTER ROLE faulty_reader SET work_mem = '1MB'")
            postgresql.run(SPILL["shop"], "GRANT SELECT ON spilling TO faulty_reader", database=DATABASE)
            mariadb.run("SET GLOBAL tmp_table_size = 1048576", "SET GLOBAL max_heap_table_size = 1048576")
            mariadb.run(SPILL["desk"], database=DATABASE)
            for name in ("shop", "desk"):
                (folder / f"views/crm/spilling_{name}.view.sql").write_text(f"select id, name from {name}.spilling\n")
            with World(made, folder) as world:
                yield world, disk


def test_a_full_disk(cramped: tuple[World, Path], source: str, protocol: str) -> None:
    world, disk = cramped
    question = Question(f"crm.spilling_{source}", ("id", "name"))
    expected = world.ask(protocol, question)
    assert expected.rows is not None and str(expected.rows[0][0]) == "60000", expected
    filler = disk / "filler"
    with filler.open("wb") as file:
        space = os.statvfs(disk)
        file.write(b"x" * (space.f_bavail * space.f_frsize - (2 << 20)))
    try:
        said = decent(world.ask(protocol, question), source)
        assert said.code == "53100", said
        assert said.seconds < 10
    finally:
        filler.unlink()
    assert eventually(lambda: world.ask(protocol, question).rows == expected.rows)


def test_at_random() -> None:
    command = [sys.executable, "-m", "tests.faults", "--seconds", "8", "--seed", "5", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    totals = json.loads(done.stdout.splitlines()[-1])
    assert not totals["wrong"] and not totals["bad"], totals
    assert totals["equal"] > 20 and totals["faults"], totals
