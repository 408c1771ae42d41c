"""pgjdbc and psqlODBC, as BI tools use them, against the front and one PostgreSQL that holds all the data."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pyodbc
import pytest

from federation.canon.server import Canon
from tests.pgwire.conftest import Front, Oracle

pytestmark = pytest.mark.service
PGJDBC = "42.7.4"


def missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def behind(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The oracle on a TCP port: these drivers know no Unix sockets. It is reached through a bare front."""
    with psycopg.connect(oracle.dsn(), autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
        for schema in ("crm", "shop", "sales"):
            connection.execute(
                f"GRANT USAGE ON SCHEMA {schema} TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader"
            )
    with Bare(oracle.canon, oracle.database) as bare:
        yield bare


class Bare:
    """A front that only passes through, to another database of the canon."""

    def __init__(self, canon: Canon, database: str) -> None:
        self.canon, self.database, self.port = canon, database, 0

    def __enter__(self) -> Bare:
        import asyncio
        import threading

        from api.pgwire.server import Server

        ready = threading.Event()

        async def serve() -> None:
            self.loop, self.stop = asyncio.get_running_loop(), asyncio.Event()
            server = Server(self.canon)
            server.database = self.database
            await server.start("127.0.0.1", 0)
            self.port = server.address[1]
            ready.set()
            await self.stop.wait()
            await server.stop()

        self.thread = threading.Thread(target=lambda: asyncio.run(serve()))
        self.thread.start()
        assert ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()


def jar() -> Path:
    """pgjdbc, from Maven's local repository, put there by Maven if need be."""
    if shutil.which("java") is None:
        missing("no Java here")
    repository = Path.home() / ".m2" / "repository"
    home = repository / "org" / "postgresql" / "postgresql" / PGJDBC / f"postgresql-{PGJDBC}.jar"
    if not home.exists() and shutil.which("mvn") is not None:
        plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get"
        artifact = f"-Dartifact=org.postgresql:postgresql:{PGJDBC}:jar"
        # Java takes the home from the user's entry, not from HOME.
        local = f"-Dmaven.repo.local={repository}"
        subprocess.run(["mvn", "-q", "-B", local, plugin, artifact, "-Dtransitive=false"], check=False, timeout=300)
    if not home.exists():
        missing("no pgjdbc here")
    return home


def test_pgjdbc(front: Front, behind: Bare) -> None:
    driver, source = jar(), Path(__file__).with_name("Probe.java")
    told = []
    for port, user in ((front.port, "anonymous"), (behind.port, "reader")):
        done = subprocess.run(
            ["java", "-cp", str(driver), str(source), f"jdbc:postgresql://127.0.0.1:{port}/vdw", user, "reader"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told.append(done.stdout.splitlines())
    assert told[0] == told[1]


def odbc(port: int, user: str, **more: object) -> pyodbc.Connection:
    names = [name for name in pyodbc.drivers() if name.startswith("PostgreSQL")]
    if not names:
        missing("no psqlODBC here")
    name = next((name for name in names if "Unicode" in name), names[0])
    given = {"Server": "127.0.0.1", "Port": port, "Database": "vdw", "UID": user, "PWD": "reader", **more}
    return pyodbc.connect(f"Driver={{{name}}};" + ";".join(f"{key}={value}" for key, value in given.items()))


def asked(connection: pyodbc.Connection) -> list[Any]:
    """What a BI tool asks by ODBC."""
    found: list[Any] = []
    with connection.cursor() as cursor:
        found.append([(row.column_name, row.type_name) for row in cursor.columns("people", schema="sales")])
        found.append(sorted(row.table_name for row in cursor.tables(schema="sales")))
        found.append(
            list(cursor.execute("select id, name, since, score, active from sales.people order by id").fetchall())
        )
        found.append(cursor.execute("select * from sales.spending where total > ? order by 1", 1.5).fetchall())
        found.append(cursor.execute("select name from crm.customers where id = ?", 2).fetchall())
        found.append(sum(row[0] for row in cursor.execute("select id from crm.many")))
        try:
            cursor.execute("select nope from crm.customers")
        except pyodbc.Error as error:
            found.append(error.args[0])
        connection.rollback()
        cursor.execute("create temp table t as select id from crm.customers")
        found.append(cursor.execute("select count(*) from t join crm.customers using (id)").fetchall())
    return [
        [tuple(row) if isinstance(row, pyodbc.Row) else row for row in part] if isinstance(part, list) else part
        for part in found
    ]


@pytest.mark.parametrize("more", [{}, {"UseDeclareFetch": 1, "Fetch": 700}, {"UseServerSidePrepare": 0}])
def test_psqlodbc(front: Front, behind: Bare, more: dict[str, object]) -> None:
    ours, theirs = odbc(front.port, "anonymous", **more), odbc(behind.port, "reader", **more)
    try:
        assert asked(ours) == asked(theirs)
    finally:
        ours.close()
        theirs.close()
