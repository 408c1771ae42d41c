"""Users as roles: they log in by SCRAM, read what they may, and reach nothing beyond their session."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from connectors.errors import ConfigError
from federation.canon.roles import Account, apply
from federation.canon.server import Canon
from federation.canon.shell import install_relations
from tests.canon.conftest import CUSTOMERS, ORDERS

USERS = {
    "ada": Account("correct horse", ("crm.*",)),
    "bob": Account("staple", ("*",)),
    "eve": Account("nothing"),
    "select": Account("reserved word", ("crm.customers", "shop.none")),
}


@pytest.fixture
def users(shells: Canon) -> Iterator[Canon]:
    apply(shells.dsn(), USERS)
    yield shells
    apply(shells.dsn(), {})


def login(canon: Canon, user: str, password: str = "") -> psycopg.Connection:
    return psycopg.connect(make_conninfo(canon.dsn(user), password=password or USERS[user].secret), autocommit=True)


def readable(canon: Canon, user: str) -> set[str]:
    with psycopg.connect(canon.dsn()) as connection:
        found = connection.execute(
            "SELECT schema || '.' || name FROM vdw.shell WHERE has_schema_privilege(%(u)s, schema, 'usage')"
            " AND has_table_privilege(%(u)s, format('%%I.%%I', schema, name), 'select')",
            {"u": user},
        )
        return {name for (name,) in found}


def test_what_each_may_read(users: Canon) -> None:
    assert readable(users, "ada") == {"crm.customers"}
    assert readable(users, "bob") == {"crm.customers", "shop.orders"}
    assert readable(users, "eve") == set()
    assert readable(users, "select") == {"crm.customers"}


def test_it_follows_the_shells(users: Canon) -> None:
    install_relations(users.dsn(), [CUSTOMERS])
    install_relations(users.dsn(), [ORDERS])
    assert [readable(users, user) for user in ("ada", "bob", "select")] == [set(), {"shop.orders"}, set()]
    install_relations(users.dsn(), [CUSTOMERS, ORDERS])
    assert readable(users, "ada") == {"crm.customers"}


def test_it_follows_the_users(users: Canon) -> None:
    with login(users, "eve") as eve:
        apply(users.dsn(), {"ada": Account("new", ("shop.orders",))})
        assert readable(users, "ada") == {"shop.orders"}
        with pytest.raises(psycopg.OperationalError):
            eve.execute("SELECT 1")
    for user, password in (("ada", "correct horse"), ("eve", "nothing")):
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            login(users, user, password)
    login(users, "ada", "new").close()


def test_sessions_start_with_what_a_user_says_of_age(users: Canon) -> None:
    apply(users.dsn(), {**USERS, "ada": Account("correct horse", ("crm.*",), max_age="1h")})
    for user, expected in (("ada", "1h"), ("bob", "")):
        with login(users, user) as connection:
            assert connection.execute("SHOW vdw.max_age").fetchone() == (expected,)
    apply(users.dsn(), USERS)
    with login(users, "ada") as connection:
        assert connection.execute("SHOW vdw.max_age").fetchone() == ("",)


def test_a_ready_verifier_serves_too(users: Canon) -> None:
    with psycopg.connect(users.dsn()) as connection:
        row = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'ada'").fetchone()
    assert row is not None
    assert row[0].startswith("SCRAM-SHA-256$4096:")
    apply(users.dsn(), {"zoe": Account(row[0])})
    psycopg.connect(make_conninfo(users.dsn("zoe"), password="correct horse")).close()


def test_without_users_this_machine_reads_all_without_a_password(shells: Canon) -> None:
    apply(shells.dsn(), {})
    psycopg.connect(shells.dsn("anonymous")).close()
    assert readable(shells, "anonymous") == {"crm.customers", "shop.orders"}
    apply(shells.dsn(), USERS)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(shells.dsn("anonymous"))


@pytest.mark.parametrize("name", ["vdw", "vdw_merge", "vdw_x", "pg_monitor", "postgres", "public", "none"])
def test_names_of_ours_are_refused(canon: Canon, name: str) -> None:
    with pytest.raises(ConfigError, match="reserved"):
        apply(canon.dsn(), {name: Account("x")})


FORBIDDEN = [
    "CREATE TABLE t (a int)",
    "CREATE SCHEMA s",
    "CREATE TABLE crm.t (a int)",
    "CREATE EXTENSION dblink",
    "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
    "DO $$ BEGIN END $$",
    "COPY (SELECT 1) TO '/tmp/vdw-out'",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    "CREATE TEMP TABLE t (a text); COPY t FROM '/etc/passwd'",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_read_binary_file('PG_VERSION')",
    "SELECT pg_stat_file('PG_VERSION')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_ls_logdir()",
    "SELECT pg_ls_waldir()",
    "SELECT pg_current_logfile()",
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_terminate_backend(1)",
    "SELECT pg_cancel_backend(1)",
    "SELECT pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_restore_point('x')",
    "SELECT pg_export_snapshot()",
    "SELECT pg_logical_emit_message(false, 'a', 'b')",
    "SELECT pg_create_physical_replication_slot('x')",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_xact_lock(1)",
    "SELECT pg_stat_reset()",
    "SELECT query_to_xml('SELECT 1', true, true, '')",
    "SELECT table_to_xml('crm.customers', true, true, '')",
    "SELECT cursor_to_xml('c', 1, true, true, '')",
    "SELECT * FROM ts_stat('SELECT 1')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT 1')",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM vdw.reads",
    "SELECT vdw.grant_reads()",
    "SET ROLE vdw",
    "SET ROLE bob",
    "SET SESSION AUTHORIZATION vdw",
    "SET temp_file_limit = -1",
    "LOAD 'auto_explain'",
    "ALTER ROLE ada SUPERUSER",
    "ALTER ROLE ada CONNECTION LIMIT -1",
    "INSERT INTO crm.customers VALUES (1)",
    "DELETE FROM crm.customers",
    "DROP VIEW crm.customers",
    "COMMENT ON VIEW crm.customers IS 'mine'",
    "CREATE SERVER s FOREIGN DATA WRAPPER f",
    "CHECKPOINT",
    "ALTER DATABASE vdw SET search_path = x",
    "CREATE PUBLICATION p FOR ALL TABLES",
]


@pytest.mark.slow
@pytest.mark.parametrize("statement", FORBIDDEN)
def test_forbidden(users: Canon, statement: str) -> None:
    with login(users, "ada") as ada, pytest.raises(psycopg.Error) as caught:
        ada.execute(statement.encode())
    assert caught.value.sqlstate in {"42501", "42704", "55000"}, caught.value
    assert caught.value.sqlstate == "42501" or "SERVER" in statement or "crm.customers" in statement


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1); SELECT * FROM t",
        "CREATE TEMP VIEW v AS SELECT id FROM crm.customers",
        "SELECT set_config('my.setting', 'x', false)",
        "SET statement_timeout = '5s'",
        "SET work_mem = '1MB'",
        "SELECT pg_sleep(0)",
        "SELECT pg_advisory_unlock_all()",
        "CLOSE ALL",
        "UNLISTEN *",
        "RESET ALL",
        "DISCARD ALL",
        "SELECT * FROM pg_stat_activity, pg_settings, pg_class LIMIT 1",
        "SELECT * FROM information_schema.columns LIMIT 1",
        "SELECT pg_backend_pid(), current_user, version(), pg_my_temp_schema()",
        "SELECT pg_get_viewdef('crm.customers'::regclass)",
    ],
)
def test_what_clients_do_is_allowed(users: Canon, statement: str) -> None:
    with login(users, "ada") as ada:
        ada.execute(statement.encode())


def test_nobody_gives_on_what_they_may_read(users: Canon) -> None:
    with login(users, "ada") as ada:
        ada.execute("GRANT SELECT ON crm.customers TO eve")  # PostgreSQL only warns
    assert readable(users, "eve") == set()


@pytest.mark.slow
def test_bounds_are_set(users: Canon) -> None:
    with login(users, "ada") as ada:
        row = ada.execute("SELECT current_setting('statement_timeout'), current_setting('temp_file_limit')").fetchone()
        assert row == ("1min", "1GB")
        limit = ada.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'ada'").fetchone()
        assert limit == (100,)
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            ada.execute(
                "SELECT count(*) FROM (SELECT i, repeat('x', 1000) FROM generate_series(1, 2000000) i ORDER BY 2, 1) q"
            )
