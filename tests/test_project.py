"""A project folder brought to life: what is at fault stands aside, reloads are whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from api.project import Runtime, open_project
from connectors.errors import ConfigError, QueryError
from federation.engine import Engine
from federation.session import Session
from federation.statistics import Statistician
from tests.folders import write

OPERATOR = Session("vdw")
PEOPLE = "/*---\nview: crm.people\nfreshness: {ttl: 5s}\n---*/\nselect id, name from shop.customers\n"
BOTH = "select p.id, p.name, s.score from crm.people p join scores.scores s on s.id = p.id\n"


def database(path: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def folder(path: Path) -> Path:
    """A project with one source that is there and one that is not yet."""
    path.mkdir()
    database(path / "shop.sqlite", "create table customers (id integer primary key, name text not null) strict;"
             "insert into customers values (1, 'Ada'), (2, 'Grace');")  # fmt: skip
    return write(
        path,
        {
            "sources/scores.yml": "kind: sqlite\nconnection: {path: scores.sqlite}\nttl: 15s\n",
            "views/crm/people.view.sql": PEOPLE,
            "views/crm/scored.view.sql": BOTH,
            "views/crm/broken.view.sql": "select nonsense from shop.customers\n",
        },
    )


async def rows(runtime: Runtime, sql: str, session: Session = OPERATOR) -> list[dict[str, object]]:
    result = await runtime.engine.query(sql, session)
    return list((await result.table()).to_pylist())


@pytest.mark.slow
def test_a_folder_s_life(tmp_path: Path) -> None:
    place = folder(tmp_path / "project")

    async def run() -> None:
        async with open_project(place) as runtime:
            assert await rows(runtime, "select * from crm.people where id = 1") == [{"id": 1, "name": "Ada"}]
            told = {one.file for one in runtime.diagnostics if one.severity == "error"}
            assert told == {"sources/scores.yml", "views/crm/broken.view.sql", "views/crm/scored.view.sql"}
            with pytest.raises(QueryError) as caught:
                await rows(runtime, "select * from crm.scored")
            assert caught.value.sqlstate == "42P01"

            # The source comes up: its views are served, without anybody asking for a reload.
            await runtime._revive()
            assert len(runtime.engine.catalog.views) == 1
            database(place / "scores.sqlite", "create table scores (id integer primary key, score integer) strict;"
                     "insert into scores values (2, 7);")  # fmt: skip
            await runtime._revive()
            assert await rows(runtime, "select * from crm.scored") == [{"id": 2, "name": "Grace", "score": 7}]
            assert runtime.engine.catalog.sources["scores"].fault == ""

            # A reload takes what the folder says now, and keeps what did not change.
            version, connector = runtime.engine.catalog.version, runtime.engine.connectors["shop"]
            write(place, {"views/crm/broken.view.sql": "select 'mended' as state, id from shop.customers\n"})
            assert not [one for one in await runtime.reload() if one.severity == "error"]
            assert await rows(runtime, "select state from crm.broken where id = 2") == [{"state": "mended"}]
            assert runtime.engine.catalog.version != version
            assert runtime.engine.connectors["shop"] is connector

            # One that cannot be read changes nothing.
            write(place, {"vdw.yml": "name: [\n"})
            with pytest.raises(ConfigError, match=r"vdw\.yml:\d"):
                await runtime.reload()
            assert await rows(runtime, "select state from crm.broken where id = 2") == [{"state": "mended"}]

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before the catalog", "before the statistics"])
def test_no_query_is_lost_while_a_reload_is_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A source goes, another moves, a view comes and another is altered, while clients ask: answers of before or after.
    Half done are the commit of the canon's shells, and the reading of statistics."""
    place = folder(tmp_path / "project")
    (place / "views/crm/broken.view.sql").unlink()
    scores = "create table scores (id integer primary key, score integer) strict; insert into scores values (1, 7);"
    database(place / "scores.sqlite", scores)
    database(place / "moved.sqlite", "create table customers (id integer primary key, name text not null) strict;"
             "insert into customers values (1, 'moved');")  # fmt: skip
    same, other, came, gone = (
        "select name from shop.customers where id = 1", "select name from crm.people where id = 1",
        "select label from crm.more", "select score from scores.scores",
    )  # fmt: skip

    async def run() -> None:
        async with open_project(place) as runtime:
            old = {sql: await rows(runtime, sql) for sql in (same, other, gone)}
            assert old == {same: [{"name": "Ada"}], other: [{"name": "Ada"}], gone: [{"score": 7}]}
            (place / "sources/scores.yml").unlink()
            (place / "views/crm/scored.view.sql").unlink()
            write(
                place,
                {
                    "sources/shop.yml": "kind: sqlite\nconnection: {path: moved.sqlite}\n",
                    "views/crm/people.view.sql": "select id, 3 as name from shop.customers\n",
                    "views/crm/more.view.sql": "select name || '!' as label from shop.customers\n",
                },
            )
            reached, go = asyncio.Event(), asyncio.Event()
            before = runtime.engine.swap if moment == "before the catalog" else runtime.engine.statistician.refresh

            async def halting(*given: object) -> None:
                reached.set()
                await go.wait()
                await before(*given)

            if moment == "before the catalog":
                monkeypatch.setattr(Engine, "swap", lambda self, *given: halting(*given))
            else:
                monkeypatch.setattr(Statistician, "refresh", lambda self, *given: halting(*given))
            reload = asyncio.create_task(runtime.reload())
            await reached.wait()
            asking = {sql: asyncio.create_task(rows(runtime, sql)) for sql in (same, other, came, gone)}
            unknown = {sql: asyncio.create_task(rows(runtime, sql + " limit 1")) for sql in (same, other, came, gone)}
            await asyncio.wait([*asking.values(), *unknown.values()], timeout=0.5)
            go.set()
            assert not [one for one in await reload if one.severity == "error"]
            new = {same: [{"name": "moved"}], other: [{"name": 3}], came: [{"label": "moved!"}]}
            for sql in (same, other, came):
                assert await asking[sql] in (old.get(sql), new[sql]), sql
                assert await unknown[sql] in (old.get(sql), new[sql]), sql
            for task in (asking[gone], unknown[gone]):
                try:
                    assert await task == old[gone]
                except QueryError as error:
                    assert error.sqlstate == "42P01"
            assert {sql: await rows(runtime, sql) for sql in new} == new

    asyncio.run(run())


@pytest.mark.slow
def test_users_read_what_they_are_granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANN", "secret word")
    place = folder(tmp_path / "project")
    write(place, {"vdw.yml": "name: test\nusers:\n  ann: {password: {env: ANN}, reads: [crm.people]}\n"})

    async def run() -> None:
        async with open_project(place) as runtime:
            ann = Session("ann")
            assert len(await rows(runtime, "select * from crm.people", ann)) == 2
            for _ in range(2):
                with pytest.raises(QueryError, match="permission denied") as caught:
                    await rows(runtime, "select * from shop.customers", ann)
                assert caught.value.sqlstate == "42501"
            assert len(await rows(runtime, "select * from shop.customers")) == 2, "the operator may"

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize(
    "files", [{"vdw.yml": "nam: x\n"}, {"vdw.yml": "name: x\nusers: {a: {password: {env: NO_SUCH}}}\n"}]
)
def test_a_project_that_cannot_be_opened_says_where(tmp_path: Path, files: dict[str, str]) -> None:
    place = write(folder(tmp_path / "project"), files)

    async def run() -> None:
        async with open_project(place):
            raise AssertionError("it opened")

    with pytest.raises(ConfigError) as caught:
        asyncio.run(run())
    assert "vdw.yml" in str(caught.value) or "NO_SUCH" in str(caught.value)
    assert caught.value.hint
