"""Files as tables: what each format holds, word for word, and what is refused, with its place."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import struct
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from pyarrow import ipc
from pyiceberg.catalog import load_catalog

from connectors.base import Bound, Cancel, Connector, Table
from connectors.conformance.asking import INT8, ask, statement
from connectors.errors import ConfigError, LimitExceeded, SourceError
from connectors.registry import connect
from connectors.types import PgType, numeric

TEXT, NUMERIC, DATE = PgType("text"), PgType("numeric"), PgType("date")
Open = Callable[..., Connector]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Open]:
    """A source over the folder `in`, with further options."""
    (tmp_path / "in").mkdir()
    opened: list[Connector] = []

    def open_source(**options: Any) -> Connector:
        given = {"base_folder": str(tmp_path), **options}
        opened.append(connect("files", "s", given if "tables" in options else {"folder": "in", **given}))
        return opened[-1]

    yield open_source
    for connector in opened:
        connector.close()


@pytest.fixture
def put(tmp_path: Path, source: Open) -> Callable[[str, str | bytes], Path]:
    """Writes a file of the folder."""

    def write(name: str, content: str | bytes) -> Path:
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


Put = Callable[[str, str | bytes], Path]


def kinds(connector: Connector, name: str) -> dict[str, str]:
    return {column.name: column.type.sql for column in table(connector, name).columns}


def table(connector: Connector, name: str) -> Table:
    (found,) = connector.tables(tables=(name,))
    return found


def rows(connector: Connector, name: str, *names: str) -> list[dict[str, Any]]:
    """Columns of a table in the types that it tells."""
    columns = [table(connector, name).column(column) for column in names]
    listed = ", ".join(f'"{column.name}"' for column in columns)
    got = ask(connector, f"SELECT {listed} FROM main.{name}", columns=tuple(column.type for column in columns))
    return [dict(zip(names, row.values(), strict=True)) for row in got.to_pylist()]


# -- CSV


def test_types_of_a_csv_are_what_every_value_proves(source: Open, put: Put) -> None:
    put(
        "t.csv",
        "whole,zeros,money,mixed,day,at,instant,flag,id,big,gap,minus,exp\n"
        "1,007,1.50,1.5,2024-02-29,2024-01-01 10:00:00,2024-01-01T10:00:00Z,true,"
        "123e4567-e89b-12d3-a456-426655440000,9223372036854775808,,-0,1e5\n"
        "-9223372036854775808,1,-2.25,2,0001-01-01,2024-01-01 10:00:00.5,2024-01-01T10:00:00+02:00,false,"
        "00000000-0000-0000-0000-000000000000,1,,1,2\n",
    )
    connector = source()
    assert kinds(connector, "t") == {
        "whole": "bigint", "zeros": "text", "money": "numeric(18,2)", "mixed": "numeric", "day": "date",
        "at": "timestamp without time zone", "instant": "text", "flag": "boolean", "id": "uuid",
        "big": "numeric", "gap": "text", "minus": "text", "exp": "text",
    }  # fmt: skip
    first, second = rows(connector, "t", "whole", "zeros", "money", "mixed", "day", "instant", "big", "gap")
    assert (first["zeros"], first["money"], first["mixed"]) == ("007", Decimal("1.50"), "1.5")
    assert (second["whole"], second["mixed"], second["day"]) == (-(2**63), "2", dt.date(1, 1, 1))
    assert (first["big"], first["gap"]) == ("9223372036854775808", None)
    connector = source(types={"t.instant": "timestamptz"})
    (_, later) = rows(connector, "t", "instant", "id")
    assert later["instant"] == dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)
    assert not table(connector, "t").column("mixed").exact  # DuckDB would compare texts


def test_the_last_row_of_a_long_file_decides_too(source: Open, put: Put) -> None:
    put("t.csv", "n\n" + "1\n" * 50_000 + "x1\n")
    assert kinds(source(), "t") == {"n": "text"}
    assert kinds(source(types={"t.n": "bigint"}), "t") == {"n": "bigint"}
    assert kinds(source(prove=10), "t") == {"n": "text"}


def test_a_declared_type_that_a_row_breaks_is_told_by_line(source: Open, put: Put) -> None:
    put("t.csv", 'a,n\n"two\nlines",1\n\nb,secret\n')
    connector = source(types={"t.n": "bigint"})
    with pytest.raises(SourceError, match=r"t\.csv:5: column n holds text of 6 characters") as error:
        ask(connector, "SELECT n FROM t")
    assert error.value.sqlstate == "HV004"
    assert "secret" not in str(vars(error.value))
    assert ask(connector, "SELECT a FROM t", columns=(TEXT,)).num_rows == 2  # a column that is not asked for harms none


def test_a_row_that_comes_later_and_breaks_the_proven_type(source: Open, put: Put) -> None:
    file = put("t.csv", "n\n1\n2\n")
    connector = source()
    assert kinds(connector, "t") == {"n": "bigint"}
    put("new", "n\n1\n2\nx\n").replace(file)
    with pytest.raises(SourceError):
        ask(connector, "SELECT n FROM t WHERE n > 1")
    assert kinds(connector, "t") == {"n": "text"}


def test_a_header_alone_is_an_empty_table(source: Open, put: Put) -> None:
    put("none.csv", "id,name\r\n")
    connector = source()
    assert kinds(connector, "none") == {"id": "text", "name": "text"}
    assert rows(connector, "none", "id", "name") == []


def test_null_and_the_empty_text(source: Open, put: Put) -> None:
    put("t.csv", 'a,b\n,""\nNA,"NA"\n')
    assert rows(source(), "t", "a", "b") == [{"a": None, "b": ""}, {"a": "NA", "b": "NA"}]
    connector = source(reading={"nulls": ["NA"]})
    assert rows(connector, "t", "a", "b") == [{"a": "", "b": ""}, {"a": None, "b": "NA"}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n1\n", r"t\.csv:3: a row of 1 values where the header has 2"),
        ("a,b\n1,2,3\n", r"t\.csv:2: a row of 3 values where the header has 2"),
        (b"a,b\n1,2\n1,\xff\n", r"t\.csv:3: text that is not utf-8"),
    ],
)
def test_rows_that_are_none_are_told_by_line(source: Open, put: Put, content: str | bytes, said: str) -> None:
    put("t.csv", content)
    connector = source(prove=0)
    with pytest.raises(SourceError, match=said) as error:
        ask(connector, "SELECT b FROM t", columns=(TEXT,))
    assert error.value.sqlstate == "HV004"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,a\n1,2\n", r'two columns are named "a"'),
        ("a,A\n1,2\n", r'two columns are named "A"'),
        ("a,\n1,2\n", r"t\.csv:1: column 2 has no name"),
        ("", r"t\.csv:1: there is no header"),
    ],
)
def test_headers_that_are_none(source: Open, put: Put, content: str, said: str) -> None:
    put("t.csv", content)
    put("other.csv", "a\n1\n")
    connector = source()
    assert [found.name for found in connector.tables()] == ["other"]
    with pytest.raises(SourceError, match=said):
        ask(connector, "SELECT a FROM t")


def test_encodings_delimiters_and_compression(source: Open, put: Put) -> None:
    put("t.csv", "vor;name;preis;tag\n1;Müller – €;1234,50;31.12.2024\n".encode("cp1252"))
    reading = {"encoding": "cp1252", "delimiter": ";", "decimal": ","}
    connector = source(
        reading=reading, types={"t.preis": "numeric(10,2)", "t.tag": "date"}, formats={"t.tag": "%d.%m.%Y"}
    )
    assert rows(connector, "t", "name", "preis", "tag") == [
        {"name": "Müller – €", "preis": Decimal("1234.50"), "tag": dt.date(2024, 12, 31)}
    ]
    put("u.tsv.gz", gzip.compress("\ufeffa\tb\n1\tx\n".encode()))
    put("v.csv", "a,b\nä,2\n".encode("utf-16"))
    assert rows(source(), "u", "a", "b") == [{"a": 1, "b": "x"}]
    assert rows(source(tables={"v": {"path": "in/v.csv", "encoding": "utf-16"}}), "v", "a", "b") == [{"a": "ä", "b": 2}]
    put("cut.csv.gz", gzip.compress(b"a\n" + b"12345\n" * 9999)[:-20])
    with pytest.raises(SourceError, match="damaged or cut off"):
        ask(source(prove=0), "SELECT count(a) FROM cut")


def test_files_of_one_table_are_matched_by_name(source: Open, put: Put) -> None:
    put("t/2023/a.csv", "id,name\n1,x\n")
    put("t/2024/b.csv", "name,id,more\ny,2,z\n")
    connector = source()
    found = rows(connector, "t", "id", "name", "more")
    assert sorted(found, key=lambda row: row["id"]) == [
        {"id": 1, "name": "x", "more": None},
        {"id": 2, "name": "y", "more": "z"},
    ]
    assert table(connector, "t").row_count == 2


# -- JSON


def test_json_keeps_every_digit_and_what_is_nested(source: Open, put: Put) -> None:
    put(
        "t.ndjson",
        '{"n": 9007199254740993, "d": 1.10, "x": 1e400, "s": "a\\u0000", "o": {"z": 1.00000000000000000001}, "m": 1}\n'
        '\n{"n": 2, "d": 0.30000000000000004, "s": null, "b": true, "m": "1"}\n',
    )
    connector = source()
    assert kinds(connector, "t") == {
        "n": "bigint", "d": "numeric", "x": "numeric", "s": "text", "o": "json", "m": "json", "b": "boolean"
    }  # fmt: skip
    first, second = rows(connector, "t", "n", "d", "o", "m", "b")
    assert first == {"n": 9007199254740993, "d": "1.10", "o": '{"z": 1.00000000000000000001}', "m": "1", "b": None}
    assert second == {"n": 2, "d": "0.30000000000000004", "o": None, "m": '"1"', "b": True}
    assert rows(connector, "t", "x")[0]["x"] == "1" + "0" * 400
    with pytest.raises(SourceError):  # PostgreSQL has no NUL in a text
        rows(connector, "t", "s")


def test_json_as_one_array(source: Open, put: Put) -> None:
    put("t.json", "[\n" + ",\n".join(json.dumps({"id": n, "text": "[{" * 20}) for n in range(30_000)) + "\n]\n")
    connector = source()
    assert ask(connector, "SELECT sum(id)::bigint FROM t").column(0).to_pylist() == [30_000 * 29_999 // 2]
    put("empty.json", " [ ] ")
    put("bad.json", '[\n{"a": 1},\n{"a": }\n]')
    put("cut.json", '[{"a": 1},')
    with pytest.raises(SourceError, match=r"bad\.json:3: this is no JSON object"):
        ask(connector, "SELECT a FROM bad")
    with pytest.raises(SourceError, match=r"cut\.json:1"):
        ask(connector, "SELECT a FROM cut")


def test_a_line_that_is_no_object_is_told(source: Open, put: Put) -> None:
    put("t.jsonl", '{"a": 1}\n\n[1]\n')
    with pytest.raises(SourceError, match=r"t\.jsonl:3: this is no JSON object"):
        ask(source(), "SELECT a FROM t")
    put("u.jsonl", '{"a": 1}\n{"a": "secret"}\n')
    with pytest.raises(SourceError, match=r"u\.jsonl:2: a holds text of 6 characters"):
        ask(source(types={"u.a": "bigint"}), "SELECT a FROM u")


# -- Arrow and Parquet


WIDE = pa.table(
    {
        "d": pa.array([Decimal("9" * 50 + ".01")], pa.decimal256(60, 2)),
        "u": pa.array([2**64 - 1], pa.uint64()),
        "ns": pa.array([1_711_843_200_123_456_000], pa.timestamp("ns", "Europe/Berlin")),
        "lost": pa.array([1], pa.timestamp("ns")),
        "clock": pa.array([86_399_999_999_000], pa.time64("ns")),
        "nest": pa.array([{"a": Decimal("12345678901234567890.10"), "b": [b"\x01"]}],
                         pa.struct([("a", pa.decimal128(30, 2)), ("b", pa.list_(pa.binary()))])),
        "code": pa.array(["x"]).dictionary_encode(),
        "small": pa.array([Decimal("1E-10")], pa.decimal128(38, 10)),
    }
)  # fmt: skip


@pytest.mark.parametrize("form", ["arrow", "stream", "parquet"])
def test_arrow_types(source: Open, tmp_path: Path, form: str) -> None:
    file = tmp_path / "in" / f"t.{'parquet' if form == 'parquet' else 'arrow'}"
    if form == "parquet":
        pq.write_table(WIDE, file)
    else:
        with (ipc.new_file if form == "arrow" else ipc.new_stream)(str(file), WIDE.schema) as writer:
            writer.write_table(WIDE)
    connector = source()
    told = kinds(connector, "t")
    assert (told["d"], told["u"], told["nest"], told["ns"]) == (
        "numeric(60,2)", "numeric(20,0)", "json", "timestamp with time zone"
    )  # fmt: skip
    (row,) = rows(connector, "t", "d", "u", "ns", "clock", "nest", "code", "small")
    assert (row["d"], row["u"]) == ("9" * 50 + ".01", Decimal(2**64 - 1))
    assert row["ns"] == dt.datetime(2024, 3, 31, 0, 0, 0, 123456, dt.UTC)
    assert (row["clock"], row["code"]) == (dt.time(23, 59, 59, 999999), "x")
    assert row["nest"] == '{"a": 12345678901234567890.10, "b": ["\\\\x01"]}'
    assert row["small"] == Decimal("1E-10")
    with pytest.raises(SourceError) as error:
        rows(connector, "t", "lost")
    assert error.value.sqlstate == "HV004"


def test_parquet_of_old_clocks(source: Open, tmp_path: Path) -> None:
    """INT96 is days and nanoseconds: DuckDB's own reading of it drops the last three digits."""
    at = pa.table({"at": pa.array([1_711_843_200_123_456_000, None], pa.timestamp("ns")), "n": [1, 2]})
    pq.write_table(at, tmp_path / "in" / "t.parquet", use_deprecated_int96_timestamps=True)
    lost = pa.table({"at": pa.array([1], pa.timestamp("ns"))})
    pq.write_table(lost, tmp_path / "in" / "u.parquet", use_deprecated_int96_timestamps=True)
    connector = source()
    assert [row["at"] for row in rows(connector, "t", "at")] == [dt.datetime(2024, 3, 31, 0, 0, 0, 123456), None]
    with pytest.raises(SourceError) as error:
        rows(connector, "u", "at")
    assert error.value.sqlstate == "HV004"


def test_parquet_files_of_different_schemas(source: Open, tmp_path: Path) -> None:
    (tmp_path / "in" / "t").mkdir()
    parts: list[dict[str, Any]] = [
        {"id": pa.array([1], pa.int32()), "v": [1.5], "w": ["x"]},
        {"w": [7], "id": pa.array([2**40], pa.int64())},
        {"id": pa.array([3], pa.int16()), "v": pa.array([0.1], pa.float32())},
    ]
    for number, part in enumerate(parts):
        pq.write_table(pa.table(part), tmp_path / "in" / "t" / f"{number}.parquet")
    connector = source()
    assert kinds(connector, "t") == {"id": "bigint", "v": "double precision", "w": "text"}
    found = sorted(rows(connector, "t", "id", "v", "w"), key=lambda row: row["id"])
    assert [(row["id"], row["w"]) for row in found] == [(1, "x"), (3, None), (2**40, "7")]
    assert found[1]["v"] == pytest.approx(0.1)


def test_folders_are_columns_and_prune(source: Open, tmp_path: Path) -> None:
    for day, region in (("2024-01-01", "007"), ("2024-01-02", "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / "in" / "t" / f"day={day}" / f"region={region}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"x": [1]}), folder / "part.parquet")
    plain = source()
    assert kinds(plain, "t") == {"x": "bigint", "day": "text", "region": "text"}
    connector = source(types={"t.day": "date"})
    assert {(row["day"], row["region"]) for row in rows(connector, "t", "day", "region")} == {
        (dt.date(2024, 1, 1), "007"),
        (dt.date(2024, 1, 2), None),
    }
    day = Bound(DATE, dt.date(2024, 1, 1))
    plan = ask(connector, "EXPLAIN ANALYZE SELECT x FROM t WHERE day = ", day, columns=(TEXT, TEXT))
    assert "Total Files Read: 1" in plan.column(1).to_pylist()[0]
    broken = source(types={"t.region": "date"})
    with pytest.raises(SourceError, match="a folder region="):
        ask(broken, "SELECT x FROM t")


def test_a_declared_type_over_parquet_is_strict(source: Open, tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": ["1", "007"], "bad": ["1", "1.5"]}), tmp_path / "in" / "t.parquet")
    connector = source(types={"t.n": "bigint", "t.bad": "bigint"})
    assert [row["n"] for row in rows(connector, "t", "n")] == [1, 7]
    with pytest.raises(SourceError) as error:  # DuckDB's own cast makes 2 of it
        rows(connector, "t", "bad")
    assert error.value.sqlstate == "HV004"


# -- Excel


def workbook(file: Path, **sheets: list[list[Any]]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, cells in sheets.items():
        sheet = book.create_sheet(name)
        for row in cells:
            sheet.append(row)
        for line in sheet.iter_rows():
            for cell in line:
                if isinstance(cell.value, str) and cell.value.startswith("#"):
                    cell.data_type = "e"
    book.save(file)


def test_sheets_are_tables_with_types(source: Open, tmp_path: Path) -> None:
    workbook(
        tmp_path / "in" / "book.xlsx",
        Orders=[
            ["id", "price", "day", "at", "paid", "note", "real"],
            [1, 12.5, dt.date(2024, 2, 29), dt.datetime(2024, 1, 1, 12, 30), True, "007", 1e300],
            [2, 0.1, dt.date(1900, 1, 1), dt.datetime(1900, 1, 2), False, None, 0.5],
        ],
        Other=[["a"], ["x"]],
    )
    connector = source()
    assert {found.name for found in connector.tables()} == {"book_Orders", "book_Other"}
    assert kinds(connector, "book_Orders") == {
        "id": "bigint", "price": "numeric(18,1)", "day": "date", "at": "timestamp without time zone",
        "paid": "boolean", "note": "text", "real": "double precision",
    }  # fmt: skip
    first, second = rows(connector, "book_Orders", "id", "price", "day", "paid", "note", "real")
    assert first == {"id": 1, "price": Decimal("12.5"), "day": dt.date(2024, 2, 29), "paid": True, "note": "007",
                     "real": 1e300}  # fmt: skip
    assert (second["price"], second["day"]) == (Decimal("0.1"), dt.date(1900, 1, 1))


def test_cells_without_a_value_are_told(source: Open, tmp_path: Path) -> None:
    workbook(tmp_path / "in" / "t.xlsx", S=[["n", "e", "f", "d"], [1, "x", "=1+1", 1.5], [2, "#N/A", 3, 12.345]])
    connector = source(types={"t.d": "numeric(10,2)"})
    for column, said in (("e", "cell B3: column e holds an error"), ("f", "cell C2: column f holds a formula"),
                         ("d", "cell D3")):  # fmt: skip
        with pytest.raises(SourceError, match=said) as error:
            rows(connector, "t", column)
        assert error.value.sqlstate == "HV004"
    assert [row["n"] for row in rows(connector, "t", "n")] == [1, 2]


def test_a_workbook_that_is_none_hides_nobody(source: Open, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("book.xlsx", b"PK\x03\x04 cut off")
    put("t.csv", "n\n1\n")
    connector = source()
    assert [found.name for found in connector.tables()] == ["t"]
    with pytest.raises(SourceError, match="cannot be read as a workbook"):
        ask(connector, "SELECT n FROM book")
    monkeypatch.delitem(sys.modules, "connectors.files.excel", raising=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert [found.name for found in connector.tables()] == ["t"]
    with pytest.raises(ConfigError, match="Excel needs the Python package openpyxl") as error:
        ask(connector, "SELECT n FROM book")
    assert "vdw[files]" in error.value.hint


def test_the_calendar_of_1904(source: Open, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.epoch = CALENDAR_MAC_1904
    book.worksheets[0].append(["day"])
    book.worksheets[0].append([dt.date(2024, 2, 29)])
    book.save(tmp_path / "in" / "t.xlsx")
    assert rows(source(), "t", "day") == [{"day": dt.date(2024, 2, 29)}]


# -- Delta and Iceberg


def test_delta_versions(source: Open, tmp_path: Path) -> None:
    place = tmp_path / "in" / "t"
    first = pa.table({"id": [1, 2], "part": ["a", "b"], "d": pa.array([Decimal("1.10"), None], pa.decimal128(38, 2))})
    write_deltalake(str(place), first, partition_by=["part"])
    connector = source()
    assert (table(connector, "t").row_count, kinds(connector, "t")["d"]) == (2, "numeric(38,2)")
    DeltaTable(str(place)).delete("id = 1")
    write_deltalake(str(place), pa.table({"id": [3], "part": ["c"], "new": ["n"]}), mode="append", schema_mode="merge")
    found = {row["id"]: row for row in rows(connector, "t", "id", "part", "new", "d")}
    assert found == {
        2: {"id": 2, "part": "b", "new": None, "d": None},
        3: {"id": 3, "part": "c", "new": "n", "d": None},
    }
    old = source(tables={"t": {"path": "in/t", "version": 0}})
    assert sorted(row["id"] for row in rows(old, "t", "id")) == [1, 2]
    committed = DeltaTable(str(place)).history(1)[0]["timestamp"] / 1000
    assert connector.modified().timestamp() == pytest.approx(committed)  # type: ignore[attr-defined]


def test_delta_columns_by_their_mapped_names(source: Open, tmp_path: Path) -> None:
    mapping = {"delta.columnMapping.mode": "name", "delta.minReaderVersion": "2", "delta.minWriterVersion": "5"}
    write_deltalake(str(tmp_path / "in" / "t"), pa.table({"a b": [1, 2], "c": ["x", "y"]}), configuration=mapping)
    (written,) = (tmp_path / "in" / "t").glob("**/*.parquet")
    assert "c" not in pq.read_schema(written).names
    assert sorted((row["a b"], row["c"]) for row in rows(source(), "t", "a b", "c")) == [(1, "x"), (2, "y")]


def test_iceberg_snapshots(source: Open, tmp_path: Path) -> None:
    (tmp_path / "wh").mkdir()
    properties = {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/wh"}
    catalog = load_catalog("lake", **properties)
    catalog.create_namespace("ns")
    made = catalog.create_table("ns.t", schema=pa.schema([("id", pa.int32()), ("old", pa.string())]))
    made.append(pa.table({"id": pa.array([1, 2], pa.int32()), "old": ["a", "b"]}))
    first = made.current_snapshot()
    assert first is not None
    with made.update_schema() as update:
        update.rename_column("old", "new")
    made.append(pa.table({"id": pa.array([3], pa.int32()), "new": ["c"]}))
    made.delete("id = 1")
    folder = str(Path(made.location().removeprefix("file://")).relative_to(tmp_path))
    connector = source(
        tables={
            "t": folder,
            "then": {"path": folder, "snapshot": first.snapshot_id},
            "c": {"path": "ns.t", "catalog": {"name": "lake", **properties}},
        }
    )
    assert sorted((row["id"], row["new"]) for row in rows(connector, "t", "id", "new")) == [(2, "b"), (3, "c")]
    assert sorted((row["id"], row["old"]) for row in rows(connector, "then", "id", "old")) == [(1, "a"), (2, "b")]
    assert ask(connector, "SELECT count(*) FROM c").column(0).to_pylist() == [2]
    made.append(pa.table({"id": pa.array([4], pa.int32()), "new": ["d"]}))
    assert ask(connector, "SELECT count(*) FROM t").column(0).to_pylist() == [3]


_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def _deletion_vector(rows: list[int]) -> dict[str, Any]:
    """An inline one by the protocol's own words: magic, one Roaring bitmap of one array container, Z85."""
    bitmap = struct.pack("<IIHHI", 12346, 1, 0, len(rows) - 1, 16) + struct.pack(f"<{len(rows)}H", *rows)
    raw = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    padded = raw + b"\0" * (-len(raw) % 4)
    words = (int.from_bytes(padded[at : at + 4], "big") for at in range(0, len(padded), 4))
    text = "".join(_Z85[word // 85**power % 85] for word in words for power in (4, 3, 2, 1, 0))
    return {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(raw), "cardinality": len(rows)}


def test_rows_that_a_deletion_vector_takes_away(source: Open, tmp_path: Path) -> None:
    place = tmp_path / "in" / "t"
    write_deltalake(str(place), pa.table({"id": list(range(10)), "name": [f"n{n}" for n in range(10)]}))
    log = place / "_delta_log" / f"{0:020}.json"
    (added,) = (json.loads(line)["add"] for line in log.read_text().splitlines() if '"add"' in line)
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"],
                "writerFeatures": ["deletionVectors"]}  # fmt: skip
    vector = _deletion_vector([0, 3, 9])
    removed = {"path": added["path"], "deletionTimestamp": 1, "dataChange": True, "size": added["size"]}
    actions = [
        {"protocol": protocol},
        {"remove": removed},
        {"add": {**added, "deletionVector": vector}},
        {"commitInfo": {"timestamp": 1}},
    ]
    (place / "_delta_log" / f"{1:020}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))
    connector = source()
    kept = [1, 2, 4, 5, 6, 7, 8]
    assert sorted(row["id"] for row in rows(connector, "t", "id", "name")) == kept
    assert ask(connector, "SELECT count(*) FROM t WHERE id > 2").column(0).to_pylist() == [5]
    assert table(connector, "t").row_count in (None, len(kept))


def test_a_delta_table_of_a_feature_that_nobody_knows(source: Open, tmp_path: Path) -> None:
    place = tmp_path / "in" / "t"
    write_deltalake(str(place), pa.table({"id": [1]}))
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["ofTomorrow"],
                "writerFeatures": ["ofTomorrow"]}  # fmt: skip
    (place / "_delta_log" / f"{1:020}.json").write_text(json.dumps({"protocol": protocol}) + "\n")
    with pytest.raises(SourceError, match="Delta Lake cannot read it"):
        ask(source(), "SELECT id FROM t")


def test_text_that_is_not_utf_8_in_parquet(source: Open, tmp_path: Path) -> None:
    """PyArrow hands it on as it is."""
    bad = pa.StringArray.from_buffers(2, pa.array(["ab", "cd"]).buffers()[1], pa.py_buffer(b"ab\xff\xfe"))
    pq.write_table(pa.table({"id": [1, 2], "v": bad}), tmp_path / "in" / "t.parquet")
    with pytest.raises(SourceError) as error:
        rows(source(), "t", "id", "v")
    assert error.value.sqlstate == "HV004"


def test_both_readers_of_parquet_agree(source: Open, tmp_path: Path) -> None:
    """Whole columns come by PyArrow, what is filtered by DuckDB."""
    written = pa.table(
        {
            "id": pa.array(range(300), pa.uint32()),
            "f": pa.array([None, float("nan"), -0.0, float("inf"), 1e-320] * 60),
            "d": pa.array([Decimal("-1.10"), None, Decimal("99999999999999999.99")] * 100, pa.decimal128(19, 2)),
            "t": pa.array(["", None, "ü" * 200] * 100).dictionary_encode(),
            "at": pa.array([-1, None, 1_711_843_200_123] * 100, pa.timestamp("ms", "Europe/Berlin")),
            "day": pa.array([-719162, None, 2932896] * 100, pa.date32()),
            "took": pa.array([5] * 300, pa.duration("us")),
        }
    )
    for number, version in enumerate(("1.0", "2.6")):
        pq.write_table(written, tmp_path / "in" / f"t{number}.parquet", row_group_size=37, version=version)
        connector = source()
        kinds_of = tuple(column.type for column in table(connector, f"t{number}").columns)
        listed = ", ".join(f'"{name}"' for name in written.schema.names)
        whole = ask(connector, f"SELECT {listed} FROM t{number}", columns=kinds_of)
        kept = ask(connector, f"SELECT {listed} FROM t{number} WHERE id >= 0", columns=kinds_of)
        assert whole.num_rows == 300
        assert sorted(map(str, whole.to_pylist())) == sorted(map(str, kept.to_pylist()))


# -- life


def test_a_file_that_changes_while_it_is_read_is_an_error(source: Open, put: Put) -> None:
    file = put("t.csv", "n\n" + "1\n" * 300_000)
    connector = source(types={"t.n": "bigint"}, prove=0)
    stream = connector.execute(statement("SELECT n FROM t"), timeout=30, cancel=Cancel())
    assert next(stream).num_rows
    put("new", "n\n" + "2\n" * 300_000).replace(file)
    with pytest.raises(SourceError, match="changed while it was read") as error:
        for _ in stream:
            pass
    assert error.value.sqlstate == "08006"
    assert ask(connector, "SELECT min(n) FROM t").column(0).to_pylist() == [2]


def test_parquet_that_changes_while_it_is_read(source: Open, tmp_path: Path) -> None:
    file = tmp_path / "in" / "t.parquet"
    pq.write_table(pa.table({"n": [1] * 300_000}), file)
    connector = source()
    stream = connector.execute(statement("SELECT n FROM t"), timeout=30, cancel=Cancel())
    assert next(stream).num_rows
    pq.write_table(pa.table({"n": [2] * 300_000}), tmp_path / "new")
    (tmp_path / "new").replace(file)
    with pytest.raises(SourceError, match="changed while it was read"):
        for _ in stream:
            pass
    assert ask(connector, "SELECT min(n) FROM t").column(0).to_pylist() == [2]


def test_tables_come_and_go(source: Open, put: Put) -> None:
    connector = source()
    file = put("late.csv", "n\n7\n")
    assert ask(connector, "SELECT n FROM late").column(0).to_pylist() == [7]
    put("late.json", '{"n": 8}')
    assert {found.name for found in connector.tables()} == {"late_csv", "late_json"}
    file.unlink()
    assert {found.name for found in connector.tables()} == {"late"}
    assert ask(connector, "SELECT n FROM late").column(0).to_pylist() == [8]


def test_only_what_is_mentioned_is_read(source: Open, put: Put) -> None:
    put("t.csv", "a,b\n1,x\n")
    put("broken.csv", "a,a\n")
    connector = source(types={"t.b": "bigint"})
    assert ask(connector, 'SELECT "a" FROM "main"."t" AS b0').column(0).to_pylist() == [1]
    assert ask(connector, "SELECT count(*) FROM t x JOIN t y ON x.a = y.a").column(0).to_pylist() == [1]
    with pytest.raises(SourceError, match=r"t\.csv:2"):
        ask(connector, "SELECT * FROM t", columns=(INT8, INT8))


def test_a_text_file_stops_when_told(source: Open, put: Put) -> None:
    put("t.csv", "n\n" + "1\n" * 2_000_000)
    connector = source(types={"t.n": "numeric"}, prove=0)
    with pytest.raises(LimitExceeded, match="statement timeout"):
        ask(connector, "SELECT n FROM t", columns=(NUMERIC,), timeout=0.05)
    cancel = Cancel()
    stream = connector.execute(statement("SELECT n FROM t", columns=(NUMERIC,)), timeout=30, cancel=cancel)
    next(stream)
    cancel.fire()
    with pytest.raises(LimitExceeded):
        for _ in stream:
            pass


def test_wrong_declarations_are_told(source: Open, put: Put) -> None:
    put("t.csv", "a\n1\n")
    with pytest.raises(ConfigError, match='unknown type "money"'):
        source(types={"t.a": "money"})
    with pytest.raises(ConfigError, match=r"is no table\.column"):
        source(types={"a": "text"})
    with pytest.raises(SourceError, match="no file is at"):
        ask(source(tables={"t": "in/none.csv"}), "SELECT a FROM t")
    with pytest.raises(ConfigError, match="does not tell a format"):
        source(tables={"t": "in/none.dat"}).tables()


def test_numbers_in_parquet_agree_with_duckdb(source: Open, tmp_path: Path) -> None:
    """The same file through our views and by DuckDB's own hand."""
    with duckdb.connect() as own:
        own.execute(
            "COPY (SELECT i AS id, (i * 7 % 1000)::decimal(18,4) / 8 AS d, i::utinyint AS u, "
            f"CASE WHEN i % 5 > 0 THEN 'v' || i END AS t FROM range(200) r(i)) TO '{tmp_path}/in/t.parquet'"
        )
        want = own.execute(f"SELECT sum(u), count(t), min(t) FROM '{tmp_path}/in/t.parquet' WHERE id > 17").fetchone()
    got = ask(
        source(), "SELECT sum(u)::bigint, count(t), min(t) FROM t WHERE id > ", Bound(INT8, 17),
        columns=(INT8, INT8, TEXT),
    )  # fmt: skip
    assert want is not None
    assert tuple(got.to_pylist()[0].values()) == tuple(int(v) if not isinstance(v, str) else v for v in want)
    assert numeric(18, 1).sql == "numeric(18,1)"
