"""OData services as sources: SAP's CAP answers; what $metadata says, and what may be sent as $filter."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.project import open_project
from connectors.base import Cancel, Connector
from connectors.conformance.texts import column_texts
from connectors.errors import SourceError
from connectors.odata.connector import bound, written
from connectors.odata.metadata import Property, parsed
from connectors.registry import connect
from connectors.types import PgType, numeric
from federation.session import Session
from tests.connectors.test_rest import ask, statement
from tests.odata_server import PAGE, OdataServer, running
from tests.servers import Missing

ORDERS = 330
_ID = "123e4567-e89b-12d3-a456-426655440000"


def _customers() -> list[tuple[Any, ...]]:
    first = (1, "it's ü🎉 & more", "north", "1969-12-31", "2024-03-31T02:30:00.123Z", "2024-03-31T02:30:00Z", "true")
    rows = [(*first, "12345678.90", "0.1", 2**63 - 1, _ID, "23:59:59", None, "0.000000001")]
    for i in range(2, 121):
        seen = f"2024-03-31T02:30:00.{i:03}Z"
        rows.append((i, f"n{i % 10}", ("north", "south")[i % 2] if i % 7 else None, f"2024-01-{1 + i % 28:02}", seen,
                     "2024-03-31T02:30:00Z", "true" if i % 3 else "false", f"{i}.50", i / 8, 2**53 + i, _ID, "10:00:00",
                     None, None))  # fmt: skip
    return rows


def _orders() -> list[tuple[Any, ...]]:
    return [(i, 1 + i % 120, f"{i}.25", f"2024-02-{1 + i % 28:02}", "open" if i % 2 else "paid") for i in range(ORDERS)]


@pytest.fixture(scope="module")
def server() -> Iterator[OdataServer]:
    try:
        with running(_customers(), _orders()) as started:
            yield started
    except Missing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture
def connector(server: OdataServer) -> Iterator[Connector]:
    connected = connect("odata", "web", {"url": server.url})
    yield connected
    connected.close()


@pytest.mark.service
def test_tables_are_those_of_the_metadata(connector: Connector) -> None:
    customers, orders = sorted(connector.tables(), key=lambda table: table.name)
    kinds = {column.name: column.type for column in customers.columns}
    assert kinds == {
        "id": PgType("int4"), "name": PgType("text"), "region": PgType("text"), "since": PgType("date"),
        "seen": PgType("timestamptz"), "at": PgType("timestamptz"), "active": PgType("bool"),
        "balance": numeric(12, 2), "score": PgType("float8"), "big": PgType("int8"), "code": PgType("uuid"),
        "opens": PgType("time"), "raw": PgType("bytea"), "free": PgType("numeric"),
    }  # fmt: skip
    assert customers.keys == (("id",),)
    assert [(link.columns, link.table, link.references) for link in orders.foreign_keys] == [
        (("customer_id",), "Customers", ("id",))
    ]


@pytest.mark.service
def test_pages_follow_their_links_and_stop_at_a_limit(connector: Connector) -> None:
    text = 'SELECT t1."id" AS c0 FROM "Orders" AS t1'
    found = ask(connector, text, columns=(PgType("int4"),))
    assert sorted(found) == [(i,) for i in range(ORDERS)]
    assert ORDERS > 2 * PAGE
    limited = connector.execute(statement(text, columns=(PgType("int4"),)), timeout=10, cancel=Cancel())
    assert next(limited).num_rows == PAGE
    limited.close()  # type: ignore[attr-defined]


QUERIES = (
    'SELECT * FROM od."Customers" WHERE id = 1',
    """SELECT id FROM od."Customers" WHERE name = 'it''s ü🎉 & more'""",
    'SELECT id, balance FROM od."Customers" WHERE balance > 100.10 AND balance <= 110.5',
    """SELECT id FROM od."Customers" WHERE seen > '2024-03-31 02:30:00.1Z' AND seen <= '2024-03-31 02:30:00.11Z'""",
    """SELECT id FROM od."Customers" WHERE since BETWEEN '2024-01-05' AND '2024-01-06' AND active""",
    'SELECT id FROM od."Customers" WHERE big IN (9007199254740994, 9007199254740995)',
    'SELECT region, count(*), sum(balance) FROM od."Customers" GROUP BY region',
    'SELECT c.region, sum(o.amount) FROM od."Orders" o JOIN od."Customers" c ON c.id = o.customer_id '
    "WHERE c.name = 'n7' GROUP BY 1",
    'SELECT id FROM od."Customers" WHERE region IS NULL AND NOT active ORDER BY id DESC LIMIT 3',
    'SELECT count(*) FROM od."Customers" WHERE id = ANY (SELECT customer_id FROM od."Orders" WHERE amount < 60)',
)


@pytest.mark.service
def test_answers_are_those_of_the_rows_that_it_has(server: OdataServer, tmp_path: Path) -> None:
    """Against the canon over rows that were fetched whole."""
    said = json.dumps({"kind": "odata", "connection": {"url": server.url}})
    (tmp_path / "sources").mkdir()
    (tmp_path / "vdw.yml").write_text("name: t\n")
    (tmp_path / "sources" / "od.yml").write_text(said)

    async def run() -> None:
        async with open_project(tmp_path) as runtime:
            assert not [d for d in runtime.diagnostics if d.severity == "error"]
            for sql in QUERIES:
                whole = sql.replace('od."', '"w_')
                both = f'WITH "w_Customers" AS MATERIALIZED (SELECT * FROM od."Customers" OFFSET 0), ' \
                    f'"w_Orders" AS MATERIALIZED (SELECT * FROM od."Orders" OFFSET 0) {whole}'  # fmt: skip
                found, wanted = [await _texts(runtime, one) for one in (sql, both)]
                assert found == wanted, sql
                assert found, sql

    asyncio.run(run())


async def _texts(runtime: Any, sql: str) -> list[tuple[str | None, ...]]:
    result = await runtime.engine.query(sql, Session("tests"))
    table = await result.table()
    texts = [column_texts(table.column(i), kind) for i, (_, kind) in enumerate(result.columns)]
    return sorted(zip(*texts, strict=True), key=repr)


@pytest.mark.service
def test_a_wrong_address_is_told(server: OdataServer) -> None:
    for url, said in ((server.url + "x", "no \\$metadata"), (f"{server.url}/Orders", "status|no XML|metadata")):
        connector = connect("odata", "web", {"url": url})
        with pytest.raises(SourceError, match=said):
            connector.tables()
        connector.close()
    connector = connect("odata", "web", {"url": server.url, "sets": ["Nobody"]})
    with pytest.raises(SourceError, match="no entity set Nobody"):
        connector.tables()
    connector.close()


def test_metadata_of_other_makers() -> None:
    document = b"""<?xml version="1.0"?><edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
    <edmx:DataServices><Schema Namespace="A.B" Alias="Self" xmlns="http://docs.oasis-open.org/odata/ns/edm">
    <EnumType Name="Color"><Member Name="Red"/></EnumType><TypeDefinition Name="Money" UnderlyingType="Edm.Int64"/>
    <ComplexType Name="Address"/>
    <EntityType Name="Base" Abstract="true"><Key><PropertyRef Name="Id"/></Key>
      <Property Name="Id" Type="Edm.Guid"/></EntityType>
    <EntityType Name="Thing" BaseType="Self.Base"><Property Name="Color" Type="A.B.Color" Nullable="false"/>
      <Property Name="Price" Type="Self.Money"/><Property Name="Home" Type="Self.Address"/>
      <Property Name="Tags" Type="Collection(Edm.String)"/><Property Name="Took" Type="Edm.Duration"/>
      <Property Name="Any" Type="Edm.Decimal"/><Property Name="Wide" Type="Edm.Decimal" Scale="variable"/></EntityType>
    <EntityContainer Name="C"><EntitySet Name="Things" EntityType="Self.Thing"/></EntityContainer>
    </Schema></edmx:DataServices></edmx:Edmx>"""
    (thing,) = parsed(document)
    assert thing.key == ("Id",)
    assert [(p.name, p.type.sql, p.nullable) for p in thing.properties] == [
        ("Id", "uuid", False), ("Color", "text", False), ("Price", "bigint", True), ("Home", "json", True),
        ("Tags", "json", True), ("Took", "interval", True), ("Any", "numeric", True), ("Wide", "numeric", True),
    ]  # fmt: skip
    with pytest.raises(SourceError, match="not that of OData 4"):
        parsed(document.replace(b'Version="4.0"', b'Version="1.0"'))
    with pytest.raises(SourceError, match="no XML"):
        parsed(b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')


@pytest.mark.parametrize(
    ("edm", "op", "value", "sent"),
    [
        ("Edm.Int64", ">", 5, "x gt 5"),
        ("Edm.Int64", ">", 2**60, None),
        ("Edm.Decimal", ">", "1.5", "x ge 1"),
        ("Edm.Decimal", "<", "-1.5", "x le -1"),
        ("Edm.Decimal", ">", "NaN", None),
        ("Edm.Date", "<=", dt.date(2024, 1, 2), "x le 2024-01-02"),
        ("Edm.DateTimeOffset", ">", dt.datetime(2024, 1, 2, 3, 4, 5, 6, dt.UTC), "x ge 2024-01-02T03:04:05Z"),
        ("Edm.DateTimeOffset", "<", dt.datetime(2024, 1, 2, 3, 4, 5, 6, dt.UTC), "x le 2024-01-02T03:04:06Z"),
        ("Edm.String", "<", "a", None),
        ("Edm.Double", "<", 0.1, None),
    ],
)
def test_what_is_sent_lets_more_in_never_less(edm: str, op: str, value: Any, sent: str | None) -> None:
    assert bound(Property("x", PgType("text"), edm), op, value) == sent


def test_literals() -> None:
    assert written("it's", Property("x", PgType("text"), "Edm.String")) == "'it''s'"
    assert written(True, Property("x", PgType("bool"), "Edm.Boolean")) == "true"
