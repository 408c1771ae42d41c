"""Servers whose data is loaded once and kept between runs in a cache folder."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.servers import MariadbServer, PostgresServer, Server, own


class Mariadb(MariadbServer):
    """MariaDB whose buffers hold the data: it reads past the system's page cache, which PostgreSQL reads through."""

    def command(self) -> list[str]:
        """The server's command line."""
        return [*super().command(), "--innodb-buffer-pool-size=1G"]


KINDS: dict[str, type[Server]] = {"postgresql": PostgresServer, "mariadb": Mariadb}
SECRET = "benchmark"


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """The folder, made where it is missing, for one run at a time; the others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def kept(kind: str, folder: Path, load: Callable[[Server], None], version: str) -> Iterator[Server]:
    """The server of the folder, running; made and loaded first unless that was done by the same `version`."""
    marked = folder / "loaded"
    ready = marked.exists() and marked.read_text() == version
    if not ready:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    server = KINDS[kind](kind, folder, password=SECRET)
    own(folder, kind)
    if not ready:
        server.create()
    server.start()
    try:
        if not ready:
            server.prepare()
            load(server)
            marked.write_text(version)
        yield server
    finally:
        server.stop(signal.SIGINT if kind == "postgresql" else signal.SIGTERM)
