"""A project whose files are at fault: what is wrong stands aside with its place and remedy, and the rest serves."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from pathlib import Path

import pytest

from api.project import open_project
from connectors.errors import ConfigError
from tests.faults.world import BOTH, RIGHT, SHOP, SIDE, Question, Site, World, decent, eventually

pytestmark = [pytest.mark.service, pytest.mark.slow]

BAD: dict[str, tuple[str, str, tuple[str, ...]]] = {
    # name: file, text, words of the diagnostic
    "yaml": ("views/bad/yaml.view.sql", "/*---\nguard: {timeout: [1s\n---*/\nselect 1 as one\n", ("yaml.view.sql:",)),
    "key": (
        "views/bad/key.view.sql",
        "/*---\nfreshnes: {ttl: 1s}\n---*/\nselect 1 as one\n",
        ("freshnes", "freshness"),
    ),
    "syntax": ("views/bad/syntax.view.sql", "select id\nform shop.customers\n", ("syntax.view.sql:2", "syntax error")),
    "column": (
        "views/bad/col.view.sql",
        "select id,\n  nmae from shop.customers\n",
        ("col.view.sql:2", "nmae", "name"),
    ),
    "source": ("views/bad/src.view.sql", "select id from shpo.customers\n", ("src.view.sql:1", "shpo")),
    "table": ("views/bad/tab.view.sql", "select id from shop.custmers\n", ("tab.view.sql:1", "custmers")),
    "type": ("views/bad/type.view.sql", "select name + 1 as x from shop.customers\n", ("type.view.sql:1", "operator")),
    "cycle": ("views/bad/one.view.sql", "select id from bad.two\n", ("bad.one", "bad.two", "cycle")),
    "cycle back": ("views/bad/two.view.sql", "select id from bad.one\n", ("bad.one", "bad.two")),
    "over bad": ("views/bad/over.view.sql", "select nmae from bad.col\n", ("bad.over", "bad.col")),
    "writes": ("views/bad/writes.view.sql", "delete from shop.customers\n", ("writes.view.sql:1", "SELECT")),
    "two": ("views/bad/twice.view.sql", "select 1 as a; select 2 as b\n", ("twice.view.sql:1",)),
    "empty": ("views/bad/empty.view.sql", "\n", ("empty.view.sql",)),
    "binary": ("views/bad/binary.view.sql", "select 1 as a\0\n", ("binary.view.sql",)),
    "kind": ("sources/odd.yml", "kind: postgrsql\nconnection: {}\n", ("odd.yml:1", "postgrsql", "postgresql")),
    "secret": ("sources/plain.yml", "kind: mariadb\nconnection: {password: hunter2}\n", ("plain.yml", "plain text")),
    "unset": ("sources/unset.yml", "kind: mariadb\nconnection: {password: {env: NO_SUCH_ONE}}\n", ("NO_SUCH_ONE",)),
    "option": ("sources/opt.yml", "kind: sqlite\nconnection: {pth: side.db}\n", ("opt.yml", "pth", "path")),
    "nothing": ("sources/gone.yml", "kind: sqlite\nconnection: {path: no/such.db}\n", ("gone.yml", "such.db")),
    "broken": ("sources/broken.yml", "kind: [\n", ("broken.yml:",)),
}


@pytest.fixture
def folder(site: Site, tmp_path: Path) -> Path:
    """A copy of the project, to be spoilt."""
    return Path(shutil.copytree(site.folder, tmp_path / "project"))


def spoil(folder: Path) -> None:
    for file, text, _ in BAD.values():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text)


def told(world: World) -> list[str]:
    """Each error with its place and remedy."""
    return [f"{one} {one.remedy}" for one in world.runtime.diagnostics if one.severity == "error"]


def test_everything_at_once(world: World, site: Site, folder: Path) -> None:
    spoil(folder)
    with World(site, folder) as bad:
        faults = told(bad)
        for name, (file, _, words) in BAD.items():
            of_it = [fault for fault in faults if file in fault]
            assert of_it, f"{name}: nothing is said of {file}"
            text = "\n".join(faults if name.startswith("cycle") else of_it)
            for word in words:
                assert word in text, (name, word, of_it)
        everything = "\n".join(faults)
        for leak in ("hunter2", "s3cret", "Traceback", "internal error", "vdw_statement", "site-packages"):
            assert leak not in everything, leak
        bad.healthy()
        for protocol in ("postgresql", "graphql"):
            decent(bad.ask(protocol, Question("bad.col", ("id",))), "bad")
        with bad.connect() as connection:
            sql = "select count(*) from information_schema.tables where table_schema = 'bad'"
            assert connection.execute(sql).fetchone() == (0,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nlisten: {http: {prot: 1}}\n", ("vdw.yml:2", "prot", "port")),
        ("name: [\n", ("vdw.yml:",)),
        ("name: x\nusers: {ann: {password: {file: no.such}}}\n", ("no.such",)),
        ("", ("vdw.yml",)),
    ],
)
def test_a_project_file_at_fault(folder: Path, text: str, words: tuple[str, ...]) -> None:
    (folder / "vdw.yml").write_text(text)

    async def run() -> None:
        async with open_project(folder):
            raise AssertionError("it opened")

    with pytest.raises(ConfigError) as caught:
        asyncio.run(run())
    for word in words:
        assert word in f"{caught.value} {caught.value.hint}"
    assert caught.value.hint


def test_reloads_under_load(world: World, site: Site, folder: Path) -> None:
    """Good and bad reloads while clients ask: what is not at fault is answered rightly, all the time."""
    wrong: list[object] = []
    over = threading.Event()

    def ask(protocol: str) -> None:
        while not over.is_set():
            for question in (SHOP, BOTH, SIDE):
                said = bad.ask(protocol, question)
                if said.rows != RIGHT[question]:
                    wrong.append(said)

    with World(site, folder) as bad:
        clients = [threading.Thread(target=ask, args=(protocol,)) for protocol in ("postgresql", "graphql")]
        for client in clients:
            client.start()
        try:
            for turn in range(2):
                if turn % 2:
                    for file, _, _ in BAD.values():
                        (folder / file).unlink()
                else:
                    spoil(folder)
                began = time.monotonic()
                faults = bad.call(bad.runtime.reload())
                assert bool([one for one in faults if one.severity == "error"]) == (turn % 2 == 0)
                assert time.monotonic() - began < 30
            (folder / "vdw.yml").write_text("name: [\n")
            with pytest.raises(ConfigError):
                bad.call(bad.runtime.reload())
        finally:
            over.set()
            for client in clients:
                client.join(60)
        assert not wrong, wrong[:3]
        bad.healthy()
        assert eventually(lambda: bad.backends() == 0)


def test_what_a_reload_changes_under_a_statement(world: World, site: Site, folder: Path) -> None:
    """A prepared statement over a view that goes, changes, and comes back."""
    view = folder / "views/crm/people.view.sql"
    before = view.read_text()
    with World(site, folder) as bad, bad.connect() as connection:
        ask = "select id, name from crm.people where id = %s"
        assert connection.execute(ask, [7], prepare=True).fetchall() == RIGHT[SHOP]
        view.write_text("select id, nmae from shop.customers\n")
        bad.call(bad.runtime.reload())
        said = bad.ask("postgresql", SHOP)
        assert decent(said, "crm.people").code == "42P01"
        decent(bad.ask("postgresql", BOTH))
        assert bad.ask("postgresql", SIDE).rows == RIGHT[SIDE]
        view.write_text(before)
        bad.call(bad.runtime.reload())
        bad.healthy()
        assert connection.execute(ask, [7]).fetchall() == RIGHT[SHOP], "the session that had prepared it"
