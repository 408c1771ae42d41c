"""From project files to a catalog: what is right serves, what is wrong stands aside and says why."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors import registry
from connectors.base import Connector, Table
from connectors.sqlite.connector import SqliteConnector
from connectors.types import PgType
from federation import introspection
from federation.build import Built, build, rebuild
from federation.canon.server import Canon
from federation.remembered import Remembered
from tests.folders import read
from views.catalog import SYSTEM
from views.load import load

SCRIPT = """
CREATE TABLE customers (id integer PRIMARY KEY, name text);
CREATE TABLE orders (id integer PRIMARY KEY, customer integer, total numeric(10,2));
"""
CUSTOMERS = {"views/crm/customer.view.sql": "select id, name from shop.customers"}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.sqlite")) as connection:
        connection.executescript(SCRIPT)
    return tmp_path


@pytest.fixture
def made(shop: Path, canon: Canon) -> Iterator[Any]:
    """Builds a project of these files; connectors are closed in the end."""
    opened: list[Connector] = []

    def make(files: Mapping[str, str], **options: Any) -> Built:
        built = asyncio.run(build(read(shop, files), canon, **options))
        opened.extend(built.connectors.values())
        return built

    yield make
    for connector in opened:
        connector.close()


def errors(built: Built) -> list[str]:
    return [f"{d.file}:{d.line}: {d.message}" for d in built.diagnostics if d.severity == "error"]


def tables(built: Built) -> list[tuple[str, str]]:
    """Those of sources."""
    return [key for key in built.catalog.tables if key[0] != SYSTEM]


def shells(canon: Canon) -> set[str]:
    with psycopg.connect(canon.dsn()) as connection:
        asked = "SELECT schema || '.' || name FROM vdw.shell WHERE schema <> 'vdw'"
        return {name for (name,) in connection.execute(asked)}


def test_tables_and_views_become_the_catalog(made: Any, canon: Canon) -> None:
    built = made(
        {
            "views/crm/z.view.sql": "select id, name as who from shop.customers",
            "views/crm/a.view.sql": """
                /*---
                key: [id]
                description: Sums
                relations: {customer: {to: crm.z, join: {id: id}}}
                ---*/
                select z.id, -- its key
                       sum(o.total) as total from crm.z join shop.orders o on o.customer = z.id group by z.id""",
        }
    )
    assert errors(built) == []
    assert tables(built) == [("shop", "customers"), ("shop", "orders")]
    assert list(built.catalog.views) == [("crm", "z"), ("crm", "a")]
    view = built.catalog.views["crm", "a"]
    assert view.columns == (("id", PgType("int8")), ("total", PgType("numeric")))
    assert view.depends == (("crm", "z"), ("shop", "orders"))
    assert view.text.split()[:3] == ["SELECT", "z.id,", "sum(o.total)"]
    assert [link.to for link in view.links] == [("crm", "z")]
    assert shells(canon) == {"crm.a", "crm.z", "shop.customers", "shop.orders"}
    with psycopg.connect(canon.dsn()) as connection:
        told = connection.execute("SELECT obj_description('crm.a'::regclass), col_description('crm.a'::regclass, 1)")
        assert told.fetchone() == ("Sums", "its key")


@pytest.mark.parametrize(
    ("query", "message", "line"),
    [
        ("select nope from shop.customers", 'column "nope" does not exist', 1),
        ("select id,\n\n  nme from shop.customers", 'column "nme" does not exist', 3),
        ("select id, id from shop.customers", 'has the column "id" twice', 1),
        ("select * from pg_catalog.pg_class", "reads catalogs or the session", 1),
        ("select c from shop.customers c", "is a whole row", 1),
        ("select row(1, 2) as r from shop.customers", "pseudo-type record", 1),
        ("select id from shop.customers where id = $1", "has no parameters", 1),
        ("select id from shop.gone", '"shop.gone" does not exist', 1),
        ("select sum(name) from shop.customers", "function sum(text) does not exist", 1),
        ("select id from shop.customers for update", "a view only reads", 1),
    ],
)
def test_a_bad_view_stands_aside_with_its_place(made: Any, canon: Canon, query: str, message: str, line: int) -> None:
    built = made({"views/crm/bad.view.sql": query, **CUSTOMERS})
    assert list(built.catalog.views) == [("crm", "customer")]
    assert "crm.bad" not in shells(canon)
    (error,) = errors(built)
    assert error.startswith(f"views/crm/bad.view.sql:{line}: ")
    assert message in error


def test_views_over_a_bad_one_stand_aside_too(made: Any, canon: Canon) -> None:
    built = made(
        {
            "views/crm/a.view.sql": "select nope from shop.customers",
            "views/crm/b.view.sql": "select * from crm.a",
            "views/crm/c.view.sql": "select * from crm.b",
            **CUSTOMERS,
        }
    )
    assert list(built.catalog.views) == [("crm", "customer")]
    assert [error.split(": ", 1)[1] for error in errors(built)] == [
        'crm.a: column "nope" does not exist',
        "crm.b reads crm.a, which is not served",
        "crm.c reads crm.b, which is not served",
    ]


def test_a_header_that_the_columns_disprove(made: Any, canon: Canon) -> None:
    built = made(
        {
            "views/crm/bad.view.sql": "/*---\nkey: [nokey]\n---*/\nselect * from shop.customers",
            "views/crm/over.view.sql": "select id from crm.bad",
            **CUSTOMERS,
        }
    )
    assert list(built.catalog.views) == [("crm", "customer")]
    assert 'views/crm/bad.view.sql:2: crm.bad has no column "nokey"' in errors(built)
    assert shells(canon) == {"crm.customer", "shop.customers", "shop.orders"}


def test_a_link_to_what_is_not_served_is_left_out(made: Any) -> None:
    built = made(
        {
            "views/crm/bad.view.sql": "select id, nope from shop.customers",
            "views/crm/v.view.sql": "/*---\nrelations: {bads: {to: crm.bad, join: {id: id}}}\n---*/\n"
            "select id from shop.orders",
        }
    )
    assert built.catalog.views["crm", "v"].links == (), errors(built)
    assert len(errors(built)) == 1


def test_a_view_that_changes_and_one_that_goes(made: Any, canon: Canon, shop: Path) -> None:
    made({**CUSTOMERS, "views/crm/over.view.sql": "select name from crm.customer"})
    (shop / "views/crm/customer.view.sql").write_text("select id from shop.customers")
    second = asyncio.run(build(load(shop), canon))
    assert errors(second) == ['views/crm/over.view.sql:1: crm.over: column "name" does not exist']
    assert shells(canon) == {"crm.customer", "shop.customers", "shop.orders"}
    (shop / "views/crm/customer.view.sql").unlink()
    third = asyncio.run(build(load(shop), canon))
    assert third.catalog.views == {}
    assert shells(canon) == {"shop.customers", "shop.orders"}
    for built in (second, third):
        built.connectors["shop"].close()


def test_the_version_is_that_of_the_contents(made: Any) -> None:
    first, second = made(CUSTOMERS), made(CUSTOMERS)
    other = made({"views/crm/customer.view.sql": "select id from shop.customers"})
    assert first.catalog == second.catalog
    assert first.catalog.version == second.catalog.version != other.catalog.version


def test_what_read_the_clock_is_a_warning(made: Any) -> None:
    built = made({"views/crm/v.view.sql": "select id, 'today'::date as d from shop.customers"})
    assert errors(built) == []
    assert "moment of loading" in built.diagnostics[0].message


DOWN = {"sources/erp.yml": "kind: sqlite\nconnection: {path: erp.sqlite}\n"}


def test_a_connector_that_fails_takes_its_own_source_along(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(SqliteConnector):
        def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
            if self.name == "erp":
                raise KeyError("a value")
            return super().tables(schemas, tables)

    monkeypatch.setattr(registry, "connector_class", lambda _kind: Broken)
    built = made({"sources/erp.yml": "kind: sqlite\nconnection: {path: shop.sqlite}\n", **CUSTOMERS})
    assert list(built.catalog.views) == [("crm", "customer")]
    (fault,) = errors(built)
    assert "source erp cannot be read: the connector failed: KeyError" in fault
    assert "a value" not in fault


def test_a_source_that_is_down_takes_its_views_along_until_it_is_back(made: Any, canon: Canon, shop: Path) -> None:
    files = {
        **DOWN,
        **CUSTOMERS,
        "views/crm/b.view.sql": "select * from erp.bills",
        "views/crm/both.view.sql": "select b.id from crm.b b join crm.customer c on c.id = b.id",
    }
    built = made(files)
    assert list(built.catalog.views) == [("crm", "customer")]
    assert built.catalog.sources["erp"].profile is None
    assert built.catalog.sources["erp"].fault
    source, *views = errors(built)
    assert source.startswith("sources/erp.yml:1: source erp cannot be read: ")
    assert [view.split(": ", 1)[1] for view in views] == [
        "crm.b reads source erp, which cannot be read",
        "crm.both reads crm.b, which is not served",
    ]
    assert asyncio.run(rebuild(load(shop), canon, built)) is None
    with contextlib.closing(sqlite3.connect(shop / "erp.sqlite")) as connection:
        connection.executescript("CREATE TABLE bills (id integer PRIMARY KEY);")
    back = asyncio.run(rebuild(load(shop), canon, built))
    assert back is not None
    assert errors(back) == []
    assert set(back.catalog.views) == {("crm", "customer"), ("crm", "b"), ("crm", "both")}
    assert back.connectors["shop"] is built.connectors["shop"]
    (shop / "erp.sqlite").unlink()
    back.connectors["erp"].close()
    gone = asyncio.run(build(load(shop), canon, previous=back))
    assert gone.catalog.sources["erp"].fault
    assert set(gone.catalog.views) == set(back.catalog.views)
    assert len(errors(gone)) == 1


def test_a_start_while_a_source_is_down_knows_its_tables(made: Any, canon: Canon, shop: Path) -> None:
    files = {**DOWN, **CUSTOMERS, "views/crm/b.view.sql": "select id from erp.bills"}
    with contextlib.closing(sqlite3.connect(shop / "erp.sqlite")) as connection:
        connection.executescript("CREATE TABLE bills (id integer PRIMARY KEY, total numeric(10,2) NOT NULL);")
    remembered = Remembered(shop / "state")
    first = made(files, remembered=remembered)
    assert errors(first) == []
    (shop / "erp.sqlite").unlink()
    second = made(files, remembered=remembered)
    assert second.catalog.tables == first.catalog.tables
    assert set(second.catalog.views) == set(first.catalog.views)
    erp = second.catalog.sources["erp"]
    assert (erp.profile, bool(erp.fault), bool(erp.remembered)) == (first.catalog.sources["erp"].profile, True, True)
    assert not second.catalog.sources["shop"].remembered
    other = {**files, "sources/erp.yml": files["sources/erp.yml"] + "expose: {tables: [bills]}\n"}
    assert ("crm", "b") not in made(other, remembered=remembered).catalog.views, "of another question"
    (shop / "state" / "sources" / "erp.json").write_text("{")
    assert ("crm", "b") not in made(files, remembered=remembered).catalog.views
    with contextlib.closing(sqlite3.connect(shop / "erp.sqlite")) as connection:
        connection.executescript("CREATE TABLE bills (id text PRIMARY KEY, total text);")
    back = asyncio.run(rebuild(load(shop), canon, second, remembered=remembered))
    assert back is not None
    assert not back.catalog.sources["erp"].remembered
    assert back.catalog.views["crm", "b"].columns[0][1].name == "text"
    back.connectors["erp"].close()


def test_a_source_that_hangs_is_not_waited_for(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    real = registry.connect

    def connect(kind: str, name: str, options: Mapping[str, Any]) -> Connector:
        connector = real(kind, name, options)
        if name == "erp":
            monkeypatch.setattr(connector, "profile", lambda: release.wait(30))
        return connector

    monkeypatch.setattr(introspection.registry, "connect", connect)
    began = time.monotonic()
    built = made({**DOWN, **CUSTOMERS}, patience=0.3)
    release.set()
    assert time.monotonic() - began < 15
    assert list(built.catalog.views) == [("crm", "customer")]
    assert "did not answer within 0.3 s" in errors(built)[0]


def test_a_secret_that_is_missing_is_told_at_its_key(made: Any) -> None:
    source = (
        "kind: postgresql\nconnection:\n  host: 127.0.0.1\n  database: x\n  user: y\n  password: {env: NOT_THERE}\n"
    )
    built = made({"sources/erp.yml": source, **CUSTOMERS}, environment={})
    assert [error for error in errors(built) if error.startswith("sources/erp.yml:6: ") and "NOT_THERE" in error]
    assert list(built.catalog.views) == [("crm", "customer")]


def test_a_tables_name_that_is_too_long(made: Any, shop: Path) -> None:
    with contextlib.closing(sqlite3.connect(shop / "shop.sqlite")) as connection:
        connection.execute(f"CREATE TABLE {'t' * 64} (a integer)")
    built = made(CUSTOMERS)
    assert tables(built) == [("shop", "customers"), ("shop", "orders")]
    assert "longer than 63 bytes" in errors(built)[0]


def test_a_view_may_not_take_a_tables_name(made: Any) -> None:
    built = made({"views/shop/orders.view.sql": "select 1 as a", "views/shop/own.view.sql": "select 1 as a"})
    assert ("shop", "own") in built.catalog.views
    assert "is a table of source shop already" in errors(built)[0]
    assert built.catalog.relation("shop", "orders").columns[0][0] == "id"


BY = "LEFT JOIN shop.orders o ON o.customer = c.id"
SAYS = "/*---\non_source_down:\n  shop: [stale, nulls]\n---*/\n"
LIST = "(VALUES (1), (2)) AS c(id)"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (f"SELECT c.id, o.total FROM {LIST} {BY}", ""),
        (f"SELECT c.id, coalesce(o.total, 0) AS total FROM {LIST} {BY} WHERE c.id > 1 ORDER BY o.total", ""),
        (f"SELECT c.id, x.n FROM {LIST} LEFT JOIN (SELECT customer, count(*) AS n FROM shop.orders GROUP BY 1) AS x "
         "ON x.customer = c.id", ""),
        (f"SELECT c.id, o.total, p.name FROM {LIST} {BY} LEFT JOIN shop.customers p ON p.id = o.customer", ""),
        (f"SELECT id, total FROM (SELECT c.id, o.total FROM {LIST} {BY} UNION ALL SELECT 3, 1.0) AS u", ""),
        ("SELECT o.id FROM shop.orders o", "shop.orders is not on the null-supplying side of an outer join"),
        (f"SELECT c.id FROM {LIST} JOIN shop.orders o ON o.customer = c.id", "is not on the null-supplying"),
        (f"SELECT c.id, o.total FROM {LIST} FULL JOIN shop.orders o ON o.customer = c.id", "a full join keeps"),
        (f"SELECT c.id, o.total FROM {LIST} {BY} WHERE o.total > 1", "a condition compares its columns"),
        (f"SELECT c.id FROM {LIST} {BY} WHERE o.id IS NULL", "a condition compares its columns"),
        (f"SELECT c.id, d.id AS other FROM {LIST} {BY} JOIN (VALUES (1)) AS d(id) ON d.id = o.id", "inner join"),
        (f"SELECT c.id, count(*) AS n FROM {LIST} {BY} GROUP BY c.id", "GROUP BY or an aggregate stands above it"),
        (f"SELECT DISTINCT o.total FROM {LIST} {BY}", "DISTINCT stands above it"),
        (f"SELECT c.id, o.total FROM {LIST} {BY} LIMIT 3", "LIMIT stands above it"),
        (f"SELECT c.id, row_number() OVER (ORDER BY c.id) AS n FROM {LIST} {BY}", "a window function stands above it"),
        (f"SELECT c.id FROM {LIST} WHERE NOT EXISTS (SELECT FROM shop.orders o)", "a sub-query of an expression reads"),
        (f"SELECT c.id, o.total FROM {LIST} {BY} UNION SELECT 1, 2.0", "UNION, INTERSECT or EXCEPT stands above it"),
    ],
)  # fmt: skip
def test_nulls_are_for_views_that_lose_no_row_by_them(made: Any, query: str, why: str) -> None:
    built = made({"views/crm/v.view.sql": SAYS + query})
    if not why:
        assert not errors(built) and ("crm", "v") in built.catalog.views
        return
    (error,) = errors(built)
    assert error.startswith("views/crm/v.view.sql:3: crm.v cannot have NULLs for shop while it is down: ")
    assert why in error
    assert ("crm", "v") not in built.catalog.views


def test_nulls_are_judged_through_other_views(made: Any) -> None:
    inner = {"views/crm/o.view.sql": "SELECT o.customer, o.total FROM shop.orders o WHERE o.total > 1"}
    good = {"views/crm/v.view.sql": SAYS + f"SELECT c.id, o.total FROM {LIST} LEFT JOIN crm.o ON o.customer = c.id"}
    assert not errors(made({**inner, **good}))
    bad = {"views/crm/v.view.sql": SAYS + f"SELECT c.id, o.total FROM {LIST} JOIN crm.o ON o.customer = c.id"}
    assert "shop.orders is not on the null-supplying side" in errors(made({**inner, **bad}))[0]


def test_copies_are_like_their_originals(made: Any, shop: Path) -> None:
    with contextlib.closing(sqlite3.connect(shop / "copy.sqlite")) as connection:
        connection.executescript(
            "CREATE TABLE customers (more text, name varchar(9), id integer PRIMARY KEY);"
            "CREATE TABLE orders (id integer PRIMARY KEY, customer integer, total double precision);"
            "CREATE TABLE short (id integer PRIMARY KEY); CREATE TABLE own (a text)"
        )
    source = """kind: sqlite
connection: {path: copy.sqlite}
as_of: {kind: file}
copy_of: shop
copies:
  short: shop.customers
  own: shop.nothing
  nothing: shop.customers
"""
    built = made({"sources/copy.yml": source})
    assert built.catalog.copies == {("shop", "customers"): (("copy", "customers"),)}
    assert built.catalog.sources["copy"].copies == {"customers": ("shop", "customers")}
    assert {("copy", "short"), ("copy", "orders")} <= set(tables(built))
    assert errors(built) == [
        'sources/copy.yml:6: copy.short is no copy of shop.customers: it has no column "name"',
        "sources/copy.yml:7: there is no table shop.nothing",
        "sources/copy.yml:8: there is no table copy.nothing",
        'sources/copy.yml:4: copy.orders is no copy of shop.orders: its column "total" is double precision,'
        " not numeric(10,2)",
    ]
    assert all(d.remedy for d in built.diagnostics if d.severity == "error")
