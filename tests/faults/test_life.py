"""Sources that come, change and go while clients ask: no answer is lost or wrong, and what did not change stays."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.errors import ConfigError
from federation.query import Query
from federation.watch import Sent
from tests.faults.world import BOTH, DATABASE, PLACES, POSTGRESQL, RIGHT, SHOP, SIDE, Question, Site, World, background
from tests.faults.world import eventually as eventually

pytestmark = [pytest.mark.service, pytest.mark.slow]

ELSEWHERE = "elsewhere"
NAMES = {DATABASE: "customer", ELSEWHERE: "moved"}
MORE = Question("crm.more", ("id", "word"))
PAUSING = "select p.id, p.name, s.pause from crm.pausing s join crm.people p on p.id = s.id"


@pytest.fixture(scope="module")
def elsewhere(site: Site) -> Iterator[None]:
    """Another database of the same tables, in which everybody has another name."""
    site.postgresql.run(f"DROP DATABASE IF EXISTS {ELSEWHERE}", f"CREATE DATABASE {ELSEWHERE}")
    site.postgresql.run(*POSTGRESQL, "UPDATE customers SET name = 'moved ' || id", database=ELSEWHERE)
    pausing = "CREATE OR REPLACE VIEW pausing AS SELECT id, subject, SLEEP(5) AS pause FROM tickets WHERE id = 7"
    site.mariadb.run(pausing, database=DATABASE)
    yield
    site.mariadb.run("DROP VIEW pausing", database=DATABASE)


@pytest.fixture
def folder(site: Site, tmp_path: Path) -> Path:
    """A copy of the project, to be changed."""
    made = Path(shutil.copytree(site.folder, tmp_path / "project"))
    (made / "views/crm/pausing.view.sql").write_text("select id, subject, pause from desk.pausing\n")
    return made


def move(folder: Path, database: str, places: int = PLACES) -> None:
    """The shop's data is there from now on, and its owner allows another number of statements."""
    file = folder / "sources/shop.yml"
    text = file.read_text().replace(*((DATABASE, ELSEWHERE) if database == ELSEWHERE else (ELSEWHERE, DATABASE)))
    head, _, rest = text.partition("concurrency: ")
    file.write_text(f"{head}concurrency: {places}{rest[rest.index(',') :]}")


def connected(site: Site, database: str) -> int:
    found = site.postgresql.run(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'")
    return int(found[0][0])


class Clients:
    """Ask all the time; an answer may be of any state that was served while they waited for it, and of no other."""

    def __init__(self, world: World) -> None:
        self.world, self.states, self.over = world, [DATABASE], threading.Event()
        self.certain = 0  # which of them was served last, beyond doubt
        self.asked = 0
        self.bad: list[object] = []

    def people(self, protocol: str) -> None:
        while not self.over.is_set():
            for question in (SHOP, BOTH):
                first = self.certain
                said = self.world.ask(protocol, question)
                self.judge(question, first, said.rows, said)

    def prepared(self) -> None:
        with self.world.connect() as connection:
            while not self.over.is_set():
                first = self.certain
                rows = connection.execute(SHOP.sql.replace("7", "%s"), [7], prepare=True).fetchall()
                self.judge(SHOP, first, rows, rows)

    def judge(self, question: Question, first: int, rows: object, said: object) -> None:
        self.asked += 1
        given = {NAMES[one] for one in self.states[first:]}
        allowed = [[(7, f"{name} 7", *row[2:])] for name in given for row in RIGHT[question]]
        if rows not in allowed:
            self.bad.append((question.view, given, said))

    def aside(self) -> None:
        while not self.over.is_set():
            for protocol in ("postgresql", "graphql"):
                said = self.world.ask(protocol, SIDE)
                if said.rows != RIGHT[SIDE]:
                    self.bad.append(said)


def test_sources_come_change_and_go_under_load(elsewhere: None, world: World, site: Site, folder: Path) -> None:
    extra, view = folder / "sources/extra.yml", folder / "views/crm/more.view.sql"
    with sqlite3.connect(folder / "extra.db") as made:
        made.executescript(
            "CREATE TABLE words (id INT4 PRIMARY KEY, word TEXT NOT NULL); INSERT INTO words VALUES (1, 'a')"
        )
    with World(site, folder) as live:
        clients = Clients(live)
        works = [clients.aside, clients.prepared, *(lambda p=p: clients.people(p) for p in ("postgresql", "graphql"))]
        threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in threads:
            thread.start()
        try:
            for turn, database in enumerate((ELSEWHERE, DATABASE, ELSEWHERE, ELSEWHERE)):
                move(folder, database, 1 + turn % 2)
                if turn % 2 == 0:
                    extra.write_text("kind: sqlite\nconnection: {path: extra.db}\n")
                    view.write_text("select id, word from extra.words\n")
                else:
                    extra.unlink()
                    view.unlink()
                clients.states.append(database)
                assert not live.call(live.runtime.reload())
                clients.certain = len(clients.states) - 1
                said = live.ask("postgresql", MORE)
                assert said.rows == [(1, "a")] if turn % 2 == 0 else said.code == "42P01"
                before = clients.asked
                assert eventually(lambda since=before: clients.asked > since + 20, 30)
        finally:
            clients.over.set()
            for thread in threads:
                thread.join(60)
        assert not clients.bad, clients.bad[:3]
        assert clients.asked > 80
        assert eventually(lambda: connected(site, DATABASE) <= 1 + PLACES), "the other world's alone"
        assert connected(site, ELSEWHERE) <= 2
    assert eventually(lambda: connected(site, ELSEWHERE) == 0)


@pytest.mark.parametrize(
    "slip", ["kind: postgresql\nconnection: {host: [", "kind: postgresql\nconnection:\n  prot: 1\n", ""]
)
def test_a_file_that_is_half_written_costs_nobody_his_source(world: World, site: Site, folder: Path, slip: str) -> None:
    file = folder / "sources/shop.yml"
    whole = file.read_text()
    with World(site, folder) as live:
        file.write_text(slip)
        with pytest.raises(ConfigError, match=r"shop\.yml:\d"):
            live.call(live.runtime.reload())
        assert live.ask("postgresql", SHOP).rows == live.ask("graphql", SHOP).rows == RIGHT[SHOP]
        file.write_text(whole)
        live.call(live.runtime.reload())
        assert live.ask("postgresql", SHOP).rows == RIGHT[SHOP]


@pytest.mark.parametrize("how", ["changed", "removed"])
def test_what_runs_ends_on_its_old_connections(
    elsewhere: None, world: World, site: Site, folder: Path, how: str
) -> None:
    with World(site, folder) as live, contextlib.closing(live.connect()) as slow:
        streaming = contextlib.closing(live.connect()) if how == "changed" else contextlib.nullcontext()
        with background(lambda: slow.execute(PAUSING).fetchall()) as said, streaming as stream:
            rows = stream.cursor().stream("select id, label from crm.orders") if stream is not None else iter([(1, "")])
            first = next(rows)
            assert eventually(lambda: site.running("desk") > 0), "the keys of the other statement are on their way"
            (folder / "sources/shop.yml").unlink() if how == "removed" else move(folder, ELSEWHERE)
            live.call(live.runtime.reload())
            assert not said, "it has not asked the shop yet"
            if how == "changed":
                assert live.ask("postgresql", SHOP).rows == [(7, "moved 7")], "the next statement"
            else:
                assert live.ask("postgresql", SHOP).code == "42P01"
            assert eventually(lambda: bool(said), 20)
            assert first[0] == 1 and sum(1 for _ in rows) == (199_999 if how == "changed" else 0)
        assert [(row[0], row[1]) for row in said[0]] == [(7, "customer 7")], "of the server for which it was planned"
        assert eventually(lambda: connected(site, DATABASE) <= PLACES), "closed once nobody works with them"


def test_what_did_not_change_stays_cached(elsewhere: None, world: World, site: Site, folder: Path) -> None:
    for name in ("shop", "desk"):
        file = folder / f"sources/{name}.yml"
        file.write_text(file.read_text() + "ttl: 1h\n")
    tickets = Question("crm.tickets", ("id", "subject"), ("id", 7))
    with World(site, folder) as live:
        asked: list[str] = []

        class Listening:
            def sent(self, sent: Sent) -> None:
                asked.extend([sent.source] if sent.query is not None else [])

            def ended(self, query: Query) -> None:
                pass

        live.runtime.engine.watch.listeners.append(Listening())
        sent = asked.count

        def ask(question: Question) -> object:
            return live.ask("graphql", question).rows or live.ask("postgresql", question)

        assert ask(tickets) == [(7, "ticket 7")]
        assert ask(SHOP) == RIGHT[SHOP] and ask(BOTH) == RIGHT[BOTH]
        before = sent("desk"), sent("shop")
        assert all(before)
        live.call(live.runtime.reload())
        assert ask(tickets) == [(7, "ticket 7")] and ask(SHOP) == RIGHT[SHOP] and ask(BOTH) == RIGHT[BOTH]
        assert (sent("desk"), sent("shop")) == before, "nothing changed"
        move(folder, ELSEWHERE)
        (folder / "views/crm/other.view.sql").write_text("select id from desk.tickets where id < 3\n")
        live.call(live.runtime.reload())
        assert ask(tickets) == [(7, "ticket 7")]
        assert sent("desk") == before[0], "the desk is as it was"
        assert ask(SHOP) == [(7, "moved 7")] and ask(BOTH) == [(7, "moved 7", "ticket 7")]
        text = (folder / "sources/desk.yml").read_text()
        (folder / "sources/desk.yml").write_text(text.replace("timeout: 20s", "timeout: 19s"))
        live.call(live.runtime.reload())
        assert ask(tickets) == [(7, "ticket 7")]
        assert sent("desk") == before[0], "limits make no row another"
