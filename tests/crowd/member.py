"""One of several servers over one configuration: opens the project and asks as fast as it may; tells on stdout."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path

from api.project import open_project
from connectors.errors import Error
from federation.session import Session


async def member(folder: Path, clients: int) -> None:
    """`go` once it serves; then `.` for each answer, until it is killed or its stdin ends."""
    async with open_project(folder) as runtime:
        print("go", *runtime.diagnostics, flush=True)
        numbers = itertools.count(os.getpid() * 1000)

        async def ask() -> None:
            while True:
                sql = f"SELECT count(*) AS n FROM shop.slow WHERE id <> {next(numbers)}"
                try:
                    result = await runtime.engine.query(sql, Session("crowd", timeout=60))
                    await result.table()
                    print(".", flush=True)
                except Error as error:
                    print("error", error.sqlstate, error.message, flush=True)

        asking = [asyncio.create_task(ask()) for _ in range(clients)]
        await asyncio.to_thread(sys.stdin.read)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(member(Path(sys.argv[1]), int(sys.argv[2])))
