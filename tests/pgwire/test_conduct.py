"""How the front behaves when clients do not: cancels, deaths, wrong passwords, huge texts, slow readers."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest

from api.pgwire.server import Server, certificate
from connectors.errors import ConfigError
from tests.pgwire.conftest import Front, make

pytestmark = pytest.mark.service
HEAVY = "select count(*) from generate_series(1, 2000000000) g, crm.customers"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A project with users, TLS and a small message limit."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "secret").write_text("pass word")
    files = {
        "vdw.yml": """
            name: test
            listen: {http: {enabled: false}}
            users:
              ann: {password: {file: secret}, reads: ["sales.*"]}
        """
    }
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = certificate(folder / "cert.pem", folder / "key.pem")
    with Front(make(folder, files), tls=tls, message_limit=1 << 20, connections=5) as served:
        yield served


def login(front: Front, **more: object) -> str:
    return front.dsn(user="ann", password="'pass word'", **more)


def test_password_and_tls(guarded: Front) -> None:
    with psycopg.connect(login(guarded, sslmode="require")) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("select current_user, count(*) from sales.people").fetchall() == [("ann", 4)]
    for wrong in ("user=ann password=nope", "user=bob password=x"):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(f"{guarded.dsn()} {wrong}")


@pytest.mark.parametrize("user", ["vdw", "vdw_merge", "pg_monitor"])
def test_own_roles_cannot_be_used(guarded: Front, user: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(guarded.dsn(user=user))


def test_what_may_not_be_read(guarded: Front) -> None:
    with psycopg.connect(login(guarded), autocommit=True) as connection:
        for text in ("select * from crm.customers", "copy (select * from crm.customers) to stdout",
                     "create temp table t as select * from crm.customers"):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(text)
        connection.execute("create temp table mine as select 1 as id")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from mine join crm.customers using (id)")
        assert connection.execute("select name from mine join sales.people using (id)").fetchall() == [("Ann",)]


def test_too_many_clients(guarded: Front) -> None:
    held = [psycopg.connect(login(guarded)) for _ in range(5)]
    with pytest.raises(psycopg.OperationalError, match="too many clients"):
        psycopg.connect(login(guarded))
    for connection in held:
        connection.close()
    time.sleep(0.3)
    psycopg.connect(login(guarded)).close()


def test_a_storm_of_clients(tmp_path: Path) -> None:
    many = 150  # past the 100 that come without being asked for
    files = {"vdw.yml": f"name: test\nlisten: {{http: {{enabled: false}}, postgresql: {{connections: {many}}}}}\n"}

    async def storm(port: int) -> tuple[list[int], str]:
        where = {"host": "127.0.0.1", "port": port, "user": "anonymous", "database": "vdw"}
        all_ = await asyncio.gather(*(asyncpg.connect(**where) for _ in range(many)))
        with pytest.raises(asyncpg.TooManyConnectionsError) as late:
            await asyncpg.connect(**where)
        answers = await asyncio.gather(*(one.fetchval("select count(*) from crm.customers") for one in all_))
        await asyncio.gather(*(one.close() for one in all_))
        return answers, str(late.value)

    with Front(make(tmp_path, files), connections=many) as served:
        assert served.runtime.canon.sessions == many
        answers, refused = asyncio.run(storm(served.port))
    assert answers == [4] * many
    assert "too many clients" in refused


def test_large_texts(front: Front, guarded: Front) -> None:
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        text = "select length('" + "x" * 10_000_000 + "'), count(*) from crm.customers"
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="as parameters"):
            connection.execute(text)
        text = "select length(%s), count(*) from crm.customers"
        assert connection.execute(text, ("y" * 10_000_000,)).fetchall() == [(10_000_000, 4)]
    large = "select '" + "x" * 2_000_000 + "'"
    connection = psycopg.connect(login(guarded), autocommit=True)
    with connection, pytest.raises(psycopg.errors.ProgramLimitExceeded, match="larger than"):
        connection.execute(large)
    with psycopg.connect(login(guarded), autocommit=True) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("!ii", 8, 99 << 16),
        struct.pack("!i", 2_000_000_000),
        struct.pack("!i", 3),
        struct.pack("!ii", 16, 80877102) + b"\0" * 8,
        struct.pack("!iii", 16, 196608, 0x41414141) + b"\0" * 4,
        b"",
    ],
)
def test_nonsense_at_the_door(front: Front, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", front.port)) as client:
        client.sendall(raw)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(10)
        while client.recv(1000):
            pass
    psycopg.connect(front.dsn()).close()


def test_nonsense_after_the_login(front: Front) -> None:
    for raw in (b"P\0\0\0\6x\0", b"B\0\0\0\5x", b"@\0\0\0\4", b"Q\0\0\0\2", b"E\0\0\0\4"):
        connection = psycopg.connect(front.dsn())
        os.write(connection.pgconn.socket, raw + b"S\0\0\0\4")
        with pytest.raises(psycopg.Error):
            connection.execute("select 1 from crm.customers")
            connection.execute("select 1 from crm.customers")
            raise psycopg.OperationalError("it went on, which is as well")
        connection.close()
    psycopg.connect(front.dsn()).close()


def test_text_before_the_handshake(guarded: Front) -> None:
    with socket.create_connection(("127.0.0.1", guarded.port)) as client:
        client.sendall(struct.pack("!ii", 8, 80877103) + b"Q\0\0\0\4")
        client.settimeout(10)
        assert client.recv(1) in (b"E", b"")


def test_no_tls_where_others_can_reach_it(front: Front) -> None:
    server = Server(front.runtime.canon)
    with pytest.raises(ConfigError, match="without TLS"):
        front.call(server.start("0.0.0.0", 0))


def test_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"x\.pem"):
        certificate(tmp_path / "x.pem", tmp_path / "x.pem")


@pytest.mark.parametrize(
    "text", [HEAVY, "select pg_sleep(30)", f"copy ({HEAVY}) to stdout", f"explain analyze {HEAVY}"]
)
def test_cancel(front: Front, text: str) -> None:
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        threading.Timer(0.5, connection.cancel_safe).start()
        began = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled):
            if text.startswith("copy"):
                with connection.cursor().copy(text) as copy:
                    list(copy)
            else:
                connection.execute(text)
        assert time.monotonic() - began < 20
        assert connection.execute("select count(*) from crm.customers").fetchone() == (4,)


def test_cancel_of_rows_on_their_way(front: Front) -> None:
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        threading.Timer(0.3, connection.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            for _ in range(200):
                connection.execute("select * from dwh.facts")
        assert connection.execute("select 1").fetchone() == (1,)


def test_statement_timeout(front: Front) -> None:
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        connection.execute("set statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(HEAVY)
        connection.execute("set statement_timeout = 0")
        assert connection.execute("select count(*) from crm.customers").fetchone() == (4,)


def settled(count: Callable[[], int]) -> None:
    """Waits until there are none."""
    for _ in range(200):
        if not count():
            return
        time.sleep(0.1)
    raise AssertionError(count())


def test_a_client_that_vanishes(front: Front) -> None:
    settled(lambda: len(front.server.open))
    connection = psycopg.connect(front.dsn(), autocommit=True)
    connection.pgconn.send_query(b"select * from dwh.facts a, dwh.facts b")
    connection.pgconn.flush()
    time.sleep(0.5)
    assert len(front.server.open) == 1
    connection.close()
    settled(lambda: len(front.server.open))
    with psycopg.connect(front.runtime.canon.dsn(), autocommit=True) as own:
        asked = "select count(*)::int from pg_stat_activity where usename = 'anonymous'"
        settled(lambda: own.execute(asked).fetchone()[0])  # type: ignore[index]


def test_a_slow_reader_costs_no_memory(front: Front) -> None:
    connection = psycopg.connect(front.dsn(), autocommit=True)
    connection.pgconn.send_query(b"copy (select a.* from dwh.facts a, generate_series(1, 20)) to stdout")
    connection.pgconn.flush()
    time.sleep(3)
    started = resident()
    time.sleep(3)
    assert resident() - started < 100 << 20
    connection.close()


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        (["\\dn"], "sales"),
        (["\\dv sales.*"], "spending"),
        (["\\d sales.people"], "since"),
        (["\\d+ crm.customers"], "region"),
        (["set search_path = sales", "\\dv"], "people"),
        (["\\copy (select id, name from sales.people order by 1) to stdout csv header"], "4,O'Neil"),
        (["select id, name from sales.people \\gdesc"], "character varying|text"),
        (["\\set FETCH_COUNT 2", "select id, label from crm.many where id < 6 order by id"], "row 5"),
        (["begin", "select * from sales.spending \\gset x_", "commit"], ""),
        (["explain (format json) select * from sales.spending"], '"fragments"'),
        (["\\timing on", "select 1; select count(*) from crm.customers; select 2"], "4"),
    ],
)
def test_psql(front: Front, commands: list[str], expected: str) -> None:
    given = "\n".join(
        command if command.startswith("\\") or " \\g" in command else command + ";" for command in commands
    )
    done = subprocess.run(
        ["psql", "-X", "-A", "-v", "ON_ERROR_STOP=0", front.dsn()], input=given + "\n", capture_output=True, text=True,
        timeout=60, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert any(part in done.stdout for part in expected.split("|")), done
    if "gset" not in given:
        assert not done.stderr, done.stderr


def test_tls_version(guarded: Front) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", guarded.port)) as plain:
        plain.sendall(struct.pack("!ii", 8, 80877103))
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as secured:
            assert secured.version() in ("TLSv1.2", "TLSv1.3")
