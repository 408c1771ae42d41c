"""What only SQLAlchemy has: URLs, dialects known or not, drivers that cannot be, idle connections that die."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from connectors.base import Connector
from connectors.conformance.asking import ask
from connectors.errors import ConfigError, Error, SourceError
from connectors.registry import connect
from connectors.types import PgType, numeric
from tests.faults.proxy import Proxy
from tests.servers import PASSWORD, Server

ONE = "SELECT 1 AS g"
INT4 = PgType("int4")
DRIVERS = (
    "postgresql+psycopg://",
    "postgresql+pg8000://",
    # PyMySQL leaves the socket of a connection that failed in its handshake (our KILL's) to the garbage collector
    pytest.param(
        "mariadb+pymysql://", marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    ),
)
PATIENCE = 15.0  # seconds: a timeout of 0.5, some of grace, and a busy machine


@contextlib.contextmanager
def connected(**options: Any) -> Iterator[Connector]:
    connector = connect("sqlalchemy", "shop", options)
    try:
        yield connector
    finally:
        connector.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": "nonsense"}, "url cannot be read"),
        ({"url": "postgresql+asyncpg://h/d"}, "asynchronous"),
        ({"url": "nosuchdialect://h/d"}, "no dialect nosuchdialect"),
        ({"url": "oracle+cx_oracle://h/d"}, "cannot be loaded"),
        ({"url": "sqlite://", "session": ["DROP TABLE t"]}, "statement 1 is none of SET"),
        ({"url": "sqlite://", "pasword": PASSWORD}, 'unknown option "pasword"'),
    ],
)
def test_what_cannot_be_is_told_at_once_and_without_the_secret(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        connect("sqlalchemy", "shop", options)
    assert told in error.value.message
    assert PASSWORD not in str(vars(error.value))


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for url in ("sqlite:///data.db", "duckdb:///data.duckdb"):
        with connected(url=url, base_folder=str(tmp_path)) as connector, pytest.raises(SourceError) as error:
            connector.ping()
        assert error.value.sqlstate == "08001"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_engine_claims_nothing_and_loses_no_column(tmp_path: Path) -> None:
    engine = sa.create_engine(f"duckdb:///{tmp_path}/d.duckdb")
    with engine.begin() as writer:
        ddl = "CREATE TABLE t (a decimal(9,3) PRIMARY KEY, b struct(x int), c interval, d varchar, e date)"
        writer.exec_driver_sql(ddl)
        writer.exec_driver_sql("INSERT INTO t VALUES (1.250, {'x': 1}, INTERVAL 1 MONTH, 'd', 'infinity')")
        writer.exec_driver_sql("CREATE VIEW v AS SELECT a FROM t")
    engine.dispose()
    with connected(url="duckdb:///d.duckdb", base_folder=str(tmp_path)) as connector:
        profile = connector.profile()
        assert (profile.engine, profile.dialect, profile.claims) == ("duckdb+duckdb_engine", "duckdb", ())
        tables = {table.name: table for table in connector.tables()}
        assert set(tables) == {"t", "v"}
        kinds = {column.name: (column.type.sql, column.exact) for column in tables["t"].columns}
        assert kinds == {
            "a": ("numeric(9,3)", True), "b": ("text", False), "c": ("text", False), "d": ("text", True),
            "e": ("date", True),
        }  # fmt: skip
        columns = tuple(column.type for column in tables["t"].columns)
        for small in (True, False):
            got = ask(connector, "SELECT a, b, c, d, e FROM t", columns=columns, small=small)
            days = got.column("c4").combine_chunks().view("int32").to_pylist()
            assert [str(got.column(at)[0].as_py()) for at in range(4)] == ["1.250", "{'x': 1}", "1 month", "d"]
            assert days == [2**31 - 1]


@pytest.mark.service
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "pg8000"])
def test_postgresql_as_an_engine_of_which_nothing_is_known(postgresql: Server, driver: str) -> None:
    postgresql.run("DROP DATABASE IF EXISTS generic", "CREATE DATABASE generic")
    postgresql.run(
        "CREATE TABLE parent (id int PRIMARY KEY, u text NOT NULL UNIQUE)",
        """CREATE TABLE t (id int PRIMARY KEY REFERENCES parent, n numeric(12,3), free numeric, d date, s timestamptz,
           j json, r int4range, a int[], f real, b bytea, k boolean)""",
        "INSERT INTO parent VALUES (7, 'it''s 100%')",
        """INSERT INTO t VALUES (7, 0.125, '1e-20', '-infinity', '2024-03-31 03:30+02', '{"a":  1.0}', '[1,5)',
           '{1,NULL}', 1.2345678, '\\x00ff', true)""",
        database="generic",
    )
    given = {**postgresql.options, "database": "generic"}
    with connected(url=f"postgresql+{driver}://", generic=True, **given) as connector:
        tables = {table.name: table for table in connector.tables()}
        assert tables["parent"].keys == (("id",), ("u",))
        assert tables["t"].foreign_keys[0].table == "parent"
        columns = tables["t"].columns
        types = tuple(column.type for column in columns)
        assert types[1] == numeric(12, 3)
        names = ", ".join(column.name for column in columns)
        for small in (True, False):
            answer = ask(connector, f"SELECT {names} FROM public.t", columns=types, small=small)
            assert answer.column("c3").combine_chunks().view("int32").to_pylist() == [-(2**31 - 1)]
            shown = [at for at, column in enumerate(columns) if column.name != "d"]  # Python has no such date
            got = {columns[at].name: answer.column(at)[0].as_py() for at in shown}
            assert got["free"] == "0.00000000000000000001"
            assert got["j"] == '{"a":  1.0}'
            assert (got["r"], got["a"], got["b"], got["k"]) == ("[1,5)", "{1,NULL}", b"\x00\xff", True)
            assert str(got["s"]) == "2024-03-31 01:30:00+00:00"


@pytest.mark.service
def test_a_password_that_was_rotated_is_taken_and_a_wrong_one_makes_no_storm(postgresql: Server) -> None:
    postgresql.run("DROP ROLE IF EXISTS rotated", "CREATE ROLE rotated LOGIN PASSWORD 'first-secret'")
    secret = _Turning("first-secret")
    given = {**postgresql.options, "user": "rotated", "password": secret, "database": "postgres"}
    with connected(url="postgresql+psycopg://", **given) as connector:
        connector.ping()
        postgresql.run("ALTER ROLE rotated PASSWORD 'second-secret'")
        connector._leases.clear()  # type: ignore[attr-defined]
        for _ in range(2):
            with pytest.raises(SourceError) as error:
                connector.ping()
            assert error.value.sqlstate == "08001"
            assert "secret-" not in str(vars(error.value)) and "first" not in str(vars(error.value))
        assert "not tried again" in str(error.value.detail)
        secret.turn("second-secret")
        connector.ping()


class _Turning(SecretStr):
    """A secret that is another one later."""

    def turn(self, value: str) -> None:
        self._secret_value = value


# pg8000 leaves the socket of a connection to the collector whose question for TLS nobody answers
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.service
@pytest.mark.parametrize("url", DRIVERS)
def test_an_idle_connection_that_the_network_forgot(url: str, request: pytest.FixtureRequest) -> None:
    """A lookup waits little longer than its timeout, and the next one works."""
    server: Server = request.getfixturevalue("mariadb" if "mariadb" in url else "postgresql")
    with Proxy(server.host, server.port) as proxy:
        given = {**server.options, "host": proxy.host, "port": proxy.port}
        with connected(url=url, **given) as connector:
            assert ask(connector, ONE, columns=(INT4,), small=True).num_rows == 1
            with proxy.silent():
                began = time.monotonic()
                with pytest.raises(Error):
                    ask(connector, ONE, columns=(INT4,), small=True, timeout=0.5)
                assert time.monotonic() - began < PATIENCE
            assert ask(connector, ONE, columns=(INT4,), small=True).num_rows == 1
    gc.collect()


@pytest.mark.service
def test_a_connection_of_two_hours_is_replaced(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(url="postgresql+pg8000://", **postgresql.options) as connector:
        number = "SELECT pg_backend_pid() AS g"
        first = ask(connector, number, columns=(INT4,), small=True)
        assert ask(connector, number, columns=(INT4,), small=True) == first
        clock = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: clock() + 7200)
        assert ask(connector, number, columns=(INT4,), small=True) != first
