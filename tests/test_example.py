"""The example: the same data at each build, and the answers that one PostgreSQL holding all of it gives."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from api.project import open_project
from connectors.registry import connect
from examples.crm import build, cdnow, data, servers
from examples.crm.cdnow import Purchase
from examples.crm.data import sales, visits, world
from federation.canon.server import Canon
from federation.session import Session
from tests.servers import Server
from views.load import load
from views.project import Diagnostic

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
RULES = [f"{path.parent.name}.{path.stem}" for path in build.HERE.glob("rules/*/*.yml")]  # each with its _why
VIEWS = sorted(
    [path.parent.name + "." + path.name.split(".")[0] for path in build.HERE.glob("views/*/*.view.sql")]
    + [name + end for name in RULES for end in ("", "_why")]
)


def invented(customers: int = 300) -> list[Purchase]:
    """Purchases of the file's kind, where the file itself cannot be had or is more than a test needs."""
    random = Random(7)
    days = [dt.date(1997, 1, 1) + dt.timedelta(days=i) for i in range(546)]
    made = [
        Purchase(customer, random.choice(days), random.randint(1, 9), Decimal(random.randrange(20_000)).scaleb(-2))
        for customer in range(1, customers + 1)
        for _ in range(random.choice((1, 1, 2, 3, 8)))
    ]
    boundary = world.LAST_DAY - dt.timedelta(days=world.LIVE_DAYS)  # both sides of the cut, and nothing to pay
    return [
        *made,
        Purchase(1, boundary, 1, Decimal("0.00")),
        Purchase(1, boundary - dt.timedelta(days=1), 1, Decimal("5.10")),
    ]


@pytest.fixture(scope="module")
def made() -> dict[str, list[data.Table]]:
    return data.build(invented(), NOW)


@pytest.fixture(scope="module")
def project(made: dict[str, list[data.Table]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crm")
    build.write(folder, made)
    return folder


def test_the_same_seed_makes_the_same_rows(made: dict[str, list[data.Table]]) -> None:
    assert data.build(invented(), NOW) == made
    assert data.build(invented(), NOW, seed=2) != made
    assert data.build(invented(), NOW - dt.timedelta(days=1)) != made


def test_two_builds_hold_the_same_bytes(made: dict[str, list[data.Table]], project: Path, tmp_path: Path) -> None:
    build.write(tmp_path, made)
    files = sorted(path.relative_to(project) for path in (project / "data").rglob("*.*"))
    assert {"data/crm.db", "data/shop.db", "data/warehouse/orders.parquet"} <= {str(file) for file in files}
    assert [(project / file).read_bytes() for file in files] == [(tmp_path / file).read_bytes() for file in files]


def found(made: dict[str, list[data.Table]], source: str, name: str) -> data.Table:
    return next(table for table in made[source] if table.name == name)


def test_every_purchase_is_an_order_on_its_side_of_the_boundary(made: dict[str, list[data.Table]]) -> None:
    hot, cold = (found(made, source, "orders").rows for source in ("shop", "dwh"))
    moved = NOW.date() - world.LAST_DAY
    assert sorted((row[1], row[2], row[4], row[5]) for row in [*hot, *cold]) == sorted(
        (purchase.customer, purchase.day + moved, purchase.items, purchase.amount) for purchase in invented()
    )
    boundary = NOW.date() - dt.timedelta(days=world.LIVE_DAYS)
    loads = dict.fromkeys(sales.LOADED, boundary) | {"clicks": NOW.date() - dt.timedelta(days=visits.LIVE_DAYS)}
    assert loads.items() <= dict(found(made, "dwh", "loads").rows).items()
    assert min(row[2] for row in hot) == boundary
    assert max(row[2] for row in cold) < boundary
    assert max(row[3] for row in hot) <= NOW
    assert [row[2] for row in cold] == sorted(row[2] for row in cold)


def test_lines_add_up_to_their_orders(made: dict[str, list[data.Table]]) -> None:
    summed: dict[int, tuple[int, Decimal]] = {}
    for source in ("shop", "dwh"):
        for _, order, _, _, _, quantity, amount in found(made, source, "order_lines").rows:
            items, paid = summed.get(order, (0, Decimal(0)))
            assert quantity > 0
            summed[order] = items + quantity, paid + amount
    orders = [row for source in ("shop", "dwh") for row in found(made, source, "orders").rows]
    assert summed == {row[0]: (row[4], row[5]) for row in orders}


def test_the_data_is_as_awkward_as_real_data(made: dict[str, list[data.Table]]) -> None:
    rows = {table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows] for table in made["crm"]}
    assert any(row["region"] is None for row in rows["customers"])
    assert any(not row["full_name"].isascii() for row in rows["customers"])
    assert any(row["value"] != row["value"].lower() for row in rows["contacts"])
    assert {row["customer_id"] for row in rows["contacts"]} < {row["customer_id"] for row in rows["customers"]}
    placed = {row[3] for source in ("shop", "dwh") for row in found(made, source, "orders").rows}
    assert placed & set(world._transitions(NOW))
    assert any(row[8] is None for row in made["tickets"][0].rows)


def test_sources_read_it_exactly(made: dict[str, list[data.Table]], project: Path) -> None:
    """Types are declared so that each source reads back what was written, and claims what it can."""
    for source in made:
        kind = "files" if source == build.WAREHOUSE else "sqlite"
        options = {"folder": "data/warehouse"} if source == build.WAREHOUSE else {"path": f"data/{source}.db"}
        connector = connect(kind, source, {**options, "base_folder": str(project)})
        read = {table.name: table for table in connector.tables()}
        assert set(read) == {table.name for table in made[source]}
        for table in made[source]:
            inexact = {column.name for column in read[table.name].columns if not column.exact}
            assert inexact <= {name for name, kind in table.columns.items() if kind.startswith("numeric")}
            assert read[table.name].row_count == len(table.rows)
        connector.close()


def faults(diagnostics: Iterable[Diagnostic]) -> list[str]:
    """What is wrong; keys that a later version will honour are not."""
    return [str(one) for one in diagnostics if "takes effect in a later version" not in one.message]


def test_the_project_has_no_fault(project: Path) -> None:
    loaded = load(project)
    assert faults(loaded.diagnostics) == []
    assert len(loaded.views) == len(VIEWS) >= 12
    known = {f"{view.schema}.{view.name}" for view in loaded.views}
    for view in loaded.views:
        assert view.header.description
        assert view.header.key
        assert {relation.to for relation in view.header.relations.values()} <= known


@pytest.fixture(scope="module")
def oracle(canon: Canon, made: dict[str, list[data.Table]], project: Path) -> Iterator[psycopg.Connection[Any]]:
    """One PostgreSQL that holds all tables, and the views as they are written."""
    with psycopg.connect(canon.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE example")
        with psycopg.connect(canon.dsn(dbname="example"), autocommit=True) as connection:
            for source, found in made.items():
                connection.execute(f"CREATE SCHEMA {source}")  # type: ignore[arg-type]
                for table in found:
                    servers.load_postgresql(connection, source, table)
            for view in load(project).views:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {view.schema}")  # type: ignore[arg-type]
                connection.execute(f"CREATE VIEW {view.schema}.{view.name} AS {view.query}")  # type: ignore[arg-type]
            yield connection
        admin.execute("DROP DATABASE example")


def compare(folder: Path, oracle: psycopg.Connection[Any]) -> None:
    """Every view, whole, and looked up by each column of its key; rows as PostgreSQL's own text of them."""

    async def run() -> None:
        async with open_project(folder) as runtime:
            assert faults(runtime.diagnostics) == []
            assert sorted(".".join(key) for key in runtime.engine.catalog.views) == VIEWS
            session = Session(user="analyst", timeout=60)
            for key, view in runtime.engine.catalog.views.items():
                columns = ", ".join(f"{name}::text AS {name}" for name, _ in view.columns)
                whole = f"SELECT {columns} FROM {'.'.join(key)}"
                guarded = bool(view.require_any_filter)  # by a day, of which the latest has most to tell
                end = f"{'max' if guarded else 'min'}({view.key_columns[0]}::text)"
                value = oracle.execute(f"SELECT {end} FROM {'.'.join(key)}").fetchone()  # type: ignore[arg-type]
                by_key = f"{whole} WHERE {view.key_columns[0]} = '{value[0] if value else ''}'"
                for text in (by_key,) if guarded else (whole, by_key):
                    answer = await (await runtime.engine.query(text, session)).table()
                    rows = sorted((tuple(row.values()) for row in answer.to_pylist()), key=repr)
                    want = sorted(oracle.execute(text).fetchall(), key=repr)  # type: ignore[arg-type]
                    assert want, text
                    assert rows == want, text

    asyncio.run(run())


@pytest.mark.slow
def test_every_view_answers_as_one_postgresql_would(project: Path, oracle: psycopg.Connection[Any]) -> None:
    compare(project, oracle)


@pytest.mark.slow
def test_keys_are_keys(project: Path, oracle: psycopg.Connection[Any]) -> None:
    for view in load(project).views:
        key = ", ".join(view.header.key or ())
        view_name = f"{view.schema}.{view.name}"
        twice = f"SELECT {key} FROM {view_name} GROUP BY {key} HAVING count(*) > 1 OR num_nulls({key}) > 0"
        assert oracle.execute(twice).fetchall() == [], view_name  # type: ignore[arg-type]


@pytest.mark.service
def test_on_servers_the_answers_are_the_same(
    made: dict[str, list[data.Table]],
    oracle: psycopg.Connection[Any],
    postgresql: Server,
    mariadb: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for prefix, server in ((servers.POSTGRESQL, postgresql), (servers.MARIADB, mariadb)):
        with contextlib.suppress(Exception):  # there is none in a fresh session
            server.run("DROP DATABASE example")
        owner = " OWNER vdw" if server is postgresql else ""
        server.run(f"CREATE DATABASE example{owner}")
        for part, value in {**server.options, "database": "example"}.items():
            monkeypatch.setenv(f"{prefix}_{part.upper()}", str(value))
    mariadb.run("GRANT ALL ON example.* TO vdw@'%'")
    build.write(tmp_path, made, on_servers=True)
    compare(tmp_path, oracle)


def test_servers_need_their_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in servers.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert build.main(["--servers", "--into", str(tmp_path)]) == 1
    assert "VDW_EXAMPLE_MARIADB_HOST" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_the_purchases_is_refused(tmp_path: Path) -> None:
    (tmp_path / "CDNOW_master.txt").write_text(
        " customer_id  date number_of_cds  dollar_value\n 00001 19970101  1   11.77\n"
    )
    with pytest.raises(cdnow.Unavailable, match="1 purchases by 1 customers, not 69659 by 23570"):
        cdnow.purchases(tmp_path)


@pytest.mark.slow
def test_offline_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(cdnow.Unavailable, match=r"put lifetimes/datasets/CDNOW_master\.txt of that wheel at"):
        cdnow.purchases(tmp_path)


@pytest.mark.slow
def test_the_real_purchases(tmp_path: Path) -> None:
    try:
        purchases = cdnow.purchases(cdnow.default_cache())
    except cdnow.Unavailable as reason:
        pytest.skip(str(reason))
    made = data.build(purchases)
    hot = found(made, "shop", "orders")
    cold, cohorts = (found(made, "dwh", name) for name in ("orders", "cohorts"))
    assert (len(hot.rows), len(cold.rows), len(cohorts.rows)) == (5_906, 63_753, 23_570)
    assert sum(row[5] for row in [*hot.rows, *cold.rows]) == Decimal("2500315.63")
    assert len(made["crm"][1].rows) == cdnow.CUSTOMERS
    build.write(tmp_path, made)
    assert (tmp_path / "data" / "warehouse" / "orders.parquet").stat().st_size > 500_000
