"""Rows as we encode them are, byte for byte, what PostgreSQL itself makes of the same values."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from decimal import Context, Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import ExecStatus, Format, PGconn

from api.pgwire import rows
from api.pgwire.copying import CopyFormat, copy_rows
from api.pgwire.packets import read_data_row
from api.pgwire.server import zone_files
from connectors.types import PgType, bpchar, numeric, varchar
from federation.canon.server import Canon

pytestmark = pytest.mark.service

FAST = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
EPOCH = 946_684_800_000_000
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Europe/Amsterdam",
    "Africa/Casablanca", "America/St_Johns", "Pacific/Apia", "Etc/GMT+5", "<+02>-02", "<-03:30>+03:30",
)  # fmt: skip


@pytest.fixture(scope="module")
def pg(canon: Canon) -> Iterator[PGconn]:
    rows.use_zones(zone_files(canon))
    conn = PGconn.connect(canon.dsn().encode())
    conn.exec_(b"set datestyle = 'ISO'")
    yield conn
    conn.finish()


Value = tuple[int, bytes | None]  # format and bytes of a parameter


def told(pg: PGconn, kind: PgType, values: Sequence[Value], result: int) -> list[bytes | None]:
    """What PostgreSQL sends for those values."""
    if not values:
        return []
    listed = ", ".join(f"({i}, cast(${i} AS {kind.sql}))" for i in range(1, len(values) + 1))
    answer = pg.exec_params(
        f"SELECT v FROM (VALUES {listed}) AS t(i, v) ORDER BY i".encode(),
        [raw for _, raw in values],
        [kind.type_oid if form else 0 for form, _ in values],
        [Format(form) for form, _ in values],
        Format(result),
    )
    assert answer.status == ExecStatus.TUPLES_OK, pg.get_error_message()
    return [answer.get_value(i, 0) for i in range(answer.ntuples)]


def ours(array: pa.Array, kind: PgType, code: int, session: dict[str, str]) -> list[bytes | None]:
    """What we send, cut into its cells."""
    batch = pa.record_batch([array], names=["c0"])
    raw, found, at = rows.data_rows(batch, [("c0", kind)], (code,), session), [], 0
    while at < len(raw):
        assert raw[at : at + 1] == b"D"
        (length,) = struct.unpack_from("!i", raw, at + 1)
        (cell,) = read_data_row(raw[at + 5 : at + 1 + length])
        found.append(cell)
        at += 1 + length
    return found


def same(
    pg: PGconn, array: pa.Array, kind: PgType, values: Sequence[Value], session: dict[str, str] | None = None
) -> None:
    for code, few in ((0, 0), (0, 50), (1, 0), (1, 50)):
        rows.FEW = few  # value by value, or by whole columns
        if rows.supports([("c0", kind)], session or {}, (code,)):
            assert ours(array, kind, code, session or {}) == told(pg, kind, values, code)
            half = len(array) // 2  # a slice has an offset
            assert ours(array[half:], kind, code, session or {}) == told(pg, kind, values, code)[half:]


def packed(layout: str, value: object) -> Value:
    return (1, None if value is None else struct.pack(layout, value))


def worded(value: str | None) -> Value:
    return (0, None if value is None else value.encode())


def maybe(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(st.none() | strategy, max_size=12)


DOUBLES = st.floats() | st.sampled_from(
    [1e-4, 1e-5, 9.99e-5, 1e10, 1e15, 1e16, 1e14, 5e-324, -0.0, 2**53 + 1.0, 1e22, 1e23]
)


@given(maybe(DOUBLES))
@FAST
def test_float8(pg: PGconn, values: list[float | None]) -> None:
    same(pg, pa.array(values, pa.float64()), PgType("float8"), [packed("!d", v) for v in values])


# Where it changes to an exponent; the first is the value nearest to 1e-4, and less.
EDGES = [9.999999747378752e-05, 9.999999019782990e-05, 1e6, 999999.0, 1234567.0, 16777216.0, 1e10]


@given(maybe(st.floats(width=32) | st.sampled_from(EDGES)))
@FAST
def test_float4(pg: PGconn, values: list[float | None]) -> None:
    same(pg, pa.array(values, pa.float32()), PgType("float4"), [packed("!f", v) for v in values])


@pytest.mark.parametrize(("name", "layout", "bits"), [("int2", "!h", 15), ("int4", "!i", 31), ("int8", "!q", 63)])
def test_integers(pg: PGconn, name: str, layout: str, bits: int) -> None:
    values = [0, 1, -1, None, 2**bits - 1, -(2**bits), 12345 % 2**bits]
    same(pg, pa.array(values, PgType(name).arrow), PgType(name), [packed(layout, v) for v in values])


def test_oid_and_bool(pg: PGconn) -> None:
    same(
        pg,
        pa.array([0, 1, None, 2**32 - 1], pa.int64()),
        PgType("oid"),
        [packed("!I", v) for v in (0, 1, None, 2**32 - 1)],
    )
    same(pg, pa.array([True, None, False]), PgType("bool"), [packed("!?", v) for v in (True, None, False)])


@given(maybe(st.decimals(-(10**20), 10**20, places=0)), st.integers(0, 18))
@FAST
def test_numeric(pg: PGconn, values: list[Decimal | None], scale: int) -> None:
    kind = numeric(38, scale)
    scaled = [None if v is None else v.scaleb(-(scale // 2)) if v else Decimal(0) for v in values]
    fitted = [None if v is None else v.quantize(Decimal(1).scaleb(-scale), context=Context(prec=60)) for v in scaled]
    same(pg, pa.array(fitted, kind.arrow), kind, [worded(None if v is None else f"{v:f}") for v in fitted])


@given(maybe(st.decimals(-(10**30), 10**30, places=3) | st.decimals(-1, 1, places=40)))
@FAST
def test_numeric_without_bounds(pg: PGconn, values: list[Decimal | None]) -> None:
    texts = [None if v is None else f"{v:f}".replace("-0." + "0" * 40, "0." + "0" * 40) for v in values]
    texts = [None if t is None else (t.lstrip("-") if not Decimal(t) else t) for t in texts]
    same(pg, pa.array(texts, pa.string()), PgType("numeric"), [worded(t) for t in texts])


def test_numeric_special(pg: PGconn) -> None:
    texts = ["NaN", "Infinity", "-Infinity", "0", "0.00", "10000", "0.0001", "1" + "0" * 60, "-0.5", None]
    same(pg, pa.array(texts), PgType("numeric"), [worded(t) for t in texts])


@given(maybe(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)))
@FAST
def test_text(pg: PGconn, values: list[str | None]) -> None:
    array = pa.array(values, pa.string())
    same(pg, array, PgType("text"), [worded(v) for v in values])
    same(pg, array, varchar(9), [worded(v) for v in values])
    padded = [None if v is None else v.ljust(9) for v in values]
    same(pg, pa.array(padded, pa.string()), bpchar(9), [worded(v) for v in values])


@given(maybe(st.binary(max_size=8)))
@FAST
def test_bytea(pg: PGconn, values: list[bytes | None]) -> None:
    same(pg, pa.array(values, pa.binary()), PgType("bytea"), [(1, v) for v in values])


@given(maybe(st.uuids()))
@FAST
def test_uuid(pg: PGconn, values: list[object]) -> None:
    texts = [None if v is None else str(v) for v in values]
    same(pg, pa.array(texts, pa.string()), PgType("uuid"), [worded(t) for t in texts])


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("json", ['{"a": [1,  2]}', "null", None]),
        ("jsonb", ['{"a": [1, 2]}', "null", None]),
        ("interval", ["1 mon 2 days", "-00:00:01.5", None]),
        ("inet", ["10.0.0.1/8", None]),
        ("_int4", ["{1,2,NULL}", None, "{}"]),
        ("_text", ['{a,"b c",NULL}', None]),
    ],
)
def test_types_that_travel_as_text(pg: PGconn, name: str, texts: list[str | None]) -> None:
    same(pg, pa.array(texts, pa.string()), PgType(name), [worded(t) for t in texts])


# PostgreSQL's dates go from 4714-11-24 BC to 5874897-12-31, its timestamps to 294276.
DAYS = st.integers(-2_451_545, 2_145_031_948) | st.integers(-30_000, 30_000) | st.sampled_from([2**31 - 1, -(2**31)])


@given(maybe(DAYS))
@FAST
def test_date(pg: PGconn, values: list[int | None]) -> None:
    ends = {2**31 - 1: 2**31 - 1, -(2**31): -(2**31 - 1)}
    here = [None if v is None else ends.get(v, v + 10_957) for v in values]
    same(pg, pa.array(here, pa.int32()).view(pa.date32()), PgType("date"), [packed("!i", v) for v in values])


MOMENTS = (
    st.integers(-211_813_488_000_000_000, 9_223_371_331_199_999_999)
    | st.integers(-(10**16), 10**15)
    | st.integers(-(10**10), 10**9).map(lambda v: v * 1_000_000)
    | st.sampled_from([2**63 - 1, -(2**63)])
)


def moved(value: int | None) -> int | None:
    """Microseconds since 2000 as microseconds since 1970; Arrow cannot hold what lies past its own end."""
    ends = {2**63 - 1: 2**63 - 1, -(2**63): -(2**63 - 1)}
    return None if value is None else ends.get(value, min(value, 2**63 - 1 - EPOCH - 1) + EPOCH)


def back(value: int | None) -> int | None:
    ends = {2**63 - 1: 2**63 - 1, -(2**63 - 1): -(2**63)}
    return None if value is None else ends.get(value, value - EPOCH)


@given(maybe(MOMENTS))
@FAST
def test_timestamp(pg: PGconn, values: list[int | None]) -> None:
    here = [moved(v) for v in values]
    array = pa.array(here, pa.int64()).view(pa.timestamp("us"))
    same(pg, array, PgType("timestamp"), [packed("!q", back(v)) for v in here])


@pytest.mark.parametrize("zone", ZONES)
@given(values=maybe(MOMENTS))
@FAST
def test_timestamptz(pg: PGconn, zone: str, values: list[int | None]) -> None:
    pg.exec_(f"set timezone = '{zone}'".encode())
    session = {"TimeZone": zone}
    assert rows.supports([("c0", PgType("timestamptz"))], session)
    here = [moved(v) for v in values]
    array = pa.array(here, pa.int64()).view(pa.timestamp("us", "UTC"))
    same(pg, array, PgType("timestamptz"), [packed("!q", back(v)) for v in here], session)


@given(maybe(st.integers(0, 86_400_000_000) | st.just(86_400_000_000)))
@FAST
def test_time(pg: PGconn, values: list[int | None]) -> None:
    array = pa.array(values, pa.int64()).view(pa.time64("us"))
    same(pg, array, PgType("time"), [packed("!q", v) for v in values])


@pytest.mark.parametrize(
    ("kind", "session", "code"),
    [
        ("timestamptz", {"TimeZone": "Nowhere/Land"}, 0),
        ("timestamp", {"DateStyle": "German, DMY"}, 0),
        ("float8", {"extra_float_digits": "0"}, 0),
        ("bytea", {"bytea_output": "escape"}, 0),
        ("interval", {"IntervalStyle": "iso_8601"}, 0),
        ("text", {"client_encoding": "MULE_INTERNAL"}, 0),
        ("interval", {}, 1),
        ("_int4", {}, 1),
    ],
)
def test_says_no(kind: str, session: dict[str, str], code: int) -> None:
    assert not rows.supports([("c0", PgType(kind))], session, (code,))


def test_several_columns_and_no_column(pg: PGconn) -> None:
    batch = pa.record_batch(
        [pa.array([1, None], pa.int32()), pa.array(["x", None]), pa.array([True, False]), pa.array([2, 3], pa.int64())],
        names=["a", "b", "c", "d"],
    )
    kinds = [("a", PgType("int4")), ("b", PgType("text")), ("c", PgType("bool")), ("d", PgType("int8"))]
    text = "SELECT * FROM (VALUES (1::int4, 'x', true, 2::int8), (NULL, NULL, false, 3)) AS v"
    for formats in ((0,), (1,), (0, 1, 1, 0), (1, 0, 0, 1)):
        raw = rows.data_rows(batch, kinds, formats, {})
        cells = [read_data_row(raw[5 : struct.unpack_from("!i", raw, 1)[0] + 1])]
        rest = raw[struct.unpack_from("!i", raw, 1)[0] + 1 :]
        cells.append(read_data_row(rest[5:]))
        for place in range(4):
            code = formats[0] if len(formats) == 1 else formats[place]
            answer = pg.exec_params(text.encode(), None, result_format=Format(code))
            assert [row[place] for row in cells] == [answer.get_value(i, place) for i in range(2)]
    empty = pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))
    assert rows.data_rows(empty, [], (), {}) == b"D\0\0\0\6\0\0" * 2


def test_text_columns() -> None:
    batch = pa.record_batch([pa.array([1.0, None]), pa.array([None, b"\x01"], pa.binary())], names=["a", "b"])
    kinds = [("a", PgType("float8")), ("b", PgType("bytea"))]
    assert rows.text_columns(batch, kinds, {}) == [["1", None], [None, "\\x01"]]


NASTY = st.text(st.sampled_from(list("a\\.,;'\"\n\r\t \bN|é")), max_size=6) | st.sampled_from(
    ["\\.", "\\N", "", "NULL"]
)


@pytest.mark.parametrize(
    "options",
    [
        "",
        "DELIMITER '|', NULL 'NULL'",
        "FORMAT csv",
        "FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'NULL'",
        "FORMAT csv, FORCE_QUOTE *",
        "FORMAT csv, FORCE_QUOTE (b)",
        "FORMAT binary",
    ],
)
@given(values=st.lists(st.tuples(st.none() | NASTY, st.none() | NASTY), max_size=6), single=st.booleans())
@FAST
def test_copy(pg: PGconn, options: str, values: list[tuple[str | None, str | None]], single: bool) -> None:
    names = ["b"] if single else ["b", "c"]
    pg.exec_(b"create temp table if not exists nasty(b text, c text); truncate nasty")
    for b, c in values:
        cells = [None if v is None else v.encode() for v in (b, c)]
        assert pg.exec_params(b"insert into nasty values ($1, $2)", cells).status == ExecStatus.COMMAND_OK
    listed = f" ({options})" if options else ""
    pg.exec_(f"copy (select {', '.join(names)} from nasty order by ctid) to stdout{listed}".encode())
    expected = []
    while True:
        size, data = pg.get_copy_data(0)
        if size < 0:
            break
        expected.append(bytes(data))
    while pg.get_result():
        pass
    batch = pa.record_batch([pa.array([row[i] for row in values], pa.string()) for i in range(len(names))], names=names)
    form = CopyFormat.of(parsed(options), names)
    raw = form.begin() + copy_rows(batch, [(name, PgType("text")) for name in names], form, {}) + form.end()
    assert joined_copy(raw) == b"".join(expected)


def parsed(options: str) -> dict[str, str | list[str]]:
    found: dict[str, str | list[str]] = {}
    for option in filter(None, options.split(", ")):
        name, _, value = option.partition(" ")
        if value.startswith("("):
            found[name.lower()] = value.strip("()").split(",")
        else:
            found[name.lower()] = value[1:-1].replace("''", "'") if value.startswith("'") else value
    return found


def joined_copy(raw: bytes) -> bytes:
    parts, at = [], 0
    while at < len(raw):
        assert raw[at : at + 1] == b"d"
        (length,) = struct.unpack_from("!i", raw, at + 1)
        parts.append(raw[at + 5 : at + 1 + length])
        at += 1 + length
    return b"".join(parts)
