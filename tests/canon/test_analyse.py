"""Analysis: canonical text, exact types, what is read, PostgreSQL's own errors with their place in the user's text."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import psycopg
import pytest

from connectors.errors import QueryError
from connectors.types import PgType, bpchar, numeric
from federation.canon.analyse import BODY, VIEW, Analyser, Form
from federation.canon.marked import fleeting
from federation.canon.roles import Account, apply
from federation.canon.server import Canon
from federation.canon.shell import install_relations
from federation.canon.wire import Wire
from planner.statement import Statement
from tests.canon.conftest import CUSTOMERS, ORDERS

PATH = ("crm", "shop", "public")


@pytest.fixture(scope="module")
def analyser(canon: Canon, loop: asyncio.Runner) -> Iterator[Analyser]:
    install_relations(canon.dsn(), [CUSTOMERS, ORDERS])
    made = Analyser(canon)
    loop.run(made.start())
    yield made
    loop.run(made.close())


class Ask:
    """Analyses in the module's loop."""

    def __init__(self, analyser: Analyser, loop: asyncio.Runner) -> None:
        self.analyser, self.loop = analyser, loop

    def __call__(self, sql: str, path: tuple[str, ...] = PATH, **options: object) -> Statement:
        return self.loop.run(self.analyser.analyse(sql, path, **options))  # type: ignore[arg-type]

    def refused(self, sql: str, **options: object) -> QueryError:
        with pytest.raises(QueryError) as caught:
            self(sql, **options)  # type: ignore[arg-type]
        return caught.value

    def text(self, sql: str, **options: object) -> str:
        return " ".join(self(sql, **options).text.split())  # type: ignore[arg-type]


@pytest.fixture
def ask(analyser: Analyser, loop: asyncio.Runner) -> Ask:
    return Ask(analyser, loop)


def test_names_come_out_qualified_and_stars_expanded(ask: Ask) -> None:
    assert ask.text("select * from orders o join customers using (id)") == (
        "SELECT o.id, o.customer, o.total, customers.name, customers.balance, customers.code, customers.since,"
        " customers.tags FROM (shop.orders o JOIN crm.customers USING (id))"
    )


def test_the_search_path_is_the_sessions(ask: Ask) -> None:
    assert ask("select id from orders").relations == (("shop", "orders"),)
    with pytest.raises(QueryError, match="does not exist"):
        ask("select id from orders", ("crm",))
    assert ask("select id from shop.orders", ()).relations == (("shop", "orders"),)


def test_columns_have_exact_names_and_types(ask: Ask) -> None:
    statement = ask(
        "select id, id, balance, code, since, tags, 'x' as \"Ü x\", count(*) over (), 1/2.0, null, tags[1]"
        " from customers"
    )
    assert statement.columns == (
        ("id", PgType("int8")),
        ("id", PgType("int8")),
        ("balance", numeric(10, 2)),
        ("code", bpchar(3)),
        ("since", PgType("timestamptz", 3)),
        ("tags", PgType("_text")),
        ("Ü x", PgType("text")),
        ("count", PgType("int8")),
        ("?column?", PgType("numeric")),
        ("?column?", PgType("text")),
        ("tags", PgType("text")),
    )


def test_parameters_become_markers_of_their_types(ask: Ask) -> None:
    statement = ask(
        "select $3::int[], '$1', \"id\" -- $9\n from orders where total > $1"
        " and id = any($2) /* $8 */ limit $4 offset $5"
    )
    assert [kind.sql for kind in statement.params] == ["numeric", "bigint[]", "integer[]", "bigint", "bigint"]
    text = " ".join(statement.text.split())
    assert "(orders.total > vdw.param(1, NULL::numeric))" in text
    assert "ANY (vdw.param(2, NULL::bigint[]))" in text
    assert text.endswith("OFFSET vdw.param(5, NULL::bigint) LIMIT vdw.param(4, NULL::bigint)")


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        ("select $1", ["text"]),
        ("select (array[1,2])[$1]", ["integer"]),
        ("select * from orders fetch first $1 rows only", ["bigint"]),
        ("select $1::varchar(3), $1", ["character varying"]),
        ("select $2, $1 + 1", ["integer", "text"]),
        ("select 1 from orders order by $1 nulls first", ["text"]),
        ("values ($1, 2), (3.5, $2)", ["numeric", "integer"]),
        ("select $1 || $2 from customers where $3", ["text", "text", "boolean"]),
        ("select case when id = $1 then $2 else balance end from customers", ["bigint", "numeric"]),
        ("select sum(total) over (order by id rows $1 preceding) from orders", ["bigint"]),
        ("select date '2020-01-01' + $1::int, since at time zone $2 from customers", ["integer", "text"]),
        ("select count(*) from customers group by $1::text, name || $1", ["text"]),
    ],
)
def test_types_of_parameters(ask: Ask, sql: str, kinds: list[str]) -> None:
    statement = ask(sql)
    assert [kind.sql for kind in statement.params] == kinds
    for number, kind in enumerate(kinds, 1):
        assert f"vdw.param({number}, NULL::{kind})" in statement.text


def test_declared_types_count(ask: Ask) -> None:
    assert ask("select $1, $2", declared=(23, 0)).params == (PgType("int4"), PgType("text"))
    assert ask("select $1, $2").params == (PgType("text"), PgType("text"))
    assert ask("select 1", declared=(1700,)).params == (PgType("numeric"),)


@pytest.mark.parametrize(
    ("sql", "state", "position", "words"),
    [
        ("select nme from customers", "42703", 8, 'column "nme"'),
        ("select 1 from customers where id = 'x'", "22P02", 36, "invalid input syntax for type bigint"),
        ("select id, from customers", "42601", 12, 'syntax error at or near "from"'),
        ("select * from nowhere", "42P01", 15, '"nowhere" does not exist'),
        ("select $1, é, nope from orders where id > $2", "42703", 12, '"é" does not exist'),
        ("  select count(*), id from orders", "42803", 20, "must appear in the GROUP BY"),
        ("select 'a' || 1 from orders where total = $1 and $2 < nope", "42703", 55, '"nope"'),
        ("select 1; select 2", "42601", None, "multiple commands"),
        ("", "42601", None, "empty"),
        (" -- nothing\n;", "42601", None, "empty"),
        ("insert into orders values (1)", "0A000", 1, "not INSERT"),
        (" vacuum", "0A000", 2, "not VACUUM"),
        ("select 1 into t", "0A000", None, "this statement writes"),
        ("with x as (select 1) insert into pg_temp.t select * from x", "42P01", 34, "does not exist"),
        ("select * from orders for update", "42501", None, "permission denied for view orders"),
        ("select id from orders where id in (select id from customers for share)", "42501", None, "permission denied"),
        ("select '\0'", "22021", None, "invalid byte sequence"),
        ("select '\ud800'", "22021", None, "Unicode"),
        ("select 'open", "42601", 8, "unterminated quoted string"),
    ],
)
def test_errors_are_postgresqls_own(ask: Ask, sql: str, state: str, position: int | None, words: str) -> None:
    error = ask.refused(sql)
    assert (error.sqlstate, error.position) == (state, position), error
    assert words in error.message


def test_writing_ctes_are_refused(ask: Ask, canon: Canon) -> None:
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE public.real (a int)")
        try:
            for sql in (
                "with x as (insert into real values (1) returning a) select * from x",
                "with x as (delete from real returning a) select * from x, orders",
                "with x as (select 1 as b) update real set a = b from x",
            ):
                assert ask.refused(sql).message == "only SELECT can be planned: this statement writes"
        finally:
            connection.execute("DROP TABLE public.real")


def test_hints_are_postgresqls_own(ask: Ask) -> None:
    assert "orders.customer" in (ask.refused("select custmer from orders").hint or "")


@pytest.mark.parametrize(
    "sql",
    [
        "select row(1, 2), id from orders",
        "select o from orders o",
        "select pg_sleep(0) from orders",
        "select id as a, total as a from orders",
        "select from orders",
        "select c.name || o.x from customers c, (select 'a' collate \"C\" as x from orders) o",
        "table orders",
        "values (1, 'a'), (2, null)",
        "(select id from orders) union all (select id from customers order by name limit 3) order by 1",
        "with recursive r(n) as (select 1 union all select n + 1 from r where n < 3) select * from r, orders",
        "select * from orders, lateral (select name from customers c where c.id = orders.customer) as l",
        "select " + ", ".join(f"id as i{n}" for n in range(1650)) + " from orders",
        "select id end from orders",
        "select 1 from orders -- a comment without an end",
    ],
)
def test_all_that_can_be_selected_can_be_analysed(ask: Ask, canon: Canon, sql: str) -> None:
    statement = ask(sql)
    again = ask(statement.text, ())
    assert again.columns == statement.columns
    assert again.relations == statement.relations
    assert again.text.split() == statement.text.split()


def test_what_reads_the_session_says_so(ask: Ask) -> None:
    assert not ask("select now(), id from orders").session
    for sql in (
        "select relname from pg_class",
        "select * from information_schema.tables",
        "select id from orders where exists (select from pg_catalog.pg_type)",
        "select pg_backend_pid()",
        "select currval('pg_class') from orders",
    ):
        assert ask(sql).session, sql


def test_constants_of_the_sessions_settings(ask: Ask) -> None:
    sql = "select timestamptz '2024-07-01 12:00', date '01/02/2024'"
    assert ask.text(sql) == (
        "SELECT '2024-07-01 12:00:00+00'::timestamp with time zone AS timestamptz, '2024-01-02'::date AS date"
    )
    berlin = ask.text(sql, settings={"TimeZone": "Europe/Berlin", "DateStyle": "SQL, DMY"})
    assert berlin == (
        "SELECT '2024-07-01 10:00:00+00'::timestamp with time zone AS timestamptz, '2024-02-01'::date AS date"
    )
    assert "10:00" not in ask.text(sql)
    assert ask.refused("select 1", settings={"TimeZone": "No/Where"}).sqlstate == "22023"
    assert ask.text("select 1") == "SELECT 1"


def test_strings_without_standard_conforming(ask: Ask) -> None:
    assert ask.text(r"select 'a\'b $1', $1::int", settings={"standard_conforming_strings": "off"}).startswith(
        "SELECT 'a''b $1'::text"
    )


def test_what_read_the_clock_is_not_kept(ask: Ask) -> None:
    assert ask("select 'today'::date").fleeting
    assert ask(r"select E'\nnow'::timestamptz").fleeting
    assert ask("select 'today 12:00'::timestamp").fleeting
    assert not ask("select current_date, name as today from customers").fleeting
    assert not ask("select 'known', 'purchasesToday' from customers").fleeting
    assert not ask("select 'unknown', 'known since', 'nowhere'").fleeting
    assert ask("select id from orders") is ask("select id from orders")
    assert ask("select 'now'::timestamptz") is not ask("select 'now'::timestamptz")


def test_every_text_in_which_postgresql_finds_a_clock_is_known(canon: Canon) -> None:
    """Whatever character stands beside the word."""
    beside = ["", *map(chr, range(1, 128)), "\u00e9", "\u017f", "10:00", " 2024-01-01", "aaaaaaaa"]
    texts = [text for word in ("now", "TODAY") for other in beside for text in (other + word, word + other)]
    found = set()
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        for kind in ("date", "timestamptz", "time"):
            read = "SELECT t FROM unnest(%s::text[]) t WHERE pg_input_is_valid(t, %s)"
            found |= {text for (text,) in connection.execute(read, (texts, kind))}
    assert len(found) > 50
    assert [text for text in sorted(found) if not fleeting("select '" + text.replace("'", "''") + "'", True)] == []


def test_nothing_stays_behind(ask: Ask, canon: Canon) -> None:
    ask("select 1234 from orders")
    ask.refused("select nope1234 from orders")
    with psycopg.connect(canon.dsn()) as connection:
        found = connection.execute(
            "SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'vdw_statement%'), "
            "(SELECT count(*) FROM pg_proc WHERE proname LIKE 'vdw_statement%')"
        ).fetchone()
    assert found == (0, 0)


def test_a_change_of_the_shells(ask: Ask, canon: Canon) -> None:
    assert ask("select * from orders").columns[-1] == ("total", numeric(12, 2))
    try:
        install_relations(canon.dsn(), [CUSTOMERS, ORDERS.__class__("shop", "orders", (("total", PgType("int4")),))])
        ask.analyser.reset()
        assert ask("select * from orders").columns == (("total", PgType("int4")),)
    finally:
        install_relations(canon.dsn(), [CUSTOMERS, ORDERS])
        ask.analyser.reset()
    assert ask("select * from orders").relations == (("shop", "orders"),)


def test_privileges(ask: Ask, canon: Canon) -> None:
    apply(canon.dsn(), {"ada": Account("x", ("crm.*",))})
    ask.analyser.reset()
    try:
        ask("select id from customers", user="ada")
        error = ask.refused("select customers.id from customers, orders", user="ada")
        assert (error.sqlstate, error.message) == ("42501", "permission denied for view orders")
        assert ask.refused("select id from customers", user="nobody").sqlstate == "42501"
        ask("select 1", user="nobody")
    finally:
        apply(canon.dsn(), {})
        ask.analyser.reset()


def test_many_at_once(ask: Ask) -> None:
    async def all_of_them() -> list[Statement]:
        texts = [f"select id + {n} as n from {'orders' if n % 2 else 'customers'} where id = $1" for n in range(60)]
        return await asyncio.gather(*(ask.analyser.analyse(text, PATH) for text in texts))

    found = ask.loop.run(all_of_them())
    assert [statement.relations[0][1] for statement in found] == ["customers", "orders"] * 30
    assert all(f"+ {n})" in statement.text for n, statement in enumerate(found) if n)


def test_a_cancelled_analysis_harms_no_other(ask: Ask) -> None:
    async def interrupted() -> None:
        for n in range(20):
            task = asyncio.create_task(ask.analyser.analyse(f"select id, {n}, 'cancel' from orders", PATH))
            await asyncio.sleep(0.0002 * n)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    ask.loop.run(interrupted())
    assert ask.text("select id, 'after' from orders") == "SELECT orders.id, 'after'::text FROM shop.orders"


def test_a_large_statement(ask: Ask) -> None:
    assert len(ask("select id from orders where id in (" + ", ".join(map(str, range(30_000))) + ")").text) > 100_000


@pytest.mark.slow
def test_after_a_crash_of_the_canon(loop: asyncio.Runner) -> None:
    with Canon() as canon:
        install_relations(canon.dsn(), [CUSTOMERS])

        async def life() -> tuple[Statement, Statement]:
            analyser = Analyser(canon)
            await analyser.start()
            before = await analyser.analyse("select id from crm.customers")
            os.kill(canon.pid, signal.SIGKILL)
            at_once = await analyser.analyse("select id, 2 from crm.customers")
            await asyncio.to_thread(canon.wait, 2)
            after = await analyser.analyse("select id, 3 from crm.customers")
            assert at_once.relations == after.relations
            await analyser.close()
            return before, after

        before, after = loop.run(life())
        assert before.relations == after.relations
        assert canon.generation == 2


@pytest.mark.parametrize("form", [VIEW, BODY])
@pytest.mark.parametrize("in_transaction", [True, False])
def test_on_a_sessions_own_backend(ask: Ask, canon: Canon, form: Form, in_transaction: bool) -> None:
    async def session() -> None:
        wire = await Wire.connect(canon.dsn())
        try:
            await wire.rows("CREATE TEMP TABLE mine (id bigint, note varchar(5))", "SET search_path TO shop")
            if in_transaction:
                await wire.rows("BEGIN", "INSERT INTO mine VALUES (7, 'x')")
            statement = await ask.analyser.analyse_on(
                wire,
                "select note, total from mine join orders using (id) where id = $1",
                in_transaction=in_transaction,
                form=form,
            )
            assert statement.session
            assert statement.relations == (("shop", "orders"),)
            assert statement.columns[0] == ("note", PgType("varchar", 9))
            assert "(mine" in " ".join(statement.text.split())  # bare names are the session's
            with pytest.raises(QueryError) as caught:
                await ask.analyser.analyse_on(wire, "select nope from mine", in_transaction=in_transaction, form=form)
            assert (caught.value.sqlstate, caught.value.position) == ("42703", 8)
            rows = await wire.rows("SELECT count(*) FROM mine", "SELECT to_regclass('vdw_statement') IS NULL")
            assert rows == [[("1" if in_transaction else "0",)], [("t",)]]
        finally:
            wire.close()

    ask.loop.run(session())


@pytest.mark.parametrize(
    "sql",
    [
        "select note, total from mine join orders using (id) where id = $1",
        "select row(note, $1::int), total from mine, orders",
    ],
)
def test_on_a_sessions_backend_that_cannot(ask: Ask, canon: Canon, sql: str) -> None:
    async def session() -> None:
        wire = await Wire.connect(canon.dsn())
        try:
            await wire.rows(
                "CREATE TEMP TABLE mine (id bigint, note varchar(5))",
                "SET search_path TO shop",
                "SET TimeZone TO 'Asia/Tokyo'",
            )
            await wire.rows("BEGIN READ ONLY", "SELECT 1")
            statement = await ask.analyser.analyse_on(wire, sql, in_transaction=True)
            assert statement.session
            assert statement.relations == (("shop", "orders"),)
            assert len(statement.params) == 1
            (rows,) = await wire.rows("SELECT count(*) FROM mine")
            assert rows == [("0",)]
        finally:
            wire.close()

    ask.loop.run(session())
    assert ask.text("select timestamptz '2020-01-01 00:00', 'after it'").startswith("SELECT '2020-01-01 00:00:00+00'")
    with pytest.raises(QueryError, match="mine"):
        ask("select * from mine")
