"""Another company's schema: the example's views on Tryton, compared with one PostgreSQL holding tables and views."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from examples.crm import build as crm
from examples.tryton import build
from federation.session import Session
from tests import tryton_server
from tests.servers import Missing, Server
from tests.serving import Serving

pytestmark = [pytest.mark.service, pytest.mark.slow]
TABLES = 222  # that the two modules and what they depend on make
ORACLE = "oracle"
LACKING = {("stores", name) for name in ("receipts", "receipt_lines", "returns", "shelf_stock")} | {
    ("erp", "deliveries")
}
MAPPED = {(path.parent.name, path.name.split(".")[0]) for path in (build.HERE / "views").glob("*/*.sql")}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The ERP's PostgreSQL; as tests.conftest has its servers."""
    try:
        with tryton_server.filled() as found:
            yield found
    except Missing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], dict[str, str]]:
    folder = tmp_path_factory.mktemp("tryton")
    return folder, *build.compose(folder)


@pytest.fixture(scope="module")
def serving(server: Server, composed: tuple[Path, list[str], dict[str, str]]) -> Iterator[Serving]:
    with pytest.MonkeyPatch.context() as patch:
        for part, value in {**server.options, "database": tryton_server.DATABASE}.items():
            patch.setenv(f"VDW_TRYTON_{part.upper()}", str(value))
        found = Serving(composed[0])
    yield found
    found.close()


@pytest.fixture(scope="module")
def oracle(server: Server, serving: Serving) -> Iterator[psycopg.Connection[Any]]:
    """A copy of the ERP's database, its tables in a schema of the source's name, and the views as they are written."""
    tryton_server.restore(server, ORACLE)
    tryton_server.with_views(server, ORACLE, serving.runtime.project.views)
    with server.admin(ORACLE) as connection:
        connection.execute("SET timezone TO 'UTC'")
        yield connection


async def _rows(serving: Serving, sql: str) -> list[tuple[Any, ...]]:
    answer = await (await serving.runtime.engine.query(sql, Session(user="analyst", timeout=60))).table()
    return [tuple(row.values()) for row in answer.to_pylist()]


def same(serving: Serving, oracle: psycopg.Connection[Any], sql: str) -> int:
    """How many rows both give, the same ones, as PostgreSQL's own text of them."""
    rows = sorted(serving.wait(_rows(serving, sql)), key=repr)
    want = sorted(oracle.execute(sql.encode()).fetchall(), key=repr)
    assert rows == want, sql
    return len(rows)


def test_the_erp_is_as_its_makers_made_it(serving: Serving) -> None:
    assert [one for one in serving.diagnostics if ": error: " in one] == []
    tables = [name for schema, name in serving.runtime.engine.catalog.tables if schema == "tryton"]
    assert len(tables) == TABLES
    assert sum("-" in name for name in tables) > 20


def test_the_upper_views_are_the_examples_own(composed: tuple[Path, list[str], dict[str, str]]) -> None:
    """Byte for byte; and nothing of them is lost without a reason that the ERP gives."""
    folder, stand, left = composed
    assert all((folder / name).read_bytes() == (crm.HERE / name).read_bytes() for name in stand)
    assert {"views/customers/customer_360.view.sql", "views/sales/orders.view.sql"} <= set(stand)
    written = {path.relative_to(crm.HERE).as_posix() for name in build.UPPER for path in (crm.HERE / name).rglob("*.*")}
    assert written == {*stand, *left}
    assert all('there is no "' in reason or "which is not served" in reason for reason in left.values()), left
    assert len(stand) > 40


def test_every_view_answers_as_one_postgresql_would(serving: Serving, oracle: psycopg.Connection[Any]) -> None:
    """Whole, and looked up by a key; and none of the mapping's is empty, save what the ERP has not at all."""
    filled = 0
    for key, view in serving.runtime.engine.catalog.views.items():
        columns = ", ".join(f"{name}::text AS {name}" for name, _ in view.columns)
        whole = f"SELECT {columns} FROM {'.'.join(key)}"
        if not view.require_any_filter and not same(serving, oracle, whole):
            assert key in LACKING or key not in MAPPED, whole
            continue
        filled += 1
        first = view.key_columns[0]
        (found,) = oracle.execute(f"SELECT max({first}::text) FROM {'.'.join(key)}".encode()).fetchone() or ("",)
        assert same(serving, oracle, f"{whole} WHERE {first} = '{found}'"), whole
    assert filled > len(MAPPED)


def test_every_table_of_the_erp_is_read_as_it_is(serving: Serving, oracle: psycopg.Connection[Any]) -> None:
    """Every column of every table, whatever its name and type: numeric without a scale, interval, jsonb, bytea."""
    rows = 0
    found = serving.runtime.engine.catalog.tables.items()
    for name, table in [(name, table) for (schema, name), table in found if schema == "tryton"]:
        columns = ", ".join(f'"{column}"::text AS "{column}"' for column, _ in table.columns)
        rows += same(serving, oracle, f'SELECT {columns} FROM tryton."{name}"')
    assert rows > 10_000


NUMERIC = "SELECT list_price::text FROM tryton.product_list_price WHERE list_price IS NOT NULL"


def test_numbers_without_a_scale_keep_the_one_that_they_were_written_with(
    serving: Serving, oracle: psycopg.Connection[Any]
) -> None:
    """15 and 18.9900 stand in one column, and stay what they are; so does what is computed of them."""
    rows = sorted(
        str(value) for (value,) in serving.wait(_rows(serving, NUMERIC.replace("price FROM", "price::text FROM")))
    )
    assert rows == sorted(str(value) for (value,) in oracle.execute(NUMERIC.encode()).fetchall())
    assert {"15", "9.99"} <= set(rows)
    assert same(
        serving,
        oracle,
        "SELECT (list_price * 3)::text AS n, (list_price / 7)::text AS q FROM tryton.product_list_price",
    )
    assert same(serving, oracle, "SELECT company, sum(list_price)::text AS s, avg(list_price)::text AS a "
                                 "FROM tryton.product_list_price GROUP BY company")  # fmt: skip


def test_intervals_are_read_and_computed_with(serving: Serving, oracle: psycopg.Connection[Any]) -> None:
    for sql in (
        "SELECT id, quotation_validity::text AS v FROM tryton.sale_sale WHERE quotation_validity > interval '2 days'",
        "SELECT id, (sale_date + quotation_validity)::text AS until FROM tryton.sale_sale",
        "SELECT quotation_validity::text AS v, count(*) FROM tryton.sale_sale GROUP BY quotation_validity",
        "SELECT justify_interval(sum(quotation_validity))::text AS s FROM tryton.sale_sale",
    ):
        assert same(serving, oracle, sql)


def test_names_that_need_quotes(serving: Serving, oracle: psycopg.Connection[Any]) -> None:
    """Hyphens and reserved words, on both sides of joins and in what is grouped."""
    for sql in (
        'SELECT m.menu, g.name FROM tryton."ir_ui_menu-res_group" m JOIN tryton.res_group g ON g.id = m."group"',
        'SELECT "group", count(*) FROM tryton."ir_ui_menu-res_group" GROUP BY "group" ORDER BY "group"',
        'SELECT "user", "group" FROM tryton."res_user-res_group" LIMIT 0',
        'SELECT c.name, count(*) FROM tryton."party_party-party_category" m '
        "JOIN tryton.party_category c ON c.id = m.category GROUP BY c.name",
        'SELECT p.name FROM tryton.party_party p WHERE EXISTS (SELECT FROM tryton."party_party-party_category" m '
        'WHERE m.party = p.id) AND NOT EXISTS (SELECT FROM tryton."account_invoice-account_move_line" i '
        "JOIN tryton.account_invoice v ON v.id = i.invoice WHERE v.party = p.id)",
        'SELECT "position", "type", "sequence" FROM tryton.ir_action_keyword JOIN tryton.product_product p ON true '
        "JOIN tryton.party_contact_mechanism m ON true LIMIT 0",
    ):
        found = same(serving, oracle, sql)
        assert found or "LIMIT 0" in sql


def test_names_in_the_users_language(serving: Serving, oracle: psycopg.Connection[Any]) -> None:
    """Tryton keeps translations of a field beside it; a product's price is of a company, a variant's before its own."""
    sql = """
        SELECT t.id, t.name, coalesce(n.value, t.name) AS german FROM tryton.product_template t
        LEFT JOIN tryton.ir_translation n
            ON n.name = 'product.template,name' AND n.res_id = t.id AND n.lang = 'de' AND n.type = 'model'
    """
    assert same(serving, oracle, sql)
    assert same(serving, oracle, f"SELECT * FROM ({sql}) x WHERE german <> name")
    prices = "SELECT product_id, list_price::text AS p, unit_cost::text AS c FROM erp.products WHERE list_price = 29.90"
    assert same(serving, oracle, prices)
    assert same(serving, oracle, "SELECT count(*) FROM erp.products WHERE list_price = 1") == 1
