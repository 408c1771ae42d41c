"""What does not fit at a service: in rows that the filter drops and columns not asked for, it hurts nobody."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connectors.base import Bound, Connector
from connectors.conformance.asking import ask
from connectors.errors import SourceError
from connectors.registry import connect
from connectors.types import PgType
from tests.rest_server import RestServer

INT8, TEXT, DATE = PgType("int8"), PgType("text"), PgType("date")
ROWS = (
    ("1", "open", "=10", "2024-01-02"),
    ("2", "paid", '="abc"', "2024-01-03"),
    ("3", "open", "=30", "never"),
    ('"four"', "lost", "=40", "2024-01-05"),
    ("5", "void", "=null", "2024-01-06"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestServer]:
    path: Path = tmp_path_factory.mktemp("unfit") / "data.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id BLOB, status TEXT, amount BLOB, placed TEXT)")
        connection.executemany("INSERT INTO orders VALUES ('=' || ?, ?, ?, ?)", ROWS)
        connection.commit()
    with RestServer(path) as started:
        yield started


@pytest.fixture
def connector(server: RestServer) -> Iterator[Connector]:
    columns = {"id": "int8", "status": "text", "amount": {"type": "int8", "nullable": False}, "placed": "date"}
    described = {name: {"type": one} if isinstance(one, str) else one for name, one in columns.items()}
    table = {
        "path": "/offset/orders",
        "rows": "/items",
        "key": ["id"],
        "columns": described,
        "paging": {"kind": "offset", "size": 2, "parameter": "offset", "size_parameter": "limit"},
    }
    connected = connect("rest", "web", {"url": server.url, "tables": {"orders": table}})
    yield connected
    connected.close()


def test_rows_that_the_filter_drops_hurt_nobody(connector: Connector) -> None:
    opened = (" FROM orders AS t WHERE t.status = ", Bound(TEXT, "open"))
    assert ask(connector, "SELECT t.amount AS c0", *opened).column(0).to_pylist() == [10, 30]
    either = (" FROM orders AS t WHERE t.status IN (", Bound(TEXT, "open"), ", ", Bound(TEXT, "lost"), ")")
    assert ask(connector, "SELECT t.amount AS c0", *either).column(0).to_pylist() == [10, 30, 40]
    odd = (" FROM orders AS t WHERE t.status <> ':p0' AND t.status > ", Bound(TEXT, "paie"), " LIMIT 9")
    with pytest.raises(SourceError, match="c0") as caught:
        ask(connector, "SELECT t.amount AS c0", *odd)
    assert caught.value.sqlstate == "HV004"


@pytest.mark.parametrize(
    ("column", "status", "said"),
    [("amount", "paid", "c0 holds"), ("amount", "void", "c0 "), ("placed", "open", "c0 holds")],
)
def test_rows_that_it_lets_through_do(connector: Connector, column: str, status: str, said: str) -> None:
    kind = DATE if column == "placed" else INT8
    with pytest.raises(SourceError, match=said) as caught:
        ask(
            connector,
            f"SELECT t.{column} AS c0 FROM orders AS t WHERE t.status = ",
            Bound(TEXT, status),
            columns=(kind,),
        )
    assert caught.value.sqlstate == "HV004"


def test_columns_that_the_filter_reads_have_to_fit(connector: Connector) -> None:
    with pytest.raises(SourceError, match="amount"):
        ask(
            connector,
            "SELECT t.status AS c0 FROM orders AS t WHERE t.status = 'open' AND t.amount > ",
            Bound(INT8, 5),
            columns=(TEXT,),
        )


def test_columns_that_nobody_asks_for_never_hurt(connector: Connector) -> None:
    """Not even the key, which pages are checked by."""
    got = ask(connector, "SELECT t.status AS c0 FROM orders AS t", columns=(TEXT,)).column(0).to_pylist()
    assert got == [row[1] for row in ROWS]
    with pytest.raises(SourceError, match="c0 holds"):
        ask(connector, "SELECT t.id AS c0 FROM orders AS t")
