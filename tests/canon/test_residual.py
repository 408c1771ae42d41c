"""Rows into the canon and out of it: every type, NULLs and edges, as PostgreSQL itself reads and prints them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.base import Bound, Cancel
from connectors.errors import Error, LimitExceeded, QueryError
from connectors.types import PgType, bpchar, numeric
from federation.canon import bulk, residual
from federation.canon.arrays import FEW, array, wire_type
from federation.canon.residual import Mergers, inputs, run, with_arrays
from federation.canon.roles import Account, apply
from federation.canon.server import Canon
from federation.session import Session
from planner.plan import Fragment, Plan, SourceText

MANY = settings(max_examples=12, suppress_health_check=list(HealthCheck))
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
INFINITE_DAY, INFINITE_MICRO = 2**31 - 1, 2**63 - 1
FIRST_DAY, LAST_DAY = -2_440_588, 2_145_042_540  # 4714-11-24 BC and 5874897-12-31, from 1970
FIRST_MICRO, LAST_MICRO = -210_866_803_200_000_000, 9_223_372_036_854_775_806
TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12)


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    bound = 10**precision - 1
    return st.integers(-bound, bound).map(lambda n: Decimal(f"{n}E{-scale}"))


def samples(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


# Each type with values as their Arrow form has them (for days and moments: the number).
TYPES: dict[PgType, st.SearchStrategy[Any]] = {
    PgType("bool"): st.booleans(),
    PgType("int2"): st.integers(-(2**15), 2**15 - 1),
    PgType("int4"): st.integers(-(2**31), 2**31 - 1),
    PgType("int8"): st.integers(-(2**63), 2**63 - 1),
    PgType("oid"): st.integers(0, 2**32 - 1),
    PgType("float4"): st.floats(width=32),
    PgType("float8"): st.floats(),
    numeric(5, 2): decimals(5, 2),
    numeric(4, 4): decimals(4, 4),
    numeric(18, 0): decimals(18, 0),
    numeric(19, 1): decimals(19, 1),
    numeric(20, 17): decimals(20, 17),
    numeric(38, 0): decimals(38, 0),
    numeric(38, 19): decimals(38, 19),
    numeric(38, 38): decimals(38, 38),
    numeric(60, 3): samples("1.500", "-" + "9" * 57 + ".123", "0.000", "NaN"),
    numeric(3, -2): samples("12300", "-100", "0"),
    PgType("numeric"): st.one_of(
        decimals(30, 9).map(lambda d: f"{d:f}"),
        samples("NaN", "Infinity", "-Infinity", "0", "1.500", "1e-20", "9" * 500),
    ).map(lambda s: f"{Decimal(s):f}" if "e" in s else s),
    PgType("text"): TEXT,
    PgType("varchar"): TEXT,
    bpchar(5): TEXT.map(lambda s: s[:5].ljust(5)),
    PgType("name"): st.text("abcé", max_size=20),
    PgType("bytea"): st.binary(max_size=12),
    PgType("date"): st.one_of(st.integers(FIRST_DAY, LAST_DAY), st.sampled_from([INFINITE_DAY, -INFINITE_DAY, 0])),
    PgType("time"): st.one_of(st.integers(0, 86_400_000_000), st.just(86_400_000_000)),
    PgType("timestamp"): st.one_of(
        st.integers(FIRST_MICRO, LAST_MICRO), st.sampled_from([INFINITE_MICRO, -INFINITE_MICRO, 0, -1])
    ),
    PgType("timestamptz"): st.one_of(
        st.integers(FIRST_MICRO, LAST_MICRO), st.sampled_from([INFINITE_MICRO, -INFINITE_MICRO, 0, -1])
    ),
    PgType("uuid"): st.uuids().map(str),
    PgType("json"): samples('{"a" : 1,  "a": 2}', "null", '"ü"', "[]"),
    PgType("jsonb"): samples('{"a": 1, "b": [1.50, null]}', "null", '"ü\\"x"', "[]"),
    PgType("interval"): samples("1 day", "-1 mons +2 days 00:00:01.5", "1 year 2 mons", "00:00:00", "infinity"),
    PgType("inet"): samples("10.0.0.1", "10.0.0.0/8", "::1", "::/0"),
    PgType("cidr"): samples("10.0.0.0/8", "::1/128"),
    PgType("macaddr"): samples("08:00:2b:01:02:03"),
    PgType("money"): samples("$1,234.50", "-$0.01"),
    PgType("bit", 3): samples("101", "000"),
    PgType("varbit"): samples("", "1", "0101"),
    PgType("timetz"): samples("12:00:00+02", "24:00:00-15:59"),
    PgType("char"): samples("a", ""),
    PgType("_int4"): samples("{1,NULL,-3}", "{}", "[0:1]={1,2}", "{{1,2},{3,4}}"),
    PgType("_text"): samples('{a,"b c",NULL,"NULL","\\"\\\\"}', "{}"),
    PgType("_numeric"): samples("{1.50,NaN}"),
    PgType("_timestamptz"): samples('{"2020-01-01 00:00:00+00"}'),
    PgType("int4range", -1, 3904): samples("[1,5)", "empty", "(,)"),
    PgType("tsvector", -1, 3614): samples("'a':1 'b'", ""),
    PgType("point", -1, 600): samples("(1,2.5)"),
}
KINDS = list(TYPES)


def column(values: Sequence[Any], kind: PgType) -> pa.Array:
    """The Arrow form of values."""
    if kind.name == "date":
        return pa.array(values, pa.int32()).view(kind.arrow)
    if kind.name in ("time", "timestamp", "timestamptz"):
        return pa.array(values, pa.int64()).view(kind.arrow)
    return pa.array(values, kind.arrow)


def fragment(number: int, *kinds: PgType) -> Fragment:
    return Fragment(number, "s", SourceText(("x",), ()), tuple((f"n{i}", kind) for i, kind in enumerate(kinds)))


def plan(sql: str, columns: Sequence[PgType], *fragments: Fragment, params: tuple[PgType, ...] = ()) -> Plan:
    return Plan(fragments, tuple((f"o{i}", kind) for i, kind in enumerate(columns)), params, sql)


class Merge:
    """Runs residuals in the module's loop."""

    def __init__(self, canon: Canon, loop: asyncio.Runner) -> None:
        self.loop, self.canon = loop, canon
        self.mergers = loop.run(self._made())

    async def _made(self) -> Mergers:
        return Mergers(self.canon)

    def __call__(
        self,
        asked: Plan,
        tables: Mapping[int, pa.Table],
        params: Sequence[Bound] = (),
        session: Session | None = None,
        cancel: Cancel | None = None,
    ) -> pa.Table:
        async def rows() -> pa.Table:
            found = run(self.mergers, asked, tables, params, session or Session("nobody"), cancel)
            return pa.Table.from_batches([batch async for batch in found])

        return self.loop.run(rows())


@pytest.fixture(scope="module")
def merge(canon: Canon, loop: asyncio.Runner) -> Iterator[Merge]:
    apply(canon.dsn(), {"ada": Account("x")})
    made = Merge(canon, loop)
    yield made
    loop.run(made.mergers.close())
    apply(canon.dsn(), {})


@pytest.fixture(scope="module")
def connection(canon: Canon) -> Iterator[psycopg.Connection]:
    with psycopg.connect(canon.dsn(), autocommit=True) as made:
        made.execute("SET extra_float_digits = 1; SET lc_monetary = 'C'")
        yield made


def printed(value: Any, kind: PgType) -> str | None:
    """A value as PostgreSQL's input takes it, independent of the code under test."""
    if value is None:
        return None
    if kind.name == "date":
        return {INFINITE_DAY: "infinity", -INFINITE_DAY: "-infinity"}.get(value) or f"J{value + 2_440_588}"
    if kind.name == "time":
        seconds, micros = divmod(value, 1_000_000)
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micros:06}"
    if kind.name in ("timestamp", "timestamptz"):
        return {INFINITE_MICRO: "infinity", -INFINITE_MICRO: "-infinity"}.get(value) or _moment(value)
    if kind.name == "bytea":
        return "\\x" + value.hex()
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value).replace("inf", "Infinity")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _moment(micros: int) -> str:
    days, rest = divmod(micros, 86_400_000_000)
    seconds, part = divmod(rest, 1_000_000)
    return f"J{days + 2_440_588} {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{part:06}+00"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.sql)
@MANY
@given(data=st.data())
def test_an_array_holds_what_postgresql_reads_from_the_text(
    connection: psycopg.Connection, kind: PgType, data: st.DataObject
) -> None:
    values = data.draw(st.lists(st.one_of(st.none(), TYPES[kind]), max_size=6))
    values *= data.draw(st.sampled_from([1, 1, FEW + 1]))  # past FEW another way is taken
    made = array(column(values, kind), kind)
    texts = [printed(value, kind) for value in values]
    sql = (
        "SELECT count(*), count(*) FILTER (WHERE a.n IS DISTINCT FROM b.n OR (a.v IS NULL) <> (b.v IS NULL)"
        f" OR a.v::{kind.bare.sql}::text IS DISTINCT FROM b.v::{kind.bare.sql}::text)"
        f" FROM unnest(%b::{wire_type(kind).sql}[]) WITH ORDINALITY AS a(v, n)"
        " FULL JOIN unnest(%s::text[]) WITH ORDINALITY AS b(v, n) ON a.n = b.n"
    )
    result = connection.pgconn.exec_params(
        sql.replace("%b", "$1").replace("%s", "$2").encode(),
        [made, _text_array(texts)],
        [wire_type(kind).array.type_oid, 1009],
        [1, 0],
        0,
    )
    assert result.error_message == b"", (result.error_message, values)
    assert (result.get_value(0, 0), result.get_value(0, 1)) == (str(len(values)).encode(), b"0"), values


def _text_array(texts: Sequence[str | None]) -> bytes:
    items = ["NULL" if t is None else '"' + t.replace("\\", "\\\\").replace('"', '\\"') + '"' for t in texts]
    return ("{" + ",".join(items) + "}").encode()


@MANY
@given(data=st.data())
def test_what_goes_in_comes_out(merge: Merge, data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
    count = data.draw(st.sampled_from([0, 1, 2, 7]))
    many = data.draw(st.sampled_from([1, 1, 300]))
    values = [data.draw(st.lists(st.one_of(st.none(), TYPES[k]), min_size=count, max_size=count)) * many for k in kinds]
    made = [column(value, kind) for value, kind in zip(values, kinds, strict=True)]
    number = pa.array(range(count * many), pa.int64())
    table = pa.table([*made, number], names=[f"c{i}" for i in range(len(kinds) + 1)])
    table = pa.concat_tables([table.slice(0, 1), table.slice(1)])  # in chunks, with an offset
    columns = ", ".join(f"c{i}" for i in range(len(kinds)))
    asked = plan(f"SELECT {columns} FROM f0 ORDER BY c{len(kinds)}", kinds, fragment(0, *kinds, PgType("int8")))
    with patch.object(residual, "PARAMETERS", data.draw(st.sampled_from([2**20, -1]))), patch.object(bulk, "PIECE", 50):
        answer = merge(asked, {0: table})
    for found, expected, kind in zip(answer.columns, made, kinds, strict=True):
        assert found.type == kind.arrow
        assert _same(found.combine_chunks(), expected), (kind, expected, found)


def _same(found: pa.Array, expected: pa.Array) -> bool:
    if pa.types.is_floating(found.type):  # NaN is NaN here
        return repr(found.to_pylist()).replace("-nan", "nan") == repr(expected.to_pylist())
    return found.equals(expected)


def test_a_join_of_two_fragments_with_parameters(merge: Merge) -> None:
    customers = pa.table({"c0": [1, 2, 3], "c1": ["ada", "bob", None]})
    orders = pa.table({"c0": [1, 1, 3], "c1": pa.array([Decimal("1.50"), None, Decimal("2.25")], pa.decimal128(10, 2))})
    asked = plan(
        "SELECT f0.c1, sum(f1.c1), count(*) FROM f0 LEFT JOIN f1 ON f1.c0 = f0.c0 WHERE f0.c0 <> $1 AND $2 = ANY ($3)"
        " GROUP BY f0.c0, f0.c1 ORDER BY f0.c0",
        [PgType("text"), PgType("numeric"), PgType("int8")],
        fragment(0, PgType("int8"), PgType("text")),
        fragment(1, PgType("int8"), numeric(10, 2)),
        params=(PgType("int8"), PgType("date"), PgType("_date")),
    )
    day = date(2024, 2, 29)
    params = [Bound(PgType("int8"), 2), Bound(PgType("date"), day), Bound(PgType("_date"), [day, None])]
    for _ in range(8):  # the prepared statement's generic plan too
        assert merge(asked, {0: customers, 1: orders}, params).to_pydict() == {
            "c0": ["ada", None],
            "c1": ["1.50", "2.25"],
            "c2": [2, 1],
        }
    assert merge(asked, {0: customers, 1: orders}, [Bound(PgType("int8"), None), *params[1:]]).num_rows == 0


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1 AS a", "SELECT 1 AS a"),
        (
            "with x as (select 1) select * from x, f0",
            "WITH f0(c0) AS (SELECT * FROM unnest($1::bigint[])), x as (select 1) select * from x, f0",
        ),
        (
            "WITH RECURSIVE x AS (SELECT 1) TABLE f0",
            "WITH RECURSIVE f0(c0) AS (SELECT * FROM unnest($1::bigint[])),  x AS (SELECT 1) TABLE f0",
        ),
        (
            "(SELECT 1) UNION TABLE f0 ORDER BY 1",
            "WITH f0(c0) AS (SELECT * FROM unnest($1::bigint[])) (SELECT 1) UNION TABLE f0 ORDER BY 1",
        ),
    ],
)
def test_with_arrays(canon: Canon, sql: str, expected: str) -> None:
    fragments = (fragment(0, PgType("int8")),) if "f0" in expected else ()
    made = with_arrays(Plan(fragments, ()), sql)
    assert " ".join(made.split()) == " ".join(expected.split())
    with psycopg.connect(canon.dsn()) as connection:
        assert connection.pgconn.prepare(b"", made.encode(), [1016]).error_message == b""


def test_arrays_of_types_without_a_binary_form_are_cast() -> None:
    asked = Plan((fragment(3, PgType("int4"), PgType("interval")),), (), (PgType("text"),))
    assert with_arrays(asked, "TABLE f3") == (
        "WITH f3(c0, c1) AS (SELECT u.c0, u.c1::interval FROM unnest($2::integer[], $3::text[]) AS u(c0, c1)) TABLE f3"
    )


@pytest.mark.parametrize("most", [2**20, -1])
def test_a_fragment_without_columns_counts_its_rows(merge: Merge, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residual, "PARAMETERS", most)
    table = pa.table({"x": [1, 2, 3]}).select([])
    assert table.num_rows == 3
    assert merge(plan("SELECT count(*) FROM f0", [PgType("int8")], fragment(0)), {0: table})["c0"].to_pylist() == [3]


def test_an_answer_without_columns_has_its_rows(merge: Merge) -> None:
    table = pa.table({"c0": [1, 2, 3]})
    assert merge(plan("SELECT FROM f0", [], fragment(0, PgType("int8"))), {0: table}).num_rows == 3


def test_large_inputs_come_in_pieces(merge: Merge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residual, "PIECE", 10_000)
    table = pa.table({"c0": list(range(5000)), "c1": [f"n{i}" if i % 3 else None for i in range(5000)]})
    asked = plan("SELECT c0, c1 FROM f0", [PgType("int8"), PgType("text")], fragment(0, PgType("int8"), PgType("text")))
    values, pieces = inputs(asked, {0: table})
    assert pieces[0] > 3
    assert len(values) == 2 * pieces[0]
    assert merge(asked, {0: table}).equals(table)


def test_more_rows_than_parameters_go_through_tables_that_are_gone_afterwards(
    merge: Merge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residual, "PARAMETERS", 1000)
    monkeypatch.setattr(bulk, "PIECE", 10_000)
    people = pa.table({"c0": list(range(3000)), "c1": [f"n{i}" if i % 3 else None for i in range(3000)]})
    things = pa.table({"c0": [i % 1000 for i in range(5000)]})
    fragments = (fragment(0, PgType("int8"), PgType("text")), fragment(1, PgType("int8")))
    sql = "SELECT count(f0.c1), current_setting('transaction_read_only'), (SELECT sum(reltuples) FROM pg_class " \
        "WHERE relname LIKE 'vdw\\_f%') FROM f0 JOIN f1 ON f1.c0 = f0.c0 AND f0.c0 < $1"  # fmt: skip
    asked = plan(sql, [PgType("int8"), PgType("text"), PgType("float4")], *fragments, params=(PgType("int8"),))
    for _ in range(2):
        answer = merge(asked, {0: people, 1: things}, [Bound(PgType("int8"), 500)])
        assert answer.to_pylist() == [{"c0": sum(1 for i in range(5000) if i % 1000 < 500 and i % 1000 % 3), "c1": "on",
                                       "c2": 8000.0}]  # fmt: skip
    left = plan("SELECT count(*) FROM pg_class WHERE relname LIKE 'vdw\\_f%'", [PgType("int8")])
    assert merge(left, {})["c0"].to_pylist() == [0]
    with pytest.raises(QueryError, match="division by zero"):
        merge(plan("SELECT 1 / c0 FROM f0", [PgType("int8")], fragment(0, PgType("int8"))), {0: things})
    assert merge(left, {})["c0"].to_pylist() == [0]


def test_joins_of_many_rows_are_not_loops(merge: Merge) -> None:
    """A filter of which PostgreSQL expects a row, and 2,000 come: each would have the other side read."""
    table = pa.table({"c0": list(range(2000)), "c1": ["a"] * 2000})
    both = (fragment(0, PgType("int8"), PgType("text")), fragment(1, PgType("int8"), PgType("text")))
    sql = "SELECT current_setting('enable_nestloop'), count(*) FROM f0 JOIN f1 ON f0.c0 = f1.c0 WHERE f0.c1 = 'a'"
    asked = plan(sql, [PgType("text"), PgType("int8")], *both)
    assert merge(asked, {0: table, 1: table}).to_pylist() == [{"c0": "off", "c1": 2000}]
    few = merge(asked, {0: table, 1: table.slice(0, 10)}).to_pylist()
    assert few == [{"c0": "on", "c1": 10}]


def test_more_than_the_tables_may_hold_is_refused() -> None:
    table = pa.table({"c0": list(range(200_000))})
    with pytest.raises(LimitExceeded, match="a merge may put") as caught:
        bulk.bounded({0: table}, limit=2**20)
    assert caught.value.sqlstate == "53400"
    assert "EXPLAIN" in str(caught.value.hint)


def test_more_than_a_message_holds_is_refused(merge: Merge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residual, "MESSAGE", 2**20)
    table = pa.table({"c0": list(range(200_000))})
    with pytest.raises(LimitExceeded, match="the canon takes 1 MB") as caught:
        merge(plan("TABLE f0", [PgType("int8")], fragment(0, PgType("int8"))), {0: table})
    assert caught.value.sqlstate == "53400"


def test_many_rows_come_in_batches(merge: Merge) -> None:
    table = pa.table({"c0": list(range(50_000))})
    answer = merge(plan("SELECT c0 FROM f0", [PgType("int8")], fragment(0, PgType("int8"))), {0: table})
    assert answer["c0"].num_chunks > 1
    assert answer["c0"].to_pylist() == list(range(50_000))


@pytest.mark.slow
def test_a_million_rows_do_not_take_minutes(merge: Merge) -> None:
    table = pa.table({"c0": pa.array(range(1_000_000)), "c1": pa.array([Decimal(7)] * 1_000_000, pa.decimal128(38, 9))})
    asked = plan(
        "SELECT count(*), sum(c1) FROM f0",
        [PgType("int8"), PgType("numeric")],
        fragment(0, PgType("int8"), numeric(38, 9)),
    )
    assert merge(asked, {0: table}).to_pylist() == [{"c0": 1_000_000, "c1": "7000000.000000000"}]


def test_errors_are_postgresqls_own_and_the_connection_lives(merge: Merge) -> None:
    asked = plan("SELECT 1 / c0 FROM f0", [PgType("int4")], fragment(0, PgType("int4")))
    zero, one = pa.table({"c0": pa.array([0], pa.int32())}), pa.table({"c0": pa.array([1], pa.int32())})
    for _ in range(3):
        with pytest.raises(QueryError, match="division by zero") as caught:
            merge(asked, {0: zero})
        assert caught.value.sqlstate == "22012"
        assert merge(asked, {0: one})["c0"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("sql", "kind", "state"),
    [
        ("SELECT 'NaN'::numeric(10,2)", numeric(10, 2), "22003"),
        ("SELECT '294276-12-31'::timestamp", PgType("timestamp"), "22008"),
    ],
)
def test_values_without_an_arrow_form_are_errors(merge: Merge, sql: str, kind: PgType, state: str) -> None:
    with pytest.raises(Error) as caught:
        merge(plan(sql, [kind]), {})
    assert caught.value.sqlstate == state
    assert merge(plan("SELECT 1", [PgType("int4")]), {})["c0"].to_pylist() == [1]


def test_role_settings_and_path_are_the_sessions(merge: Merge) -> None:
    asked = plan(
        "SELECT current_user, current_setting('TimeZone'), (timestamptz 'epoch')::text, current_schemas(false)::text",
        [PgType("name"), PgType("text"), PgType("text"), PgType("text")],
    )
    berlin = Session("ada", {"TimeZone": "Europe/Berlin", "DateStyle": "German"}, ("pg_catalog", "public"))
    plain = Session("unknown")
    for _ in range(2):
        row = list(merge(asked, {}, session=berlin).to_pylist()[0].values())
        assert row == ["ada", "Europe/Berlin", "01.01.1970 01:00:00 CET", "{pg_catalog,public}"]
        row = list(merge(asked, {}, session=plain).to_pylist()[0].values())
        assert row == ["vdw_merge", "UTC", "1970-01-01 00:00:00+00", "{public}"]


def test_what_a_statement_sets_does_not_stay(merge: Merge) -> None:
    session = Session("ada")
    merge(
        plan("SELECT set_config('role', 'none', false), set_config('my.x', '1', false)", [PgType("text")] * 2),
        {},
        session=session,
    )
    asked = plan("SELECT current_user, current_setting('my.x', true)", [PgType("name"), PgType("text")])
    assert merge(asked, {}, session=session)["c0"].to_pylist()[0] == "ada"
    assert merge(asked, {}, session=session)["c1"].to_pylist() in ([None], [""])


def test_nothing_can_be_written(merge: Merge) -> None:
    for sql in ("SELECT nextval('s')", "SELECT lo_create(0)", "SELECT pg_read_file('PG_VERSION')"):
        with pytest.raises(QueryError):
            merge(plan(sql, [PgType("text")]), {}, session=Session("ada"))


def test_a_timeout_and_a_cancel_stop_the_work(merge: Merge, loop: asyncio.Runner) -> None:
    asked = plan("SELECT pg_sleep(30)::text", [PgType("text")])
    began = time.monotonic()
    with pytest.raises(LimitExceeded, match="statement timeout"):
        merge(asked, {}, session=Session("ada", timeout=0.2))
    cancel, reason = Cancel(), LimitExceeded("enough", sqlstate="57014")

    async def cancelled() -> None:
        asyncio.get_running_loop().call_later(0.2, cancel.fire, reason)
        async for _ in run(merge.mergers, asked, {}, (), Session("ada"), cancel):
            raise AssertionError

    with pytest.raises(LimitExceeded, match="enough"):
        loop.run(cancelled())
    assert time.monotonic() - began < 20
    with psycopg.connect(merge.canon.dsn()) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active'"
            " AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row == (0,)


@pytest.mark.slow
def test_left_early_the_statement_stops_at_the_server(merge: Merge, loop: asyncio.Runner) -> None:
    asked = plan("SELECT g FROM generate_series(1, 100000000) AS g", [PgType("int4")])

    async def first() -> int:
        answer = run(merge.mergers, asked, {}, (), Session("ada"))
        async for batch in answer:
            await answer.aclose()
            return batch.num_rows
        return 0

    assert loop.run(first()) == residual.BATCH
    end = time.monotonic() + 5
    with psycopg.connect(merge.canon.dsn(), autocommit=True) as connection:
        while True:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%100000000%' AND pid <> pg_backend_pid()"
            ).fetchone()
            if row == (0,) or time.monotonic() > end:
                break
    assert row == (0,)


def test_concurrent_residuals(merge: Merge, loop: asyncio.Runner) -> None:
    asked = plan("SELECT c0 * 2 FROM f0", [PgType("int8")], fragment(0, PgType("int8")))

    async def one(n: int) -> list[int]:
        found = run(merge.mergers, asked, {0: pa.table({"c0": [n]})}, (), Session("ada" if n % 2 else "x"))
        return [value for batch in [b async for b in found] for value in batch.column(0).to_pylist()]

    async def all_of_them() -> list[list[int]]:
        return await asyncio.gather(*(one(n) for n in range(80)))

    assert loop.run(all_of_them()) == [[2 * n] for n in range(80)]


@pytest.mark.parametrize(
    "value", [clock(1, 2, 3), datetime(2020, 1, 1, tzinfo=UTC), b"\0\xff", True, 1.5, "x", [1, None], None]
)
def test_parameters_as_python_values(merge: Merge, value: Any) -> None:
    name = {clock: "time", datetime: "timestamptz", bytes: "bytea", bool: "bool", float: "float8", list: "_int4"}.get(
        type(value), "text"
    )
    kind = PgType(name)
    answer = merge(plan("SELECT $1", [kind], params=(kind,)), {}, [Bound(kind, value)])
    expected = "{1,NULL}" if isinstance(value, list) else value
    assert answer["c0"].to_pylist() == [expected]
