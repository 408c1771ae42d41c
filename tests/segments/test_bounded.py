"""Heavy work has its bounds: time, memory, places, and an end when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from api.bounded import WAITING, Bench
from connectors.errors import LimitExceeded, QueryError

ATTRIBUTES = {"attributes": {"x": "integer"}}


@contextlib.contextmanager
def sent(text: bytes, into: Path) -> Iterator[tuple[dict[str, Any], tuple[int]]]:
    """The job of reading a CSV, and the descriptor that it needs."""
    with tempfile.TemporaryFile() as file:
        file.write(text)
        file.flush()
        job = {"fd": file.fileno(), "form": "csv", "description": ATTRIBUTES, "into": str(into / "x"), "rows": 10**7}
        yield job, (file.fileno(),)


def bench(**given: Any) -> Bench:
    return Bench(**{"what": "reading", "places": 1, "seconds": 60.0, "memory": 1 << 30, "remedy": "wait", **given})


def workers() -> list[int]:
    return [one.pid for one in psutil.Process().children() if "api.worker" in " ".join(one.cmdline())]


def test_what_takes_too_long_or_is_not_waited_for_ends(tmp_path: Path) -> None:
    async def run() -> None:
        with sent(b"x\n" + b"1\n" * 1_000_000, tmp_path) as (job, files):
            with pytest.raises(LimitExceeded, match=r"may take 0\.3 s") as found:
                await bench(seconds=0.3).run("upload", job, files)
            assert (found.value.sqlstate, workers()) == ("57014", [])
            waiting = asyncio.create_task(bench().run("upload", job, files))
            while not workers():  # noqa: ASYNC110  (nobody tells when it has started)
                await asyncio.sleep(0.02)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert workers() == []

    asyncio.run(run())


def test_memory_and_places_are_bounded(tmp_path: Path) -> None:
    async def run() -> None:
        with sent(b"x\n1\n", tmp_path) as (job, files):
            small = bench(memory=120 << 20)
            with pytest.raises(LimitExceeded, match=r"memory|120 MB"):
                await small.run("upload", job, files)
            full = bench()
            await full._free.acquire()
            asked = [asyncio.create_task(full.run("upload", job, files)) for _ in range(WAITING + 1)]
            done, _ = await asyncio.wait(asked, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
            with pytest.raises(LimitExceeded, match="too many reading wait"):
                next(iter(done)).result()
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            full._free.release()
            assert (await full.run("upload", job, files))["rows"] == 1  # and its place is free again

    asyncio.run(run())


def test_errors_of_the_worker_arrive_as_they_are(tmp_path: Path) -> None:
    async def run() -> None:
        with sent(b"x\n1\nno\n", tmp_path) as (job, files):
            with pytest.raises(QueryError) as found:
                await bench().run("upload", job, files)
            assert (found.value.sqlstate, found.value.place) == ("22P02", "line 3, column 1")

    asyncio.run(run())
