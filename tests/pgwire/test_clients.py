"""Real drivers: each scenario gives the same through the front as against one PostgreSQL that holds all the data."""
# ruff: noqa: E501  (statements as they are sent)

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import asyncpg
import psycopg
import psycopg2
import psycopg2.extras
import pytest
import sqlalchemy
from psycopg import sql as sql_
from psycopg.conninfo import conninfo_to_dict

from tests.pgwire.conftest import Front, Oracle
from tests.pgwire.test_session import awaited, shown

pytestmark = pytest.mark.service

Scenario = Callable[[str], Any]
SCENARIOS: dict[str, Scenario] = {}
TYPES = (
    "select id, name, region, since, score, active, id::int2 as i2, id::int4 as i4, id::numeric(10,3) as n, score::real as r, "
    "since::timestamptz as tz, since::timestamp as ts, name::bytea as b, md5(name)::uuid as u, '1 day'::interval * id as iv, "
    "array[id, 1] as a, to_json(name) as j, jsonb_build_object('a', id) as jb, time '10:00' as t from crm.customers order by id"
)


def scenario(work: Scenario) -> Scenario:
    SCENARIOS[work.__name__] = work
    return work


def tried(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except psycopg.Error as error:
        return (error.sqlstate, error.diag.message_primary)


@scenario
def psycopg_text_and_binary(dsn: str) -> Any:
    found = []
    with psycopg.connect(dsn) as connection:
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            cursor.execute(TYPES)
            found.append(
                [(d.name, d.type_code, d.precision, d.scale, d.internal_size) for d in cursor.description or ()]
            )
            found.append(cursor.fetchall())
            cursor.execute("select * from sales.spending order by 1")
            found.append(cursor.fetchall())
    return found


@scenario
def psycopg_parameters(dsn: str) -> Any:
    found = []
    values = [
        ("select name from crm.customers where id = %s", (2,)),
        ("select name from crm.customers where id = any(%s) order by 1", ([1, 3],)),
        ("select name from crm.customers where name = %s", ("O'Neil",)),
        ("select name from crm.customers where since > %s order by 1", (datetime.date(2020, 6, 1),)),
        ("select name from crm.customers where score = %s", (1.5,)),
        ("select id from shop.orders where amount < %s order by 1", (Decimal("10.5"),)),
        ("select id from shop.orders where placed <= %s order by 1", (datetime.datetime(2024, 1, 1, 10),)),
        ("select id from shop.orders where placed at time zone 'UTC' <= %s order by 1",
         (datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),)),
        ("select id from crm.customers where region = %s or %s order by 1", (None, True)),
        ("select %s::int + id, %s from crm.customers where id < 3 order by 1", (10, "text")),
        ("select id from crm.customers order by id limit %s offset %s", (2, 1)),
        ("select c.name, o.amount from crm.customers c join shop.orders o on o.customer_id = c.id where c.id = %s order by 2", (1,)),
        ("select name from crm.customers where id = %s", ("x",)),
        ("select name from crm.customers where since = %s", ("yesterday",)),
        ("select name from crm.customers where since = %s", ("2020-01-02",)),
        ("select %s::interval * id from crm.customers where id = 2", (datetime.timedelta(days=1),)),
    ]  # fmt: skip
    with psycopg.connect(dsn, autocommit=True) as connection:
        for prepare in (False, True):
            for binary in (False, True):
                for text, given in values:
                    found.append(
                        tried(
                            lambda t=text, g=given, b=binary, p=prepare: connection.execute(  # type: ignore[misc]
                                t, g, prepare=p, binary=b
                            ).fetchall()
                        )
                    )
                    text = text.replace("%s", "%b")
                    found.append(tried(lambda t=text, g=given: connection.execute(t, g).fetchall()))  # type: ignore[misc]
    return found


@scenario
def psycopg_prepared_many_times(dsn: str) -> Any:
    with psycopg.connect(dsn) as connection:
        return [
            connection.execute("select name from crm.customers where id = %s", (n % 5,)).fetchall() for n in range(20)
        ]


@scenario
def psycopg_named_cursor(dsn: str) -> Any:
    found: list[Any] = []
    with psycopg.connect(dsn) as connection:
        for binary in (False, True):
            with connection.cursor("c", binary=binary) as cursor:
                cursor.execute("select id, label from crm.many where id > %s order by id", (10,))
                found.append([d.name for d in cursor.description or ()])
                found.append(cursor.fetchone())
                found.append(cursor.fetchmany(3))
                cursor.scroll(100)
                cursor.itersize = 5000
                found.append(sum(1 for _ in cursor))
        with connection.cursor("d", scrollable=True) as cursor:
            cursor.execute("select id from crm.customers order by id")
            cursor.scroll(2)
            found.append(cursor.fetchone())
            cursor.scroll(-2)
            found.append(cursor.fetchall())
        with connection.cursor("e", withhold=True) as cursor:
            cursor.execute("select customer_id, total from sales.spending order by 1")
            connection.commit()
            found.append(cursor.fetchall())
        connection.commit()
    return found


@scenario
def psycopg_pipeline(dsn: str) -> Any:
    found: list[Any] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        with connection.pipeline():
            asked = [connection.execute("select name from crm.customers where id = %s", (n,)) for n in range(1, 5)]
            asked.append(connection.execute("select 1"))
            asked.append(connection.execute("select total from sales.spending where customer_id = %s", (1,)))
            found.append([one.fetchall() for one in asked])
        with connection.pipeline():
            connection.execute("set search_path = sales")
            first = connection.execute("select name from people where id = 1")
            connection.execute("set search_path = crm")
            second = connection.execute("select name from customers where id = 2")
            found.append((first.fetchall(), second.fetchall()))
        try:
            with connection.pipeline():
                connection.execute("select 10 / (id - 1) from crm.customers")
                connection.execute("select name from crm.customers").fetchall()
        except psycopg.Error as error:
            found.append((type(error).__name__, error.sqlstate))
        found.append(connection.execute("select count(*) from crm.customers").fetchone())
        with connection.transaction(), connection.pipeline():
            first = connection.execute("create temp table p as select id from crm.customers where id < 3")
            found.append((first.rowcount, connection.execute("select count(*) from p").fetchone()))
    return found


@scenario
def psycopg_copy(dsn: str) -> Any:
    found: list[Any] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        for text in ("crm.customers", "sales.spending"):
            asked = sql_.SQL("copy (select * from {} order by 1) to stdout").format(sql_.SQL(text))
            with connection.cursor().copy(asked) as copy:
                found.append(list(copy.rows()))
        with connection.cursor().copy(
            "copy (select id, name from crm.customers order by 1) to stdout (format binary)"
        ) as copy:
            copy.set_types(["int8", "text"])
            found.append(list(copy.rows()))
        with connection.cursor().copy("copy (select id, label from crm.many order by id) to stdout") as copy:
            found.append(sum(len(piece) for piece in copy))
        found.append(connection.execute("select 1").fetchall())
    return found


@scenario
def psycopg_transactions(dsn: str) -> Any:
    found: list[Any] = []
    with psycopg.connect(dsn) as connection:
        try:
            connection.execute("select 1 / (id - id) from crm.customers", prepare=True)
        except psycopg.Error as error:
            found.append(error.sqlstate)
        found.append(tried(lambda: connection.execute("select name from crm.customers where id = %s", (1,))))
        found.append(connection.info.transaction_status)
        connection.rollback()
        with connection.transaction():
            try:
                with connection.transaction():
                    connection.execute("select nope from crm.customers where id = %s", (1,))
            except psycopg.Error as error:
                found.append((error.sqlstate, error.diag.statement_position))
            found.append(connection.execute("select name from crm.customers where id = %s", (1,)).fetchone())
        connection.read_only = True
        found.append(connection.execute("select count(*) from sales.people").fetchone())
    return found


@scenario
def names_used_again(dsn: str) -> Any:
    found: list[Any] = []

    def run(text: str) -> None:
        if text:
            found.append(awaited_exec(connection, lambda: connection.pgconn.send_prepare(b"same", text.encode())))
        found.append(awaited_exec(connection, lambda: connection.pgconn.send_query_prepared(b"same", [])))

    with psycopg.connect(dsn, autocommit=True) as connection:
        run("select name from crm.customers where id = 1")
        run("select name from crm.customers where id = 2")  # the name is taken
        for text in ("select 1; deallocate same; select 2", "deallocate same", "discard all"):
            found.append(awaited_exec(connection, lambda t=text: connection.pgconn.send_query(t.encode())))  # type: ignore[misc]
            run("")
            run("select name from crm.customers where id = 3")
        found.append(
            awaited_exec(connection, lambda: connection.pgconn.send_query(b"deallocate same; prepare same as select 7"))
        )
        run("")
    return found


def awaited_exec(connection: psycopg.Connection, send: Callable[[], object]) -> list[Any]:
    send()
    found = []
    while (result := awaited(connection.pgconn)) is not None:
        found.append(shown(result))
    return found


@scenario
def psycopg2_basics(dsn: str) -> Any:
    found: list[Any] = []
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute("select id, name, since, score from crm.customers where id in %s order by id", ((1, 3),))
            found.append([dict(row) for row in cursor])
        with connection, connection.cursor("named") as cursor:
            cursor.itersize = 7000
            cursor.execute("select id from crm.many")
            found.append(sum(row[0] for row in cursor))
        with connection, connection.cursor() as cursor:
            cursor.execute("create temp table x as select * from sales.spending; select count(*) from x")
            found.append(cursor.fetchall())
    finally:
        connection.close()
    return found


@scenario
def asyncpg_all(dsn: str) -> Any:
    return asyncio.run(_asyncpg(dsn))


async def _asyncpg(dsn: str) -> Any:
    found: list[Any] = []
    given = conninfo_to_dict(dsn)
    options = {"host": given["host"], "port": int(given["port"]), "user": given["user"], "database": given["dbname"]}
    connection = await asyncpg.connect(**options)
    found.append([tuple(row) for row in await connection.fetch(TYPES)])
    statement = await connection.prepare(
        "select name, total from sales.spending where customer_id = any($1::bigint[]) order by 1"
    )
    found.append([(a.name, a.type.name) for a in statement.get_attributes()])
    found.append([p.name for p in statement.get_parameters()])
    found += [[tuple(row) for row in await statement.fetch(keys)] for keys in ([1, 2], [], [4])]
    async with connection.transaction():
        found.append(
            len([row async for row in connection.cursor("select id from crm.many where id > $1", 5, prefetch=700)])
        )
        cursor = await connection.cursor("select id, label from crm.many order by id")
        found.append([tuple(row) for row in await cursor.fetch(3)])
        await cursor.forward(10)
        found.append(await cursor.fetchrow())
    for text in ("select nope from crm.customers", "select 1 / (id - 1) from crm.customers where id = 1"):
        try:
            await connection.fetch(text)
        except asyncpg.PostgresError as error:
            found.append((type(error).__name__, str(error)))
    found.append(await connection.execute("create temp table c as select id, name from crm.customers"))
    found.append(
        [
            tuple(row)
            for row in await connection.fetch("select c.name from c join crm.customers using (id) order by c.id")
        ]
    )
    out: list[bytes] = []

    async def take(data: bytes) -> None:
        out.append(data)

    found.append(
        await connection.copy_from_query("select id, name from crm.customers where id < $1 order by 1", 3, output=take)
    )
    found.append(b"".join(out))
    await connection.close()
    async with asyncpg.create_pool(min_size=2, max_size=4, **options) as pool:
        found.append(
            await asyncio.gather(
                *(pool.fetchval("select name from crm.customers where id = $1", n % 4 + 1) for n in range(12))
            )
        )
    return found


@scenario
def sqlalchemy_reflection(dsn: str) -> Any:
    found: list[Any] = []
    for driver in ("psycopg", "psycopg2"):
        engine = sqlalchemy.create_engine(f"postgresql+{driver}://", creator=lambda d=driver: _connect(d, dsn))
        inspector = sqlalchemy.inspect(engine)
        found.append([n for n in inspector.get_schema_names() if n != "vdw"])
        found.append([(c["name"], str(c["type"])) for c in inspector.get_columns("people", schema="sales")])
        found.append(inspector.get_view_names(schema="sales"))
        meta = sqlalchemy.MetaData()
        meta.reflect(engine, schema="sales", views=True)
        table = meta.tables["sales.spending"]
        with engine.connect() as connection:
            query = sqlalchemy.select(table.c.name, table.c.total).where(table.c.customer_id == 1)
            found.append([tuple(row) for row in connection.execute(query)])
            grouped = sqlalchemy.select(sqlalchemy.func.count()).select_from(table).where(table.c.total > Decimal("1"))
            found.append(connection.execute(grouped).scalar())
            streamed = connection.execution_options(stream_results=True, yield_per=100).execute(
                sqlalchemy.text("select id from crm.many where id <= :n order by id"), {"n": 1000}
            )
            found.append(sum(row[0] for row in streamed))
        engine.dispose()
    return found


def _connect(driver: str, dsn: str) -> Any:
    return psycopg.connect(dsn) if driver == "psycopg" else psycopg2.connect(dsn)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(front: Front, oracle: Oracle, name: str) -> None:
    assert SCENARIOS[name](front.dsn()) == SCENARIOS[name](oracle.dsn())
