"""ODBC beyond the conformance suite: connection strings, drivers that hold answers, silence, engines not known."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.ask import diagnostics
from connectors.base import Bound, Connector, Profile, SourceQuery
from connectors.capability import capability
from connectors.conformance.asking import INT8, ask, statement
from connectors.errors import ConfigError, Error, LimitExceeded
from connectors.odbc.drivers import Access, keyword
from connectors.odbc.engine import Facts, Where
from connectors.odbc.engines import BY_NAME, GENERIC, KNOWN, guessed
from connectors.odbc.oracle import column_type as oracle_type
from connectors.odbc.sqlserver import column_type as sqlserver_type
from connectors.odbc.sqlserver import moment, stamp
from connectors.registry import connect
from connectors.tls import Tls
from connectors.types import PgType, bpchar, numeric, varchar
from tests.connectors.odbc_cases import DRIVERS, through_odbc
from tests.faults.proxy import Proxy
from tests.servers import Server

TEXT = PgType("text")
NOWHERE = Facts("", "", "", "")


def to(server: Server, **more: Any) -> Connector:
    """A connector of kind odbc to that server."""
    return connect("odbc", "shop", {**through_odbc(server.options, server.kind), **more})


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def test_values_cannot_become_keywords() -> None:
    assert keyword("plain") == "plain"
    assert keyword("a;DRIVER=x") == "{a;DRIVER=x}"
    assert keyword("a}b") == "{a}}b}"


def test_no_secret_is_shown() -> None:
    options = {"driver": "x", "password": "hush hush", "options": {"TLSKEYPWD": "psst;", "Fetch": "10"}}
    connector: Any = connect("odbc", "shop", options)
    shown = " ".join(map(repr, (vars(connector), connector._access, connector._options)))
    assert "hush" not in shown
    assert "psst" not in shown
    assert connector._access.scrub("login hush hush, {hush hush}, {psst;}, psst; failed") == (
        "login ***, {***}, {***}, *** failed"
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "`dsn` or `driver`"),
        ({"driver": "x", "dsn": "y"}, "`dsn` or `driver`"),
        ({"driver": "x", "options": {"PWD": "s3cret"}}, "PWD"),
        ({"driver": "x", "options": {"a;b": "s3cret"}}, "no keyword"),
        ({"driver": "x", "engine": "postgres"}, "engine"),
        ({"driver": "x", "servr": "y"}, 'did you mean "server"'),
    ],
)
def test_wrong_options_are_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect("odbc", "shop", options)
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_driver_that_is_not_installed_is_told() -> None:
    connector = connect("odbc", "shop", {"driver": "No Such Driver", "server": "127.0.0.1"})
    with pytest.raises(Error) as caught:
        connector.ping()
    assert caught.value.sqlstate == "08001"
    assert "odbcinst -q -d" in (caught.value.hint or "")


@pytest.mark.service
def test_awkward_passwords(server: Server) -> None:
    awkward = "a;b}c{d=e '\"\\é"
    if server.kind == "postgresql":
        spelt = awkward.replace("'", "''")
        server.run("DROP ROLE IF EXISTS odd", f"CREATE ROLE odd LOGIN PASSWORD '{spelt}'")
    else:
        spelt = awkward.replace("\\", "\\\\").replace("'", "''")
        server.run(f"CREATE OR REPLACE USER odd@'%' IDENTIFIED BY '{spelt}'", "GRANT ALL ON shop.* TO odd@'%'")
    connector = to(server, user="odd", password=awkward)
    assert ask(connector, "SELECT 1").num_rows == 1
    connector.close()


@pytest.mark.service
def test_an_answer_that_the_driver_would_hold_is_bounded(mariadb: Server) -> None:
    connector = to(mariadb, held_rows=1000)
    assert ask(connector, "SELECT seq FROM seq_1_to_1000").num_rows == 1000
    with pytest.raises(LimitExceeded) as caught:
        ask(connector, "SELECT seq FROM seq_1_to_100000")
    assert caught.value.sqlstate == "53400"
    assert "held_rows" in (caught.value.hint or "")
    connector.close()


@pytest.mark.service
def test_rows_longer_than_a_packet_are_an_error_not_null(mariadb: Server) -> None:
    connector = to(mariadb)
    long = "SELECT REPEAT('x', 9000000), REPEAT('y', 9000000)"  # each fits into 16 MB, both do not
    with pytest.raises(Error) as caught:
        ask(connector, long, columns=(TEXT, TEXT))
    assert caught.value.sqlstate == "HV004"
    assert ask(connector, "SELECT REPEAT('x', 9000000)", columns=(TEXT,)).column(0).to_pylist() == ["x" * 9_000_000]
    connector.close()


@pytest.mark.service
def test_markers_and_escapes_inside_texts_are_texts(server: Server) -> None:
    connector = to(server)
    quoted = "SELECT '? {fn now()} {d ''x''} -- /* ', 'a\\', '?' WHERE 'b' = "
    got = ask(connector, quoted, Bound(TEXT, "b"), columns=(TEXT, TEXT, TEXT))
    assert [one.to_pylist() for one in got.columns] == [["? {fn now()} {d 'x'} -- /* "], ["a\\"], ["?"]]
    connector.close()


@pytest.mark.service
def test_the_profile_is_the_engines_own(server: Server) -> None:
    mine, native = to(server), connect(server.kind, "shop", server.options)
    found, known = mine.profile(), native.profile()
    assert (found.engine, found.version) == (known.engine, known.version)
    assert {key: found.facts[key] for key in known.facts} == known.facts
    assert found.facts["proven"] is True
    assert {(table.schema, table.name) for table in mine.tables()} == {
        (table.schema, table.name) for table in native.tables()
    }
    mine.close()
    native.close()


@pytest.mark.slow
@pytest.mark.service
def test_a_network_that_swallows_everything_hangs_nobody(server: Server) -> None:
    with Proxy(server.host, server.port) as proxy:
        connector = to(server, port=proxy.port, pool_size=1)
        assert ask(connector, "SELECT 1", small=True).num_rows == 1
        began = time.monotonic()
        with proxy.silent(), pytest.raises(Error) as caught:
            ask(connector, "SELECT 1", small=True, timeout=1.0)
        assert time.monotonic() - began < 8, "its timeout, and some seconds of grace"
        assert caught.value.sqlstate == "57014"
        assert ask(connector, "SELECT 1", small=True).num_rows == 1
        connector.close()


@pytest.mark.service
def test_a_connection_that_lay_idle_for_two_hours_is_replaced(server: Server) -> None:
    connector: Any = to(server, pool_size=1)
    ask(connector, "SELECT 1")
    (lease,) = connector._leases._idle
    lease.since -= 7200
    ask(connector, "SELECT 1")
    (anew,) = connector._leases._idle
    assert anew.session is not lease.session
    connector.close()


@pytest.fixture
def unknown(postgresql: Server) -> Iterator[Connector]:
    """PostgreSQL behind ODBC as an engine that nobody knows."""
    postgresql.run(
        "DROP TABLE IF EXISTS strange",
        "CREATE TABLE strange (id int PRIMARY KEY, code varchar(9) NOT NULL, day date, n numeric(10,2), b bytea)",
        "INSERT INTO strange VALUES (1, 'Ünï 漢', '2024-02-29', 1.50, '\\x00ff'), (2, 'b', NULL, NULL, NULL)",
        database="shop",
    )
    connector: Any = to(postgresql, schemas=["public"])
    access: Access = connector._access
    access.engines, access.other = (), GENERIC
    yield connector
    connector.close()
    postgresql.run("DROP TABLE strange", database="shop")


@pytest.mark.service
def test_an_unknown_engine_is_read_by_the_catalog_functions(unknown: Connector) -> None:
    profile = unknown.profile()
    assert (profile.engine, profile.dialect, profile.claims) == ("postgresql", "", ())
    (table,) = unknown.tables(tables=("strange",))
    assert [(c.name, c.type.sql, c.nullable) for c in table.columns] == [
        ("id", "integer", False),
        ("code", "text", False),
        ("day", "date", True),
        ("n", "numeric(10,2)", True),
        ("b", "bytea", True),
    ]
    assert table.keys[0] == ("id",)
    kinds = tuple(column.type for column in table.columns)
    for small in (True, False):
        text = "SELECT id, code, day, n, b FROM public.strange WHERE id = "
        got = ask(unknown, text, Bound(PgType("int4"), 1), columns=kinds, small=small)
        assert [str(one[0]) for one in got.columns] == ["1", "Ünï 漢", "2024-02-29", "1.50", "b'\\x00\\xff'"]


def test_a_driver_tells_its_engine() -> None:
    names = {"ODBC Driver 18 for SQL Server": "sqlserver", "Oracle 21 ODBC driver": "oracle", **{
        driver: engine for engine, driver in DRIVERS.items()
    }}  # fmt: skip
    assert {name: engine.name for name in names if (engine := guessed(name))} == names
    assert guessed("Snowflake") is None
    assert len({engine.name for engine in KNOWN}) == len(KNOWN)


# -- unproven: only their texts are tested, no server runs here


def test_sql_servers_session_and_parameters() -> None:
    engine = BY_NAME["sqlserver"]
    assert not engine.proven
    words = engine.keywords(Where("db", 1433, "erp", 10, Tls()))
    assert words["SERVER"] == "db,1433"
    assert (words["Encrypt"], words["TrustServerCertificate"]) == ("yes", "no")
    prologue = " ".join(engine.prologue(NOWHERE))
    for setting in ("ANSI_NULLS", "QUOTED_IDENTIFIER", "ARITHABORT", "DATEFIRST 1", "DATEFORMAT ymd", "LOCK_TIMEOUT"):
        assert setting in prologue
    assert "NOLOCK" not in prologue
    query = statement("SELECT id FROM t WHERE id IN (", Bound(INT8.array, [1, 2]), ") AND n = ", Bound(TEXT, "x"))
    assert engine.statement(query, NOWHERE) == ("SELECT id FROM t WHERE id IN (?, ?) AND n = ?", (1, 2, "x"))
    assert engine.limit(1500, NOWHERE) is None  # the driver's own timeout


def test_sql_servers_types() -> None:
    assert sqlserver_type("nvarchar", 20, 0, 0) == varchar(10)
    assert sqlserver_type("nvarchar", -1, 0, 0) == TEXT
    assert sqlserver_type("nchar", 10, 0, 0) == bpchar(5)
    assert sqlserver_type("money", 8, 19, 4) == numeric(19, 4)
    assert sqlserver_type("sql_variant", 0, 0, 0) == TEXT
    raw = bytes.fromhex("e807 0200 1d00 1700 3b00 3b00 00ca9a3b".replace(" ", ""))
    assert stamp(raw[:12] + (123_456_700).to_bytes(4, "little")) == 1_709_251_199_123_456_700
    ahead = (2).to_bytes(2, "little") + (0).to_bytes(2, "little")
    assert moment(raw[:12] + bytes(4) + ahead) == (1_709_251_199 - 7200) * 10**9


def test_oracles_session_and_types() -> None:
    engine = BY_NAME["oracle"]
    assert not engine.proven
    assert engine.keywords(Where("db", 1521, "ERP"))["DBQ"] == "//db:1521/ERP"
    (prologue,) = engine.prologue(NOWHERE)
    assert "NLS_SORT = BINARY NLS_COMP = BINARY" in prologue
    assert "TIME_ZONE = '+00:00'" in prologue
    assert engine.canary().endswith("FROM dual")
    none = SourceQuery(("SELECT 1 FROM t WHERE a IN (", 0, ")"), (Bound(INT8.array, []),), (INT8,))
    assert engine.statement(none, NOWHERE) == ("SELECT 1 FROM t WHERE a IN (SELECT NULL FROM dual WHERE 1 = 0)", ())
    assert oracle_type("NUMBER", None, None, None) == PgType("numeric")
    assert oracle_type("NUMBER", 10, 2, None) == numeric(10, 2)
    assert oracle_type("DATE", None, None, None) == PgType("timestamp")
    assert oracle_type("TIMESTAMP(6) WITH TIME ZONE", None, None, None) == TEXT
    assert oracle_type("VARCHAR2", None, None, 20) == varchar(20)


def test_mysql_has_its_own_timeout() -> None:
    assert BY_NAME["mysql"].limit(1500, NOWHERE) == "SET SESSION max_execution_time = 1500"
    held = replace(NOWHERE, driver="libmaodbc.so", driver_version="03.01.0015")
    assert BY_NAME["mariadb"].holds(held)
    assert not BY_NAME["mariadb"].holds(replace(held, driver_version="03.02.0001"))


def test_an_operator_that_drivers_take_for_a_parameter_is_not_sent() -> None:
    native = Profile("postgresql", (15, 1), {"encoding": "UTF8"})
    behind = Profile("postgresql", (15, 1), {"encoding": "UTF8", "question_marks": True})
    assert ("?", "jsonb", "text") in capability(native).scalars
    assert {key for key in capability(native).scalars if key not in capability(behind).scalars} == {
        ("?", "jsonb", "text")
    }


@pytest.mark.service
def test_check_warns_of_an_engine_that_is_unproven(postgresql: Server, tmp_path: Path) -> None:
    """Told that it is, and PostgreSQL answers: what counts is that the connector never was tried."""
    (tmp_path / "sources").mkdir()
    (tmp_path / "password").write_text(postgresql.password)
    (tmp_path / "vdw.yml").write_text("name: shop\n")
    given = {**through_odbc(postgresql.options, "postgresql"), "password": {"file": "password"}, "schemas": ["public"]}
    source = {"kind": "odbc", "connection": given}
    (tmp_path / "sources" / "erp.yml").write_text(yaml.safe_dump(source))
    assert not [one for one in diagnostics(tmp_path) if "unproven" in one.message]
    with unproven("postgresql"):
        assert [one for one in diagnostics(tmp_path) if "unproven" in one.message and one.severity == "warning"]


@contextmanager
def unproven(name: str) -> Iterator[None]:
    """While inside, that engine counts as one that no test has met."""
    kind: Any = type(BY_NAME[name])
    kind.proven = False
    try:
        yield
    finally:
        kind.proven = True
