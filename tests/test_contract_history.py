"""Whatever was loaded, kept, copied or asked at once: by its own data, an answer is of a moment within its contract."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.session import Session
from tests.folders import write
from tests.pgwire.conftest import Front
from views.max_age import MaxAge

HOUR = 3600.0
SOURCE = "kind: sqlite\nconnection: {{path: {name}.sqlite}}\nttl: 60s\nstale_while_revalidate: 1h\n"
FILES = {
    "sources/crm.yml": SOURCE.format(name="crm"),
    "sources/dwh.yml": SOURCE.format(name="dwh") + "role: warehouse\nas_of: {kind: file}\ncopy_of: crm\n",
    "sources/old.yml": SOURCE.format(name="old") + "as_of: {kind: file}\ncopies: {clock: crm.clock}\n",
}
# Over one source, merged in the canon, and as a part of kept rows.
QUERIES = (
    "select version from crm.clock",
    "select version from crm.clock, generate_series(1, 1)",
    "select version from crm.clock where version > 0",
)
AGES = (
    "",
    "none",
    "live",
    "10ms",
    "1s",
    "30m",
    "90m",
    "real_time",
    "1d",
    "batch",
    "1s, crm=5h",
    "1d, dwh=1h",
    "5h, old=2d",
)
LONG = HOUR + 60.0  # what is kept without a contract: ttl, and while it is read anew


class History:
    """Versions of a table of one row: one for every hour of the past, and more as it goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder, now = folder, time.time()
        self.changes = [(now - (1000 - hours) * HOUR, hours) for hours in range(1, 1001)]
        for name in ("crm", "dwh", "old"):
            self._run(name, "CREATE TABLE clock (version BIGINT); INSERT INTO clock VALUES (0)")
        for name, hours in (("crm", 0), ("dwh", 2), ("old", 7)):
            self.store(name, hours)

    def at(self, moment: float) -> int:
        """The version at that time of day."""
        return max((version for changed, version in self.changes if changed <= moment), default=0)

    def tick(self) -> None:
        """The original changes."""
        version = self.changes[-1][1] + 1
        self._run("crm", f"UPDATE clock SET version = {version}")
        self.changes.append((time.time(), version))

    def store(self, name: str, hours: float) -> None:
        """A source as it was so long ago."""
        moment = time.time() - hours * HOUR
        self._run(name, f"UPDATE clock SET version = {self.at(moment)}")
        os.utime(self.folder / f"{name}.sqlite", (moment, moment))

    def _run(self, name: str, script: str) -> None:
        with contextlib.closing(sqlite3.connect(self.folder / f"{name}.sqlite")) as connection:
            connection.executescript(script)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Front, History]]:
    folder = write(tmp_path_factory.mktemp("history"), FILES)
    (folder / "sources/shop.yml").unlink()
    history = History(folder)
    with Front(folder) as front:
        yield front, history


ASK = st.tuples(st.just("ask"), st.sampled_from(QUERIES), st.sampled_from(AGES))
STEPS = st.lists(
    st.one_of(
        ASK,
        ASK,
        st.tuples(st.just("together"), st.lists(ASK, min_size=2, max_size=6)),
        st.tuples(st.just("tick")),
        st.tuples(st.just("store"), st.sampled_from(("dwh", "old")), st.sampled_from((0.0, 0.4, 0.99, 1.2, 4.0, 30.0))),
        st.tuples(st.just("wait"), st.sampled_from((0.001, 0.02))),
        st.tuples(st.just("forget")),
    ),
    min_size=3,
    max_size=14,
)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_no_answer_is_older_than_its_contract(world: tuple[Front, History], steps: list[tuple[Any, ...]]) -> None:
    front, history = world
    engine: Any = front.runtime.engine

    async def ask(sql: str, said: str) -> None:
        asked, session = time.time(), Session("ann", max_age=MaxAge.parse(said))
        result = await engine.query(sql, session)
        (version,) = (await result.table()).column(0).to_pylist()
        allowed = MaxAge.parse(said)
        bound = allowed.of("crm") if allowed is not None else None
        oldest = asked - (LONG if bound is None else bound)
        assert version >= history.at(oldest), (sql, said, version, [part.origin for part in result.parts])
        origins = {part.origin for part in result.parts}
        assert bound is not None or "copy" not in origins
        for part in result.parts if bound is not None else ():
            assert part.read_at >= oldest or part.as_of

    for kind, *rest in steps:
        if kind == "ask":
            front.call(ask(*rest))
        elif kind == "together":
            front.call(_all(ask(sql, said) for _, sql, said in rest[0]))
        elif kind == "tick":
            history.tick()
        elif kind == "store":
            history.store(*rest)
            front.call(_forgotten(engine))  # it may have gone back in time, which no source does
        elif kind == "wait":
            time.sleep(*rest)
        elif kind == "forget":
            front.call(_forgotten(engine))


async def _all(works: Iterator[Any]) -> None:
    await asyncio.gather(*works)


async def _forgotten(engine: Any) -> None:
    engine.cache.clear()
    engine._fetcher.ages.swap(engine._fetcher.ages.told)
