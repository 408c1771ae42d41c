"""Processes that are killed: the canon under load, and `vdw serve` itself; and its reload by signal."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path

import psycopg
import pytest

from tests.faults.world import (
    BOTH,
    RIGHT,
    SHOP,
    SIDE,
    Question,
    Said,
    Site,
    World,
    background,
    decent,
    eventually,
    told,
)
from tests.test_serve import dsn, graphql, served

pytestmark = [pytest.mark.service, pytest.mark.slow]

# Of the residual kind: the canon merges it.
MERGED = "select count(*), max(p.name) from crm.people p join crm.tickets t on t.customer_id = p.id and p.id < 50"


def test_the_canon_killed_under_load(world: World) -> None:
    said: list[Said] = []
    over = threading.Event()

    def ask(protocol: str) -> None:
        while not over.is_set():
            for question in (SHOP, BOTH, SIDE):
                said.append(world.ask(protocol, question))
                if said[-1].rows is None:
                    time.sleep(0.05)

    clients = [threading.Thread(target=ask, args=(protocol,)) for protocol in ("postgresql", "graphql") * 2]
    for client in clients:
        client.start()
    try:
        for _ in range(6):  # more often than a server that never came up would be started
            generation = world.runtime.canon.generation
            time.sleep(0.1)
            os.kill(world.runtime.canon.pid, signal.SIGKILL)
            assert eventually(lambda before=generation: world.runtime.canon.generation > before, 20)
            assert eventually(lambda: world.ask("postgresql", BOTH).rows == RIGHT[BOTH])
    finally:
        over.set()
        began = time.monotonic()
        for client in clients:
            client.join(60)
    assert time.monotonic() - began < 30, "a client was kept waiting"
    rights = list(RIGHT.values())
    for one in said:
        if one.rows is None:
            lost = one.code in ("", "57P01", "57P02", "57P03", "08006")
            assert lost, one
            assert "Traceback" not in one.text and "internal error" not in one.text, one
        else:
            assert one.rows in rights


def test_a_session_whose_canon_dies(world: World) -> None:
    """What the session was is gone: the client is told, and connects again."""
    connection = world.connect()
    connection.execute("create temp table mine as select 1 as one")
    os.kill(world.runtime.canon.pid, signal.SIGKILL)
    with pytest.raises(psycopg.OperationalError) as caught:
        for _ in range(100):
            connection.execute("select * from mine")
            time.sleep(0.05)
    assert "Traceback" not in str(caught.value)
    assert connection.closed
    connection.close()
    assert eventually(lambda: world.ask("postgresql", BOTH).rows == RIGHT[BOTH])


def test_one_backend_of_the_canon_killed(world: World) -> None:
    """PostgreSQL restarts all its backends then; sessions end, new ones are served."""
    with world.connect() as connection:
        (pid,) = connection.execute("select pg_backend_pid()").fetchone() or (0,)
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)  # until its postmaster has noticed, the others go on
        with pytest.raises(psycopg.OperationalError) as caught:
            connection.execute("select 1")
        assert "Traceback" not in str(told(caught.value))
    assert eventually(lambda: world.ask("postgresql", BOTH).rows == RIGHT[BOTH])
    assert eventually(lambda: world.ask("graphql", BOTH).rows == RIGHT[BOTH])


# -- `vdw serve`


@pytest.fixture
def folder(site: Site, tmp_path: Path) -> Path:
    """A copy of the project."""
    return Path(shutil.copytree(site.folder, tmp_path / "project"))


def descendants(parent: int) -> list[int]:
    """Processes under it, whoever they run as."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            facts = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(facts[1]) == parent:
            own = int(place.parent.name)
            found += [own, *descendants(own)]
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_serve_killed_leaves_nothing(world: World, site: Site, folder: Path, how: signal.Signals) -> None:
    slow = Question("crm.slow_shop", ("id", "pause")).sql
    shop = folder / "sources/shop.yml"
    shop.write_text(shop.read_text().replace("timeout: 20s", "timeout: 4s"))
    with served(folder) as (process, said):
        children = descendants(process.pid)
        assert len(children) > 2, "the canon runs"
        with contextlib.closing(psycopg.connect(dsn(said), autocommit=True)) as connection:
            assert connection.execute(BOTH.sql).fetchall() == RIGHT[BOTH]
            connection.pgconn.send_query(slow.encode())
            connection.pgconn.flush()
            assert eventually(lambda: site.running("shop") > 0)
            began = time.monotonic()
            process.send_signal(how)
            process.wait(20)
            assert time.monotonic() - began < 15
        assert process.returncode == (-how if how is signal.SIGKILL else 0)
        assert eventually(lambda: not [pid for pid in children if alive(pid)], 15), "orphans"
        left = folder.parent / "t"
        kept = (f"vdw-{os.getuid()}",)  # where servers of this machine meet
        if how is signal.SIGKILL:
            kept += ("vdw-spill-",)  # nobody was left to remove an empty folder
        names = lambda: [one.name for one in left.iterdir() if not one.name.startswith(kept)]  # noqa: E731
        assert eventually(lambda: not names()), names()
        assert eventually(lambda: site.running("shop") == 0), "the source works for the dead, beyond its owner's limit"


def test_reload_by_signal_under_load(world: World, site: Site, folder: Path) -> None:
    bad = folder / "views/crm/bad.view.sql"
    over = threading.Event()
    wrong: list[object] = []
    with served(folder) as (process, said):
        target, stderr = dsn(said), process.stderr
        assert stderr is not None

        def ask() -> None:
            with psycopg.connect(target, autocommit=True) as connection:
                while not over.is_set():
                    if connection.execute(BOTH.sql).fetchall() != RIGHT[BOTH]:
                        wrong.append("SQL")
                    if graphql(said, SHOP.graphql)["data"] != {"crmPeople": [{"id": 7, "name": "customer 7"}]}:
                        wrong.append("GraphQL")

        with background(ask):
            try:
                bad.write_text("select nmae from shop.customers\n")
                process.send_signal(signal.SIGHUP)
                assert "1 errors" in _line(stderr, "reloaded")
                (folder / "vdw.yml").write_text("name: [\n")
                process.send_signal(signal.SIGHUP)
                line = _line(stderr, "not reloaded")
                assert "vdw.yml:" in line and "goes on serving" in line
                assert process.poll() is None
            finally:
                over.set()
        assert not wrong
        with psycopg.connect(target, autocommit=True) as connection:
            with pytest.raises(psycopg.errors.UndefinedTable) as caught:
                connection.execute("select * from crm.bad")
            decent(told(caught.value), "crm.bad")
            assert connection.execute(MERGED).fetchone() == (49, "customer 9")
        assert "s3cret" not in "\n".join(said)


def _line(stream: object, word: str) -> str:
    for line in stream:  # type: ignore[attr-defined]
        if word in line:
            return str(line)
    raise AssertionError(f"it never said {word}")


def test_a_client_that_only_connects(world: World) -> None:
    """Half a login costs no place for ever, and nobody else notices."""
    assert world.where.postgresql is not None and world.where.http is not None
    lines = [socket.create_connection(world.where.postgresql) for _ in range(20)]
    lines += [socket.create_connection(world.where.http) for _ in range(20)]
    for line, rubbish in zip(lines, (b"\0\0\0\x08\x04", b"GET / HTTP/1.1\r\n", b"\xff" * 100, b"") * 10, strict=True):
        line.sendall(rubbish)
    try:
        world.healthy()
    finally:
        for line in lines:
            line.close()
