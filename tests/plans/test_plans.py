"""Golden plans: what each statement asks of each source. Every case also runs, against one PostgreSQL holding all.

`pytest tests/plans --update-plans` writes the files anew; read the difference before you commit it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import pytest

from api.project import Runtime, open_project
from connectors.conformance.texts import column_texts
from federation import merge
from federation.canon.server import Canon
from federation.session import Session
from planner.plan import Plan, SourceText
from tests.plans.world import build, fill

FOLDER = Path(__file__).parent
SESSION = Session("plans")


def _cases() -> Iterator[Any]:
    for file in sorted(FOLDER.glob("*.plan")):
        for block in file.read_text().split("\n\n"):
            if block.strip():
                title = block.strip().splitlines()[0].removeprefix("-- ")
                yield pytest.param(file, block.strip(), id=f"{file.stem}: {title}")


def statement(block: str) -> str:
    """The case's own SQL: from its title to the first section."""
    lines = block.splitlines()[1:]
    end = next((at for at, line in enumerate(lines) if line.startswith("-- ")), len(lines))
    return "\n".join(lines[:end]).rstrip(";")


def _source(text: SourceText) -> str:
    return "".join(p if isinstance(p, str) else f"${p + 1}" for p in text.parts)


def told(plan: Plan) -> str:
    """The plan as the golden file has it."""
    lines = []
    for fragment in plan.fragments:
        after = f" after {', '.join(f'f{i}' for i in sorted(fragment.after))}" if fragment.after else ""
        lines += [f"-- f{fragment.id} @ {fragment.source}{after}", _source(fragment.text) + ";"]
    if plan.residual is None:
        lines += ["-- streams"]
    else:
        lines += [f"-- merge{' in DuckDB too' if plan.whole else ''}", plan.residual + ";"]
    if plan.rest is not None:
        for stage in plan.stages:
            lines += [f"-- f{stage.id} in DuckDB", stage.sql + ";"]
        lines += ["-- merge of that", f"{plan.rest.residual};"]
    return "\n".join(lines)


class World:
    """A project and its oracle, on an event loop of their own."""

    def __init__(self, runner: asyncio.Runner, runtime: Runtime, oracle: psycopg.Connection[Any]) -> None:
        self.runner, self.runtime, self.oracle = runner, runtime, oracle

    def plan(self, sql: str) -> Plan:
        return self.runner.run(self._plan(sql))

    async def _plan(self, sql: str) -> Plan:
        """With its constants in place: as slots they would be parameters of the plan."""
        engine = self.runtime.engine
        analysed = await engine.analyser.analyse(
            sql, SESSION.search_path, settings=SESSION.settings, declared=(), user=None
        )
        return (await engine.prepare(sql, SESSION, analysed)).plan

    def rows(self, sql: str) -> Counter[tuple[str | None, ...]]:
        async def ask() -> list[tuple[str | None, ...]]:
            result = await self.runtime.engine.query(sql, SESSION)
            table = await result.table()
            texts = [column_texts(table.column(i), kind) for i, (_, kind) in enumerate(result.columns)]
            return list(zip(*texts, strict=True)) if texts else [()] * table.num_rows

        return Counter(self.runner.run(ask()))

    def wanted(self, sql: str) -> Counter[tuple[str | None, ...]]:
        with psycopg.RawCursor(self.oracle) as cursor:
            cursor.execute(sql.encode())
            assert cursor.pgresult is not None
            result = cursor.pgresult
            cells = [[result.get_value(r, c) for c in range(result.nfields)] for r in range(result.ntuples)]
        return Counter(tuple(None if cell is None else cell.decode() for cell in row) for row in cells)


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[Runtime]:
    async with open_project(folder) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, canon: Canon) -> Iterator[World]:
    folder = build(tmp_path_factory.mktemp("world"))
    with psycopg.connect(canon.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE plans")
    try:
        with asyncio.Runner() as runner, psycopg.connect(canon.dsn(dbname="plans"), autocommit=True) as oracle:
            fill(oracle)
            opened = _opened(folder)
            runtime = runner.run(opened.__aenter__())
            assert not [d for d in runtime.diagnostics if d.severity == "error"]
            runtime.engine.statistician.learns = False  # a case's plan must not depend on which ran before
            yield World(runner, runtime, oracle)
            runner.run(opened.__aexit__(None, None, None))
    finally:
        with psycopg.connect(canon.dsn(), autocommit=True) as admin:
            admin.execute("DROP DATABASE plans")


@pytest.mark.parametrize(("file", "block"), list(_cases()))
def test_plan(world: World, file: Path, block: str, request: pytest.FixtureRequest) -> None:
    sql = statement(block)
    got = f"{block.splitlines()[0]}\n{sql};\n{told(world.plan(sql))}"
    if request.config.getoption("--update-plans"):
        file.write_text(file.read_text().replace(block, got))
    else:
        assert got == block
    check(world, sql)


def check(world: World, sql: str) -> None:
    """Equal to PostgreSQL's answer, merged in the canon and, where a part of it is proven there, in DuckDB."""
    wanted = world.wanted(sql)
    assert world.rows(sql) == wanted
    if world.plan(sql).stages:
        with patch.object(merge, "SMALL", -1):
            assert world.rows(sql) == wanted, "in DuckDB"


def _statements() -> list[str]:
    lines = (FOLDER / "answers.sql").read_text().splitlines()
    return [line.removesuffix(";") for line in lines if line and not line.startswith("--")]


@pytest.mark.parametrize("sql", _statements())
def test_answer(world: World, sql: str) -> None:
    check(world, sql)
