"""REST services as sources: pages of every kind, inputs, faults, and no request more than is needed."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from connectors.base import Bound, Cancel, Connector, SourceQuery
from connectors.errors import ConfigError, Error, LimitExceeded, SourceError
from connectors.leases import Leases
from connectors.registry import connect
from connectors.types import PgType, numeric
from tests.faults.proxy import Proxy
from tests.rest_server import TOKEN, Manners, RestServer

INT8, INT4, MONEY = PgType("int8"), PgType("int4"), numeric(10, 2)
ROWS = 2500
OPEN: list[Connector] = []  # closed after each test
COLUMNS = {
    "id": {"type": "int8", "nullable": False},
    "customer_id": {"type": "int4"},
    "amount": {"type": "numeric(10,2)"},
    "placed": {"type": "date"},
}
OWN = {name: one for name, one in COLUMNS.items() if name != "customer_id"}
PAGED: dict[str, dict[str, Any]] = {
    "plain": {"path": "/plain/orders"},
    "offset": {
        "path": "/offset/orders",
        "rows": "/items",
        "paging": {"kind": "offset", "size": 300, "parameter": "offset", "size_parameter": "limit"},
    },
    "page": {
        "path": "/page/orders",
        "paging": {"kind": "page", "size": 300, "parameter": "page", "size_parameter": "limit"},
    },
    "cursor": {
        "path": "/cursor/orders",
        "rows": "/data/items",
        "paging": {"kind": "cursor", "parameter": "after", "at": "/meta/after", "size": 300, "size_parameter": "limit"},
    },
    "link": {"path": "/link/orders", "paging": {"kind": "link"}},
    "next": {"path": "/next/orders", "rows": "/value", "paging": {"kind": "next", "at": "/next"}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestServer]:
    path = tmp_path_factory.mktemp("rest") / "data.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, customer_id INT, amount TEXT, placed TEXT)")
        rows = ((i, i % 7, f"={i}.10", f"2024-01-{1 + i % 28:02}") for i in range(ROWS))
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
        connection.execute("CREATE TABLE names (id INTEGER, name TEXT)")
        connection.executemany(
            "INSERT INTO names VALUES (?, ?)", [(1, "Ann"), (2, "a b/c?d&e"), (3, "Ünal"), (4, "x,y")]
        )
        connection.commit()
    with RestServer(path) as running:
        yield running


@pytest.fixture(autouse=True)
def _manners(server: RestServer) -> Iterator[None]:
    server.manners = Manners()
    server.forget()
    yield
    server.manners = Manners()
    while OPEN:
        OPEN.pop().close()


def service(server: RestServer, tables: dict[str, dict[str, Any]] | None = None, **options: Any) -> Connector:
    made = {name: {"columns": COLUMNS, **one} for name, one in (PAGED if tables is None else tables).items()}
    connector = connect("rest", "web", {"url": server.url, "tables": made, "retries": {"first": 0.01}, **options})
    OPEN.append(connector)
    return connector


def ask(
    connector: Connector, *parts: str | Bound, columns: tuple[PgType, ...] = (INT8,), timeout: float = 20.0
) -> list[tuple[Any, ...]]:
    return rows_of(connector.execute(statement(*parts, columns=columns), timeout=timeout, cancel=Cancel()))


def statement(*parts: str | Bound, columns: tuple[PgType, ...] = (INT8,)) -> SourceQuery:
    params = tuple(part for part in parts if isinstance(part, Bound))
    numbers = iter(range(len(params)))
    return SourceQuery(tuple(p if isinstance(p, str) else next(numbers) for p in parts), params, columns)


def rows_of(batches: Iterator[pa.RecordBatch]) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def test_every_kind_of_page(server: RestServer) -> None:
    connector = service(server)
    for name in PAGED:
        found = ask(connector, f'SELECT t1."id" AS c0, t1."amount" AS c1 FROM "{name}" AS t1', columns=(INT8, MONEY))
        assert [row[0] for row in found] == list(range(ROWS)), name
        assert [str(row[1]) for row in found] == [f"{i}.10" for i in range(ROWS)], name


@pytest.mark.parametrize("name", ["offset", "page", "cursor"])
def test_a_limit_stops_the_paging(server: RestServer, name: str) -> None:
    connector = service(server)
    found = ask(
        connector, f'SELECT t1."id" AS c0 FROM "{name}" AS t1 LIMIT ', Bound(INT8, 20), " OFFSET ", Bound(INT8, 5)
    )
    assert found == [(i,) for i in range(5, 25)]
    assert len(server.requests) == 1
    assert "limit=25" in server.requests[0]
    filtered = f'SELECT t1."id" AS c0 FROM "{name}" AS t1 WHERE t1."id" >= '
    assert ask(connector, filtered, Bound(INT8, 310), " LIMIT ", Bound(INT8, 3)) == [(310,), (311,), (312,)]
    assert len(server.requests) == 3


def test_a_service_that_gives_less_than_a_page_loses_no_rows(server: RestServer) -> None:
    server.manners.largest = 100  # whatever is asked
    for name in ("offset", "page", "cursor"):
        assert len(ask(service(server), f'SELECT t1."id" AS c0 FROM "{name}" AS t1')) == ROWS


OF_CUSTOMER = {
    "of_customer": {
        "path": "/next/orders/customer_id/{customer_id}",
        "rows": "/value",
        "columns": OWN,
        "inputs": {"customer_id": {"in": "path", "type": "int4"}},
        "paging": {"kind": "next", "at": "/next"},
    }
}
KEYS = PgType("_int4")


def test_what_a_path_must_be_given(server: RestServer) -> None:
    connector = service(server, OF_CUSTOMER)
    (table,) = connector.tables()
    assert table.requires == (("customer_id",),)
    text = 'SELECT t1."id" AS c0, t1."customer_id" AS c1 FROM "of_customer" AS t1 WHERE t1."customer_id" '
    kinds = (INT8, INT4)
    assert ask(connector, text, "= ", Bound(INT4, 3), columns=kinds)[:2] == [(3, 3), (10, 3)]
    found = ask(connector, text, "IN (SELECT unnest(", Bound(KEYS, [5, 1, None, 5]), "))", columns=kinds)
    assert sorted(found) == [(i, i % 7) for i in range(ROWS) if i % 7 in (1, 5)]
    assert server.requests[1:] == ["/next/orders/customer_id/5", "/next/orders/customer_id/1"]
    assert ask(connector, text, "= ", Bound(INT4, None), columns=kinds) == []
    assert ask(connector, text, "IN (SELECT unnest(", Bound(KEYS, []), "))", columns=kinds) == []
    assert len(server.requests) == 3, "what equals NULL is not asked for"
    with pytest.raises(LimitExceeded, match="of_customer can only be read by given values of customer_id"):
        ask(connector, text, "> ", Bound(INT4, 3), columns=kinds)


def test_inputs_in_query_and_body_are_checked_again_here(server: RestServer) -> None:
    inputs = {"customer_id": {"many": "comma"}, "since": {"column": "placed", "op": ">=", "name": "placed__from"}}
    searched = {"customer_id": {"in": "body", "many": "repeat"}}
    connector = service(
        server,
        {
            "plain": {"path": "/plain/orders", "inputs": inputs},
            "lax": {"path": "/plain/orders", "inputs": {"customer_id": {"name": "nothing_it_knows"}}},
            "search": {"path": "/search/orders", "method": "POST", "inputs": searched},
        },
    )
    wanted = [(i,) for i in range(ROWS) if i % 7 in (1, 2) and 1 + i % 28 > 20]
    for name in ("plain", "lax", "search"):
        server.forget()
        text = (
            f'SELECT t1."id" AS c0 FROM "{name}" AS t1 WHERE t1."customer_id" IN (',
            Bound(INT4, 1),
            ", ",
            Bound(INT4, 2),
        )
        day = Bound(PgType("date"), __import__("datetime").date(2024, 1, 20))
        assert sorted(ask(connector, *text, ') AND t1."placed" > ', day)) == wanted, name
        assert len(server.requests) == (2 if name == "lax" else 1)
    server.forget()
    assert ask(connector, 'SELECT t1."id" AS c0 FROM "plain" AS t1 WHERE t1."customer_id" = ', Bound(INT4, 9)) == []
    assert server.requests == ["/plain/orders?customer_id=9"]


def test_values_in_a_path_are_escaped(server: RestServer) -> None:
    table = {
        "path": "/plain/names/name/{name}",
        "columns": {"id": {"type": "int8"}},
        "inputs": {"name": {"in": "path", "type": "text"}},
    }
    connector = service(server, {"names": table})
    for number, name in ((2, "a b/c?d&e"), (3, "Ünal"), (1, "Ann")):
        text = 'SELECT t1."id" AS c0 FROM "names" AS t1 WHERE t1."name" = '
        expected = [] if "/" in name else [(number,)]  # starlette takes %2F for a slash: 404
        if expected:
            assert ask(connector, text, Bound(PgType("text"), name)) == expected
        else:
            with pytest.raises(SourceError, match="404"):
                ask(connector, text, Bound(PgType("text"), name))


def test_404_may_mean_no_rows(server: RestServer) -> None:
    missing = {"path": "/plain/orders/customer_id/{customer_id}", "columns": OWN, "parameters": {"strict": "1"}}
    inputs = {"customer_id": {"in": "path", "type": "int4"}}
    connector = service(
        server,
        {"lax": {**missing, "inputs": inputs, "not_found": "empty"}, "strict": {**missing, "inputs": inputs}},
    )
    text = 'SELECT t1."id" AS c0 FROM "{}" AS t1 WHERE t1."customer_id" = '
    assert ask(connector, text.format("lax"), Bound(INT4, 99)) == []
    with pytest.raises(SourceError, match=r"nothing at this path \(404\)"):
        ask(connector, text.format("strict"), Bound(INT4, 99))


# -- faults


def test_a_refusal_is_heeded_for_as_long_as_it_says(server: RestServer) -> None:
    server.manners.failing, server.manners.retry_after = ["429"], "1"
    began = time.monotonic()
    assert len(ask(service(server), 'SELECT t1."id" AS c0 FROM "plain" AS t1')) == ROWS
    assert server.times[1] - server.times[0] >= 1.0
    assert time.monotonic() - began < 15


def test_a_refusal_past_patience_is_an_error_at_once(server: RestServer) -> None:
    server.manners.failing, server.manners.retry_after = ["429"], "3600"
    with pytest.raises(SourceError, match="429") as error:
        ask(service(server), 'SELECT t1."id" AS c0 FROM "plain" AS t1')
    assert error.value.sqlstate == "53300"
    assert "left alone for 3600 s" in (error.value.hint or "")
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", ["503", "502", "504", "cut"])
def test_what_passes_is_tried_again(server: RestServer, fault: str) -> None:
    server.manners.failing, server.manners.retry_after = [fault, fault], "0"
    assert len(ask(service(server), 'SELECT t1."id" AS c0 FROM "offset" AS t1')) == ROWS
    assert len(server.requests) == 2 + 9


def test_attempts_end(server: RestServer) -> None:
    server.manners.failing = ["cut"] * 9
    with pytest.raises(SourceError, match="connection to the service broke") as error:
        ask(service(server, retries={"attempts": 3, "first": 0.01}), 'SELECT t1."id" AS c0 FROM "plain" AS t1')
    assert error.value.sqlstate == "08006"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "said"), [("garbage", "not valid JSON"), ("nan", "not valid JSON"), ("500", "status 500")]
)
def test_what_does_not_pass_is_not(server: RestServer, fault: str, said: str) -> None:
    server.manners.failing = [fault]
    with pytest.raises(SourceError, match=said):
        ask(service(server), 'SELECT t1."id" AS c0 FROM "plain" AS t1')
    assert len(server.requests) == 1


def test_data_that_moves_between_pages_is_an_error(server: RestServer) -> None:
    server.manners.moving = True
    keyed = service(server, {"offset": {**PAGED["offset"], "key": ["id"]}})
    with pytest.raises(SourceError, match="changed while its pages were read") as error:
        ask(keyed, 'SELECT t1."id" AS c0 FROM "offset" AS t1')
    assert error.value.sqlstate == "40001"
    server.manners.moving, server.manners.wrong_total = False, True
    counted = service(
        server, {"offset": {**PAGED["offset"], "paging": {**PAGED["offset"]["paging"], "total": "/total"}}}
    )
    with pytest.raises(SourceError, match="changed while its pages were read"):
        ask(counted, 'SELECT t1."id" AS c0 FROM "offset" AS t1')


def test_a_slow_service_is_left_in_time(server: RestServer) -> None:
    server.manners.delay = 30
    connector = service(server)
    began = time.monotonic()
    with pytest.raises(LimitExceeded) as error:
        ask(connector, 'SELECT t1."id" AS c0 FROM "plain" AS t1', timeout=0.3)
    assert error.value.sqlstate == "57014"
    assert time.monotonic() - began < 10
    cancel = Cancel()
    threading.Timer(0.2, cancel.fire).start()
    with pytest.raises(Error) as stopped:
        rows_of(connector.execute(statement('SELECT t1."id" AS c0 FROM "plain" AS t1'), timeout=60, cancel=cancel))
    assert stopped.value is cancel.reason
    server.manners.delay = 0
    assert len(ask(connector, 'SELECT t1."id" AS c0 FROM "plain" AS t1')) == ROWS


def test_a_restarted_service_is_found_again(server: RestServer) -> None:
    connector = service(server)
    connector.ping()
    server.stop()
    with pytest.raises(SourceError) as error:
        ask(connector, 'SELECT t1."id" AS c0 FROM "plain" AS t1', timeout=3)
    assert error.value.sqlstate in ("08001", "08006")
    server.start()
    assert len(ask(connector, 'SELECT t1."id" AS c0 FROM "plain" AS t1')) == ROWS


# -- authentication


def test_a_token_is_sent_and_never_told(server: RestServer) -> None:
    server.manners.token = TOKEN
    assert ask(service(server, auth={"bearer": TOKEN}), 'SELECT t1."id" AS c0 FROM "link" AS t1 LIMIT ', Bound(INT8, 1))
    with pytest.raises(SourceError, match="401") as error:
        ask(service(server, auth={"bearer": "wrong-one"}), 'SELECT t1."id" AS c0 FROM "link" AS t1')
    assert error.value.sqlstate == "28000"
    assert "wrong-one" not in f"{error.value} {error.value.detail} {error.value.hint}"


def test_client_credentials_are_renewed_when_they_are_refused(server: RestServer) -> None:
    server.manners.token = "nobody has it"
    said = {"oauth2": {"token_url": f"{server.url}/token", "client_id": "me", "client_secret": "secret"}}
    connector = service(server, auth=said)
    assert len(ask(connector, 'SELECT t1."id" AS c0 FROM "link" AS t1')) == ROWS
    server.manners.token = "revoked"
    assert len(ask(connector, 'SELECT t1."id" AS c0 FROM "link" AS t1')) == ROWS
    assert server.tokens == 2


def test_an_answer_that_has_not_changed_is_not_sent_again(server: RestServer) -> None:
    connector = service(server)
    for _ in range(3):
        assert len(ask(connector, 'SELECT t1."id" AS c0 FROM "plain" AS t1')) == ROWS
    assert server.statuses[304] == 2


# -- the file


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"path": "/x/{y}"}, r"path has \{y\}"),
        ({"path": "/x", "inputs": {"nobody": {}}}, "there is no column nobody"),
        ({"path": "/x", "key": ["nobody"]}, "there is no column nobody"),
        ({"path": "/x", "rows": "data"}, "begins with /"),
        ({"path": "/x", "columns": {"a": {"type": "intt"}}}, "not a type"),
        ({"path": "/x", "paging": {"kind": "offset"}}, "needs `parameter`"),
        ({"path": "/x", "inputs": {"customer_id": {"in": "body"}}}, "method: POST"),
    ],
)
def test_a_wrong_description_is_refused(server: RestServer, table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        service(server, {"t": table})


def test_a_network_that_swallows_everything_is_left_in_time(server: RestServer) -> None:
    with Proxy("127.0.0.1", server.port) as proxy:
        connector = service(server, url=f"http://127.0.0.1:{proxy.port}")
        text = 'SELECT t1."id" AS c0 FROM "plain" AS t1'
        assert len(ask(connector, text)) == ROWS
        with proxy.silent():
            began = time.monotonic()
            with pytest.raises(LimitExceeded) as error:
                ask(connector, text, timeout=0.5)
            assert error.value.sqlstate == "57014"
            assert time.monotonic() - began < 10
        assert len(ask(connector, text)) == ROWS


def test_a_connection_that_lay_idle_for_two_hours_is_not_used_again(server: RestServer) -> None:
    with Proxy("127.0.0.1", server.port) as proxy:
        connector = service(server, url=f"http://127.0.0.1:{proxy.port}")
        text = 'SELECT t1."id" AS c0 FROM "plain" AS t1'
        for _ in range(2):
            ask(connector, text)
        assert proxy.connections == 1
        leases: Leases = connector._web._leases  # type: ignore[attr-defined]
        leases._idle[0].since -= 7200
        ask(connector, text)
        assert proxy.connections == 2
