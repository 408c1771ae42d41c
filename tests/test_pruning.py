"""How many statements each source gets: none for what cannot match, by constants, parameters, the clock, boundaries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import psycopg
import pytest

from connectors.base import Bound, Cancel
from connectors.errors import QueryError
from connectors.types import PgType
from federation.session import Session
from tests.pgwire.conftest import Front
from tests.plans.world import build

DATE = PgType("date")
MARCH, LAST_YEAR = dt.date(2024, 3, 1), dt.date(2023, 3, 1)
RECENT = "placed >= now()::date - 30"

# statement, parameters, statements by source
CASES: list[tuple[str, tuple[dt.date | None, ...], dict[str, int]]] = [
    ("select id from v.orders where placed >= '2024-03-01'", (), {"shop": 1}),
    ("select id from v.orders where placed < '2023-03-01'", (), {"dwh": 1}),
    ("select id from v.orders where placed between '2023-09-15' and '2024-01-03'", (), {"shop": 1, "dwh": 1}),
    ("select count(*) from v.orders where date_trunc('month', placed) = '2024-03-01'", (), {"shop": 1}),
    ("select sum(amount) from v.spending s join v.orders o using (customer_id) where o.placed is null", (), {}),
    ("select count(*) from v.people_360 where id = 3 and id = 4", (), {}),
    ("select * from v.people_360 limit 0", (), {}),
    ("select id from v.orders where placed >= $1", (MARCH,), {"shop": 1}),
    ("select id from v.orders where placed < $1", (LAST_YEAR,), {"dwh": 1}),
    ("select id from v.orders where placed >= $1", (LAST_YEAR,), {"shop": 1, "dwh": 1}),
    ("select id from v.orders where placed >= $1", (None,), {}),
    ("select id from v.orders where placed >= $1 and placed < $2", (MARCH, LAST_YEAR), {}),
    ("select name from crm.customers c join v.orders o on o.customer_id = c.id where placed < $1 and placed > $1",
     (MARCH,), {}),
    (f"select id from v.orders where {RECENT}", (), {"shop": 1}),
    (f"select id from shop.orders where {RECENT} and placed < now()::date - 60", (), {}),
    (f"select c.name from crm.customers c join shop.orders o on o.customer_id = c.id where {RECENT} "
     "and placed < now()::date - 60", (), {}),
    (f"select c.name, o.id from crm.customers c left join shop.orders o on o.customer_id = c.id and {RECENT} "
     "and placed < now()::date - 60", (), {"crm": 1}),
    ("select id from v.moving where placed >= '2024-03-01'", (), {"shop": 1, "dwh": 1}),
    ("select id from v.moving where placed < '2023-03-01'", (), {"dwh": 2}),
    ("select id from v.moving where placed is null", (), {"shop": 1}),
    ("select id from v.moving where placed >= $1", (MARCH,), {"shop": 1, "dwh": 1}),
    ("select id from v.moving where placed < $1", (LAST_YEAR,), {"dwh": 2}),
    (f"select id from v.moving where {RECENT}", (), {"shop": 1, "dwh": 1}),
    ("select a.id from v.moving a join v.moving b on b.id = a.id where a.customer_id = 3", (), {"shop": 2, "dwh": 3}),
    ("select id from v.unsure where placed >= $1", (MARCH,), {"shop": 1, "dwh": 1}),
]  # fmt: skip


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with Front(build(tmp_path_factory.mktemp("pruning"))) as served:
        yield served


def counts(front: Front) -> dict[str, int]:
    return {name: load.statements for name, load in front.runtime.engine.loads.items()}


def since(front: Front, before: dict[str, int]) -> dict[str, int]:
    return {name: n - before.get(name, 0) for name, n in counts(front).items() if n > before.get(name, 0)}


async def ask(front: Front, sql: str, params: tuple[dt.date | None, ...]) -> int:
    engine, session = front.runtime.engine, Session("ann")
    prepared = await engine.prepare(sql, session)
    result = await engine.run(prepared, [Bound(DATE, value) for value in params], session, Cancel())
    return sum([batch.num_rows async for batch in result.batches])


@pytest.mark.parametrize(("sql", "params", "wanted"), CASES)
def test_in_process(front: Front, sql: str, params: tuple[dt.date | None, ...], wanted: dict[str, int]) -> None:
    before = counts(front)
    front.call(ask(front, sql, params))
    assert since(front, before) == wanted


def test_over_the_protocol(front: Front) -> None:
    with psycopg.connect(front.dsn(), autocommit=True) as connection, psycopg.RawCursor(connection) as cursor:
        for sql, params, wanted in CASES:
            before = counts(front)
            cursor.execute(sql.encode(), params)
            cursor.fetchall()
            assert since(front, before) == wanted, sql


def test_ranges_are_those_of_the_session_s_zone(front: Front) -> None:
    """The same statement, prepared in UTC: where midnight is another moment, its range is another one."""
    sql = "select count(*) from (select id, placed::timestamptz as at from shop.orders) o where at::date = '2024-03-03'"
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        found = []
        for zone in ("UTC", "Pacific/Auckland", "America/Los_Angeles", "<x>-100"):
            connection.execute(f"SET TimeZone = '{zone}'".encode())
            found.append(connection.execute(sql.encode(), prepare=True).fetchall())
        assert found == [found[0]] * 4
        assert found[0][0][0] > 0


def test_several_rows_are_an_error_where_one_is_compared_with_them(front: Front) -> None:
    twice = "placed >= (select loaded_until from dwh.load_manifest where table_name = 'twice')"
    with pytest.raises(QueryError, match="more than one row") as error:
        front.call(ask(front, f"select id from shop.orders where {twice}", ()))
    assert error.value.sqlstate == "21000"
    assert front.call(ask(front, f"select id from shop.orders where {twice} and id < 0", ())) == 0
    assert front.call(ask(front, f"select id from shop.orders where id > 0 or {twice}", ())) == 2000


def test_explain_tells_what_is_not_asked_and_what_bounds(front: Front) -> None:
    explained = front.runtime.engine.explain(f"select id from v.moving where {RECENT}", Session("ann"), analyze=True)
    text = front.call(explained).text()
    assert "not asked: nothing there can match" in text
    assert "the value of f2, as date, read once" in text
