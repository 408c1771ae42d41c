"""Shells: right columns and comments, an error when executed, in step with the catalog, atomically."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from connectors.base import Column, Table
from connectors.errors import ConfigError
from connectors.types import BUILTIN, PgType, bpchar, numeric, varchar
from federation.canon.server import Canon
from federation.canon.shell import install, install_relations
from tests.canon.conftest import CUSTOMERS, ORDERS
from views.catalog import Catalog, SourceTable, View


def oids(dsn: str) -> dict[str, int]:
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT schema || '.' || name, format('%I.%I', schema, name)::regclass::oid FROM vdw.shell"
        )
        return dict(found.fetchall())


def columns(dsn: str, relation: str) -> list[tuple[str, str]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            (relation,),
        ).fetchall()


def test_columns_have_their_exact_types(shells: Canon) -> None:
    assert columns(shells.dsn(), "crm.customers") == [
        ("id", "bigint"),
        ("name", "text"),
        ("balance", "numeric(10,2)"),
        ("code", "character(3)"),
        ("since", "timestamp(3) with time zone"),
        ("tags", "text[]"),
    ]


def test_every_type_that_a_column_may_have(canon: Canon) -> None:
    kinds = [PgType(name) for name in BUILTIN if name != "unknown"]
    kinds += [PgType("_" + name) for name in BUILTIN if name != "unknown"]
    kinds += [numeric(5, 0), numeric(3, -2), varchar(7), bpchar(1), PgType("bit", 5), PgType("varbit", 9)]
    kinds += [PgType("time", 0), PgType("timetz", 6), PgType("timestamp", 3)]
    install_relations(canon.dsn(), [View("t", "all", tuple((f"c{i}", kind) for i, kind in enumerate(kinds)))])
    with psycopg.connect(canon.dsn()) as connection:
        found = connection.execute(
            "SELECT t.typname, a.atttypmod, t.oid FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid"
            " WHERE attrelid = 't.all'::regclass AND attnum > 0 ORDER BY attnum"
        ).fetchall()
    assert found == [(kind.name, kind.mod, kind.type_oid) for kind in kinds]


def test_odd_names_and_comments_survive(canon: Canon) -> None:
    odd = View(
        'sch"ema x',
        "select",
        (('a "b"\\', PgType("int4")), ("ü $1", PgType("int4"))),
        comment="it's \\ a 'comment'\n-- ;",
        column_comments={"ü $1": "${x} %s {}", "gone": "not a column"},
    )
    install_relations(canon.dsn(), [odd])
    assert columns(canon.dsn(), '"sch""ema x"."select"') == [('a "b"\\', "integer"), ("ü $1", "integer")]
    with psycopg.connect(canon.dsn()) as connection:
        told = connection.execute(
            "SELECT obj_description(oid), col_description(oid, 2), relkind FROM pg_class WHERE relname = 'select'"
        ).fetchone()
    assert told == ("it's \\ a 'comment'\n-- ;", "${x} %s {}", "v")


def test_a_source_tables_comments_are_told(canon: Canon) -> None:
    table = Table("crm", None, "t", (Column("a", PgType("int4"), comment="first"),))
    install(
        canon.dsn(),
        Catalog({}, {("crm", "t"): SourceTable("crm", "t", (("a", PgType("int4")),), "a table", table)}, {}, "1"),
    )
    with psycopg.connect(canon.dsn()) as connection:
        told = connection.execute(
            "SELECT obj_description(oid), col_description(oid, 1) FROM pg_class WHERE relname = 't'"
        )
        assert told.fetchone() == ("a table", "first")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM crm.customers",
        "SELECT count(*) FROM crm.customers",
        "SELECT EXISTS (SELECT FROM crm.customers)",
        "SELECT 1 FROM crm.customers LIMIT 1",
        "COPY (SELECT * FROM crm.customers) TO STDOUT",
        "CREATE TEMP TABLE copy_of AS SELECT * FROM crm.customers",
        "DECLARE c CURSOR FOR SELECT * FROM crm.customers; FETCH c",
        "SELECT query_to_xml('SELECT * FROM crm.customers', true, true, '')",
        "EXPLAIN ANALYZE SELECT * FROM crm.customers",
        "DO $$ BEGIN PERFORM * FROM crm.customers; END $$",
        "CREATE TEMP VIEW over AS SELECT * FROM crm.customers; SELECT * FROM over",
        "SELECT (SELECT id FROM crm.customers)",
        "SELECT * FROM shop.orders WHERE customer IN (SELECT id FROM crm.customers)",
    ],
)
def test_no_road_to_a_shell_answers_with_nothing(shells: Canon, statement: str) -> None:
    with psycopg.connect(shells.dsn()) as connection, pytest.raises(psycopg.errors.InternalError_) as caught:
        cursor = connection.cursor()
        if statement.startswith("COPY"):
            with cursor.copy(statement.encode()) as copy:
                list(copy)
        else:
            cursor.execute(statement.encode())
    assert "was reached without a plan" in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM crm.customers LIMIT 0", "SELECT * FROM crm.customers WHERE false", "EXPLAIN TABLE crm.customers"],
)
def test_what_needs_no_rows_works(shells: Canon, statement: str) -> None:
    with psycopg.connect(shells.dsn()) as connection:
        assert connection.execute(statement.encode()).description


def test_a_marker_of_a_parameter_is_an_error_when_executed(shells: Canon) -> None:
    with (
        psycopg.connect(shells.dsn()) as connection,
        pytest.raises(psycopg.errors.InternalError_, match=r"\$2 was not"),
    ):
        connection.execute("SELECT vdw.param(2, NULL::int)")


def test_only_what_differs_is_touched(shells: Canon) -> None:
    before = oids(shells.dsn())
    changed = replace(ORDERS, columns=(*ORDERS.columns, ("day", PgType("date"))))
    install_relations(shells.dsn(), [CUSTOMERS, changed, View("new", "v", (("a", PgType("int4")),))])
    after = oids(shells.dsn())
    assert after["crm.customers"] == before["crm.customers"]
    assert after["shop.orders"] != before["shop.orders"]
    assert columns(shells.dsn(), "shop.orders")[-1] == ("day", "date")
    install_relations(shells.dsn(), [CUSTOMERS])
    assert oids(shells.dsn()) == {"crm.customers": before["crm.customers"]}
    with psycopg.connect(shells.dsn()) as connection:
        assert connection.execute("SELECT to_regnamespace('new'), to_regnamespace('shop')").fetchone() == (None, None)


def test_all_or_nothing(shells: Canon) -> None:
    before = oids(shells.dsn())
    bad = View("bad", "v", (("a", PgType("no_such_type", -1, 999_999)),))
    with pytest.raises(ConfigError, match=r"bad\.v cannot be made") as caught:
        install_relations(shells.dsn(), [View("other", "v", (("a", PgType("int4")),)), bad])
    assert caught.value.place == "bad.v"
    assert oids(shells.dsn()) == before


@pytest.mark.slow
def test_a_session_idle_in_a_transaction_does_not_stop_a_reload(shells: Canon) -> None:
    with psycopg.connect(shells.dsn()) as idle, psycopg.connect(shells.dsn(), autocommit=True) as other:
        idle.execute("SELECT * FROM crm.customers LIMIT 0")
        other.execute("SELECT * FROM shop.orders LIMIT 0")
        install_relations(shells.dsn(), [ORDERS])
        assert set(oids(shells.dsn())) == {"shop.orders"}
        assert other.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")


def test_a_clients_temporary_view_goes_with_what_it_reads(shells: Canon) -> None:
    with psycopg.connect(shells.dsn(), autocommit=True) as client:
        client.execute("CREATE TEMP VIEW mine AS SELECT id FROM shop.orders")
        install_relations(shells.dsn(), [CUSTOMERS])
        assert client.execute("SELECT to_regclass('mine')").fetchone() == (None,)
