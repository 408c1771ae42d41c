"""Where a session's last answer came from: warnings of what it lacks, and vdw.provenance()."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psycopg
import pytest

from tests.pgwire.conftest import Front, make


class Notice(NamedTuple):
    """What a NoticeResponse said."""

    severity: str | None
    sqlstate: str | None
    message: str
    detail: str | None
    hint: str | None


LIST = "source, origin, missing, policy, tables, views"
Row = tuple[object, ...]
FILES = {
    "sources/crm.yml": "kind: sqlite\nconnection: {path: crm.db}\nttl: 60s\n",
    "sources/dwh.yml": "kind: files\nconnection: {folder: dwh}\nttl: 60s\n",
    "views/sales/facts.view.sql": """
        /*---
        freshness: {ttl: 50ms, stale_if_error: 10m}
        on_source_down: {dwh: [stale, partial]}
        ---*/
        select id, name from dwh.facts
        """,
    "views/sales/renewed.view.sql": """
        /*---
        freshness: {ttl: 50ms, stale_while_revalidate: 10m}
        ---*/
        select id, seven from dwh.facts
        """,
    "views/sales/all.view.sql": """
        /*---
        on_source_down: {shop: nulls}
        ---*/
        select c.id, c.name, o.amount from crm.customers c left join shop.orders o on o.customer_id = c.id
        """,
    "views/sales/amounts.view.sql": """
        /*---
        on_source_down: {shop: partial}
        ---*/
        select id, amount from shop.orders
        """,
    "views/sales/long.view.sql": """
        /*---
        on_source_down: {shop: partial}
        ---*/
        select id from shop.orders union all select id from crm.many
        """,
    "views/sales/both.view.sql": """
        /*---
        on_source_down: {shop: partial, crm: partial}
        ---*/
        select o.id, 'order' as what from shop.orders o union all select c.id, 'customer' from crm.customers c
        """,
}


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The project, with views that can do without a source."""
    with Front(make(tmp_path_factory.mktemp("account"), FILES)) as served:
        yield served


@pytest.fixture
def client(aged: Front) -> Iterator[psycopg.Connection]:
    with psycopg.connect(aged.dsn(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def notices(client: psycopg.Connection) -> list[Notice]:
    """What the client is told beside its answers."""
    told: list[Notice] = []

    def keep(diag: psycopg.errors.Diagnostic) -> None:  # whose fields are there only now
        told.append(
            Notice(diag.severity, diag.sqlstate, diag.message_primary or "", diag.message_detail, diag.message_hint)
        )

    client.add_notice_handler(keep)
    return told


@contextlib.contextmanager
def off(front: Front, *sources: str) -> Iterator[None]:
    """Sources switched off."""

    async def switch(reason: str | None) -> None:
        for source in sources:
            front.runtime.engine.gates.of(source).closed = reason

    front.call(switch("somebody works on it"))
    try:
        yield
    finally:
        front.call(switch(None))


def account(client: psycopg.Connection, columns: str = LIST) -> list[Row]:
    return client.execute(f"select {columns} from vdw.provenance() order by source".encode()).fetchall()


SHOP: Row = ("shop", "missing", True, "partial", ["orders"], ["sales.amounts"])


def test_nothing_was_asked_yet(client: psycopg.Connection) -> None:
    assert account(client) == []


def test_the_types_are_those_that_are_promised(client: psycopg.Connection) -> None:
    asked = "select column_name, data_type from information_schema.columns where table_name = 'told' order by 1"
    client.execute("create temp table told as select * from vdw.provenance()")
    assert client.execute(asked).fetchall() == [
        ("age", "interval"), ("as_of", "timestamp with time zone"), ("class", "text"), ("copies", "ARRAY"),
        ("left_out", "jsonb"), ("missing", "boolean"),
        ("origin", "text"), ("policy", "text"), ("read_at", "timestamp with time zone"), ("rows", "bigint"),
        ("source", "text"), ("statements", "bigint"), ("tables", "ARRAY"), ("ttl", "interval"), ("views", "ARRAY"),
        ("why", "text"),
    ]  # fmt: skip


def test_each_source_with_the_age_of_its_data(client: psycopg.Connection) -> None:
    began = dt.datetime.now(dt.UTC)
    client.execute("select name, amount from sales.all").fetchall()
    listed = "source, origin, as_of, read_at, age, ttl, class, rows, statements, missing, why"
    crm, shop = account(client, listed)
    assert (crm[0], shop[0]) == ("crm", "shop")
    for _, origin, as_of, read_at, age, _, freshness, rows, statements, missing, why in (crm, shop):
        assert (origin, freshness, rows, statements, missing, why) == ("live", "real_time", 4, 1, False, None)
        assert isinstance(as_of, dt.datetime) and isinstance(read_at, dt.datetime) and isinstance(age, dt.timedelta)
        assert as_of == read_at
        assert read_at >= began - dt.timedelta(milliseconds=1)
        assert dt.timedelta() <= age <= dt.datetime.now(dt.UTC) - began
    assert (crm[5], shop[5]) == (dt.timedelta(seconds=60), dt.timedelta())


def test_what_was_kept_is_as_old_as_its_reading(client: psycopg.Connection) -> None:
    client.execute("select id, name from crm.customers where id < 3").fetchall()
    ((_, first),) = account(client, "origin, read_at")
    time.sleep(0.05)
    client.execute("select id, name from crm.customers where id < 3").fetchall()
    ((origin, again, as_of, age, statements),) = account(client, "origin, read_at, as_of, age, statements")
    assert (origin, again, as_of, statements) == ("cache", first, first, 0)
    assert isinstance(age, dt.timedelta) and age >= dt.timedelta(seconds=0.05)


def test_a_source_that_is_off_is_warned_of_once(aged: Front, client: psycopg.Connection, notices: list[Notice]) -> None:
    with off(aged, "shop"):
        assert client.execute("select count(*), sum(amount) from sales.amounts").fetchall() == [(0, None)]
        (told,) = notices
        assert (told.severity, told.sqlstate) == ("WARNING", "01000")
        assert told.message == "source shop is down: its rows are left out (orders)"
        assert "somebody works on it" in (told.detail or "")
        assert told.hint == "SELECT * FROM vdw.provenance() tells more."
        assert account(client) == [SHOP]
        assert len(notices) == 1
    notices.clear()
    assert client.execute("select count(*) from sales.amounts").fetchall() == [(4,)]
    assert not notices


NAMES = [(1, "Ann", None), (2, "Bob", None), (3, "Zoë", None), (4, "O'Neil", None)]


def fetched(client: psycopg.Connection) -> list[Row]:
    return client.execute("select * from sales.all order by id").fetchall()


def bound(client: psycopg.Connection) -> list[Row]:
    return client.execute("select * from sales.all where id < %s order by id", (9,), binary=True).fetchall()


def cursor(client: psycopg.Connection) -> list[Row]:
    with client.transaction(), client.cursor("c") as rows:
        return rows.execute("select * from sales.all order by id").fetchall()


def copied(client: psycopg.Connection) -> list[Row]:
    with client.cursor() as rows, rows.copy("copy (select * from sales.all order by id) to stdout") as stream:
        stream.set_types(["int8", "text", "numeric"])
        return list(stream.rows())


def written(client: psycopg.Connection) -> list[Row]:
    client.execute("create temp table kept as select * from sales.all")
    return client.execute("select * from kept order by id").fetchall()


def executed(client: psycopg.Connection) -> list[Row]:
    client.execute("prepare p as select * from sales.all order by id")
    return client.execute("execute p").fetchall()


@pytest.mark.parametrize("way", [fetched, bound, cursor, copied, written, executed])
def test_every_way_to_ask_is_answered_and_warned(
    aged: Front,
    client: psycopg.Connection,
    notices: list[Notice],
    way: Callable[[psycopg.Connection], list[Row]],
) -> None:
    with off(aged, "shop"):
        assert way(client) == NAMES
    assert [told.message for told in notices] == ["source shop is down: its columns are NULL (orders)"]
    assert [row[:2] for row in account(client)] in ([("crm", "live"), ("shop", "missing")],
                                                    [("crm", "cache"), ("shop", "missing")])  # fmt: skip


def test_two_that_are_off_are_one_warning(aged: Front, client: psycopg.Connection, notices: list[Notice]) -> None:
    with off(aged, "shop", "crm"):
        assert client.execute("select count(*) from sales.both").fetchall() == [(0,)]
    (told,) = notices
    assert "source crm is down" in told.message and "source shop" in told.message
    assert [row[:2] for row in account(client)] == [("crm", "missing"), ("shop", "missing")]


def test_other_sources_are_not_asked_in_vain(aged: Front, client: psycopg.Connection) -> None:
    def asked() -> int:
        return aged.runtime.engine.loads["crm"].statements

    with off(aged, "shop"):
        before = asked()
        assert client.execute("select count(*) from sales.long").fetchall() == [(20000,)]
        assert asked() == before + 1


def test_who_wants_no_warnings_has_none(aged: Front, client: psycopg.Connection, notices: list[Notice]) -> None:
    with off(aged, "shop"):
        client.execute("set client_min_messages = error")
        client.execute("select * from sales.amounts").fetchall()
        assert not notices
        assert account(client) == [SHOP]
        client.execute("set client_min_messages = warning")
        client.execute("select * from sales.amounts").fetchall()
        assert len(notices) == 1


def test_what_was_kept_stands_in_before_anything_is_left_out(
    aged: Front, client: psycopg.Connection, notices: list[Notice]
) -> None:
    asked = "select name from sales.facts where id = %s"
    assert client.execute(asked, (7,)).fetchall() == [("name 7",)]
    ((read,),) = account(client, "read_at")
    time.sleep(0.06)
    with off(aged, "dwh"):
        assert client.execute(asked, (7,)).fetchall() == [("name 7",)]
        ((origin, again, missing, why, age),) = account(client, "origin, read_at, missing, why, age")
        assert (origin, again, missing) == ("stale", read, False)
        assert "somebody works on it" in str(why) and isinstance(age, dt.timedelta) and age.total_seconds() >= 0.06
        assert client.execute(asked, (8,)).fetchall() == []
        assert account(client, "origin, policy") == [("missing", "partial")]
    stale, gone = notices
    assert (stale.severity, stale.sqlstate) == (gone.severity, gone.sqlstate) == ("WARNING", "01000")
    assert stale.message.startswith("source dwh: what is shown is past its time, ")
    assert gone.message == "source dwh is down: its rows are left out (facts)"


def test_what_is_renewed_meanwhile_is_noticed(client: psycopg.Connection, notices: list[Notice]) -> None:
    asked = "select seven from sales.renewed where id = 9"
    assert client.execute(asked).fetchall() == [(2,)]
    time.sleep(0.06)
    assert client.execute(asked).fetchall() == [(2,)]
    assert account(client, "origin, why") == [("stale", None)]
    assert [told.severity for told in notices] == ["NOTICE"]


def test_where_no_view_allows_it_the_error_stays(aged: Front, client: psycopg.Connection) -> None:
    with off(aged, "shop"), pytest.raises(psycopg.errors.CannotConnectNow, match="source shop"):
        client.execute("select * from shop.orders")
    with off(aged, "shop"), pytest.raises(psycopg.errors.CannotConnectNow, match="source shop"):
        client.execute("select * from sales.all a join shop.orders o on o.id = a.id")


def test_in_a_transaction_and_joined(aged: Front, client: psycopg.Connection) -> None:
    with off(aged, "shop"):
        with client.transaction():
            client.execute("select * from sales.amounts").fetchall()
            assert account(client) == [SHOP]
        assert account(client) == [SHOP]
        joined = "select p.source, count(*) from vdw.provenance() p join crm.many m on m.id <= 3 group by p.source"
        assert client.execute(joined).fetchall() == [("shop", 3)]
    assert [row[0] for row in account(client)] == ["crm"]  # the join was the last answer


def test_prepared_once_it_tells_of_the_last_answer_each_time(aged: Front, client: psycopg.Connection) -> None:
    asked = "select source from vdw.provenance() where rows >= %s or missing order by source"
    for _ in range(2):
        client.execute("select * from sales.all").fetchall()
        assert client.execute(asked, (0,), prepare=True).fetchall() == [("crm",), ("shop",)]
        client.execute("select * from crm.customers").fetchall()
        assert client.execute(asked, (0,), prepare=True).fetchall() == [("crm",)]
    client.execute("prepare told as select source from vdw.provenance()")
    client.execute("select * from shop.orders").fetchall()
    assert client.execute("execute told").fetchall() == [("shop",)]


def test_several_statements_in_one_text(client: psycopg.Connection) -> None:
    cursor = client.execute("select id from shop.orders; select source, rows from vdw.provenance()")
    assert len(cursor.fetchall()) == 4
    assert cursor.nextset() and cursor.fetchall() == [("shop", 4)]


def test_what_the_server_knows_of_itself_is_no_source(client: psycopg.Connection) -> None:
    client.execute("select id from shop.orders").fetchall()
    client.execute("select name from vdw.sources").fetchall()
    assert [row[0] for row in account(client)] == ["shop"]


def test_explain_says_what_is_left_out(aged: Front, client: psycopg.Connection) -> None:
    def told(analyze: str = "") -> str:
        lines = client.execute(f"explain {analyze} select * from sales.all".encode()).fetchall()
        return "\n".join(str(line) for (line,) in lines)

    assert "while shop is down: nulls" in told()
    with off(aged, "shop"):
        text = told("analyze")
    assert "source shop is down: its columns are NULL (orders): " in text
    assert "not kept: a source is left out" in text
    assert "@ shop" not in text
