"""A thousand clients come at once over each protocol: are all let in, in order, and what does one that idles take?"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import uvloop

from benchmarks import figures, stage
from benchmarks.figures import MS, percentile, show
from benchmarks.web import Web

SETTLE = 1.0  # seconds after which what a process takes is read


def main() -> None:
    """Exits with 1 where a client was not let in, or one more than may come was."""
    parser = figures.arguments(__doc__, 0)
    parser.add_argument("--clients", type=int, default=1_000, help="of each protocol (default 1,000)")
    given = parser.parse_args()
    with stage.folder() as place:
        stage.write(place, {}, {}, connections=given.clients)
        with stage.served(place) as served:
            wrong = uvloop.run(_measure(given, served))
    raise SystemExit(wrong)


async def _measure(given: Any, served: stage.Served) -> bool:
    before = _memory(served.process.pid)
    told, sessions = await _sql(served, given.clients)
    await asyncio.sleep(SETTLE)
    ours, canon = (now - then for now, then in zip(_memory(served.process.pid), before, strict=True))
    refused = await _one_more(served)
    sizes = {"kb_ours": ours / given.clients / 1024, "kb_canon": canon / given.clients / 1024}
    show(given.json, "PostgreSQL protocol", **told, **sizes, one_more=refused, **figures.machine())
    asked = time.perf_counter()
    await asyncio.gather(*(session.fetchval("SELECT 1") for session in sessions))
    show(given.json, "each asks the canon once", s=time.perf_counter() - asked)
    await asyncio.gather(*(session.close() for session in sessions))
    web = await _http(served, given.clients)
    show(given.json, "HTTP", **web, **figures.machine())
    return bool(told["failed"] or web["failed"] or refused != "53300")


async def _sql(served: stage.Served, clients: int) -> tuple[dict[str, Any], list[Any]]:
    options = {**served.options, "database": served.options["dbname"]}
    del options["dbname"]

    async def connect() -> Any:
        return await asyncpg.connect(**options, timeout=60)

    return await _all(connect, clients)


async def _one_more(served: stage.Served) -> str:
    try:
        _, made = await _sql(served, 1)
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    await asyncio.gather(*(session.close() for session in made))
    return "let in" if made else "53300"


async def _http(served: stage.Served, clients: int) -> dict[str, Any]:
    async def connect() -> Web:
        web = await Web.connect(*served.http)
        status, _ = await web.post("/graphql", b'{"query": "{__typename}"}')
        if status != 200:
            raise OSError(status)
        return web

    told, made = await _all(connect, clients)
    again = time.perf_counter()
    await asyncio.gather(*(web.post("/graphql", b'{"query": "{__typename}"}') for web in made))
    told["again_s"] = time.perf_counter() - again
    for web in made:
        web.close()
    return told


async def _all(connect: Any, clients: int) -> tuple[dict[str, Any], list[Any]]:
    """All at once; how many failed and why, and when the others were in, in the order in which they asked."""
    began, times = time.perf_counter(), []

    async def timed() -> Any:
        made = await connect()
        times.append(time.perf_counter() - began)
        return made

    found = await asyncio.gather(*(timed() for _ in range(clients)), return_exceptions=True)
    failed = [one for one in found if isinstance(one, BaseException)]
    made = [one for one in found if not isinstance(one, BaseException)]
    told = {"clients": clients, "failed": len(failed), "why": sorted({type(one).__name__ for one in failed})}
    if times:
        told |= {"p50_ms": percentile(times, 0.5) * MS, "all_s": max(times)}
    return told, made


def _memory(process: int) -> tuple[int, int]:
    """Bytes of our process alone, and of its children: memory that several share is counted once."""
    own, *rest = (process, *(child.pid for child in psutil.Process(process).children(recursive=True)))
    return _share(own), sum(map(_share, rest))


def _share(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
