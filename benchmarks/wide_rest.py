"""The table of sixteen columns as a REST service: pages made beforehand, so that serving them costs next to nothing."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import uvicorn

from benchmarks.wide import COLUMNS
from tests.servers import free_port

ROOT = Path(__file__).parent.parent
PAGE = 5000  # rows
_TIMES = {"timestamp": "%Y-%m-%dT%H:%M:%S.%f", "timestamptz": "%Y-%m-%dT%H:%M:%S.%fZ"}


def pages(place: Path, file: Path) -> Path:
    """A folder with a file for each page: `{"items": [...], "next": "/orders?page=1"}`."""
    made = place / "pages"
    made.mkdir()
    items = ", ".join(f"{name} := {_written(name, kind)}" for name, (kind, _) in COLUMNS.items())
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(f"SELECT struct_pack({items})::json::varchar FROM '{file}'")
        chunk, number = rows.fetchmany(PAGE), 0
        while chunk:
            after, number = rows.fetchmany(PAGE), number + 1
            following = f'"/orders?page={number}"' if after else "null"
            text = f'{{"items":[{",".join(row for (row,) in chunk)}],"next":{following}}}'
            (made / f"{number - 1}.json").write_text(text)
            chunk = after
    return made


def _written(name: str, kind: str) -> str:
    return f"strftime({name}, '{_TIMES[kind]}')" if kind in _TIMES else name


def connection(url: str) -> dict[str, Any]:
    """A source's `connection:` of kind rest."""
    columns = {name: {"type": kind} for name, (kind, _) in COLUMNS.items()}
    orders = {"path": "/orders", "rows": "/items", "columns": columns, "paging": {"kind": "next", "at": "/next"}}
    return {"url": url, "tables": {"wide": orders}}


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The service as a process of its own; its URL."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.wide_rest", str(folder), str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{url}/orders", trust_env=False)
                break
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


class Service:
    """ASGI: /orders?page=N is the file N, from memory."""

    def __init__(self, folder: Path) -> None:
        self._bodies = {int(file.stem): file.read_bytes() for file in folder.iterdir()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = self._bodies[int(scope["query_string"].removeprefix(b"page=") or b"0")]
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve a folder of pages until terminated."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    config = uvicorn.Config(Service(given.folder), "127.0.0.1", given.port, log_level="warning", lifespan="off")
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
