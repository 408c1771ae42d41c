"""Tryton's database for the tests, made and filled by Tryton itself once a week, and restored from its dump.

`python -m tests.tryton_server` makes the dump ahead (a minute of work, beside other set-up).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from examples.tryton import erp
from tests.servers import Missing, Server, postgresql_binaries, running
from views.project import ViewDraft

DATABASE = "tryton"


def dump() -> Path:
    """The dump of this week's database, made where it is not there yet; its rows end in this week."""
    files = (erp.HERE / "requirements.txt", erp.HERE / "fill.py")
    content = b"".join(file.read_bytes() for file in files) + repr(erp.MODULES).encode()
    week = "-".join(map(str, dt.date.today().isocalendar()[:2]))
    file = erp.cache() / f"tryton-{week}-{hashlib.sha256(content).hexdigest()[:12]}.dump"
    with erp.locked("tryton-dump"):
        if not file.exists():
            _make(file)
    return file


def _make(file: Path) -> None:
    for old in file.parent.glob("tryton-*.dump"):
        old.unlink()
    with running("postgresql") as server:
        server.run(f"CREATE DATABASE {DATABASE}")
        try:
            erp.make({**server.options, "database": DATABASE})
        except erp.Unavailable as reason:
            raise Missing(str(reason)) from reason
        part = file.with_suffix(".part")
        _tool(server, "pg_dump", "-Fc", "--no-owner", "-f", str(part), DATABASE)
        part.rename(file)


def restore(server: Server, database: str = DATABASE) -> None:
    """The database in that PostgreSQL, with statistics."""
    server.run(f"CREATE DATABASE {database}")
    _tool(server, "pg_restore", "--no-owner", "-d", database, str(dump()))
    server.run("ANALYZE", database=database)


def with_views(server: Server, database: str, views: Iterable[ViewDraft]) -> None:
    """Make a copy an oracle: its tables in a schema of the source's name, and the views as they are written."""
    with server.admin(database) as connection:
        connection.execute("ALTER SCHEMA public RENAME TO tryton")
        for view in views:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {view.schema}")
            connection.execute(f"CREATE VIEW {view.schema}.{view.name} AS {view.query}")


def _tool(server: Server, program: str, *arguments: str) -> None:
    where = ("-h", server.host, "-p", str(server.port), "-U", server.user)
    environment = {**os.environ, "PGPASSWORD": server.password}
    command = [str(postgresql_binaries() / program), *where, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program} failed: {done.stderr[-1500:]}")


@contextlib.contextmanager
def filled() -> Iterator[Server]:
    """A PostgreSQL of its own with Tryton's database; Missing where it cannot be had."""
    dump()
    with running("postgresql") as server:
        restore(server)
        yield server


if __name__ == "__main__":
    try:
        print(f"Tryton's database in {dump()}")
    except Missing as reason:
        sys.exit(str(reason))
