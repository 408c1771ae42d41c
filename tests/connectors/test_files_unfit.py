"""What becomes of values that break while a file is read: an error, NULL and counted, or text; on both readers."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from pyarrow import ipc

from connectors import arrow
from connectors.base import Cancel, Connector, Unfit
from connectors.conformance.asking import statement
from connectors.errors import SourceError
from connectors.registry import connect
from connectors.types import PgType, numeric

INT8, TEXT, DATE, FLOAT8 = PgType("int8"), PgType("text"), PgType("date"), PgType("float8")
PLAIN = "SELECT id, v FROM t"  # by the format's own reader
THROUGH = "SELECT id, v FROM t WHERE id < 100"  # by DuckDB
Ask = Callable[..., tuple[list[Any], int]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def asked(folder: Path) -> Iterator[Ask]:
    """The values of v by id, and how many were left out."""
    opened: list[Connector] = []

    def run(sql: str, kind: PgType, policy: Unfit, **options: Any) -> tuple[list[Any], int]:
        opened.append(connect("files", "s", {"folder": str(folder), "types": {"t.v": kind.sql}, **options}))
        want = TEXT if policy == "text" else kind
        query = replace(statement(sql, columns=(INT8, want)), unfit=((1, policy),), stored=("t.v",))
        batches = list(opened[-1].execute(query, timeout=60, cancel=Cancel()))
        rows = sorted(pa.Table.from_batches([b.replace_schema_metadata(None) for b in batches]).to_pylist(), key=str)
        return [row["c1"] for row in sorted(rows, key=lambda row: row["c0"])], sum(
            arrow.left_out(batch).get(1, 0) for batch in batches
        )

    yield run
    for connector in opened:
        connector.close()


def _csv(folder: Path, values: list[str], encoding: str = "utf-8") -> None:
    lines = "".join(f"{at};{value}\n" for at, value in enumerate(values))
    (folder / "t.csv").write_bytes(f"id;v\n{lines}".encode(encoding))


@pytest.mark.parametrize("sql", [PLAIN, THROUGH])
def test_csv(folder: Path, asked: Ask, sql: str) -> None:
    _csv(folder, ["1", "x", "", "+5", "2.5"])
    reading = {"reading": {"delimiter": ";"}}
    assert asked(sql, INT8, "null", **reading) == ([1, None, None, 5, None], 2)
    assert asked(sql, INT8, "text", **reading) == (["1", "x", None, "+5", "2.5"], 0)
    with pytest.raises(SourceError, match=r"t\.csv:3: column v holds text of 1 characters") as error:
        asked(sql, INT8, "error", **reading)
    assert error.value.sqlstate == "HV004"
    assert "t.v: null" in (error.value.hint or "")
    _csv(folder, ["31.12.2024", "32.12.2024", "1.1.2024"])
    given = {**reading, "formats": {"t.v": "%d.%m.%Y"}}
    assert asked(sql, DATE, "null", **given) == ([dt.date(2024, 12, 31), None, dt.date(2024, 1, 1)], 1)
    _csv(folder, ["1,50", "1.50", "x"])
    money = {"reading": {"delimiter": ";", "decimal": ","}}
    assert [str(value) for value in asked(sql, numeric(9, 2), "null", **money)[0]] == ["1.50", "1.50", "None"]


@pytest.mark.parametrize("sql", [PLAIN, THROUGH])
def test_bytes_of_a_csv_that_are_no_text(folder: Path, asked: Ask, sql: str) -> None:
    (folder / "t.csv").write_bytes(b"id,v\n0,a\n1,\xff\xfe\n2,b\x00c\n")
    assert asked(sql, TEXT, "null") == (["a", None, None], 2)
    assert asked(sql, TEXT, "text") == (["a", "\\xfffe", "\\x620063"], 0)
    with pytest.raises(SourceError, match=r"t\.csv:3: text that is not utf-8"):
        asked(sql, TEXT, "error")


def test_only_rows_that_are_kept_are_counted(folder: Path, asked: Ask) -> None:
    (folder / "t.csv").write_text("id,v\n0,x\n1,2\n2,y\n")
    assert asked("SELECT id, v FROM t WHERE id < 2", INT8, "null") == ([None, 2], 1)


@pytest.mark.parametrize("sql", [PLAIN, THROUGH])
def test_json(folder: Path, asked: Ask, sql: str) -> None:
    values = [1, "x", None, "5", 2.5, [1], True]
    (folder / "t.ndjson").write_text("".join(json.dumps({"id": at, "v": v}) + "\n" for at, v in enumerate(values)))
    assert asked(sql, INT8, "null") == ([1, None, None, 5, None, None, None], 4)
    assert asked(sql, INT8, "text") == (["1", "x", None, "5", "2.5", "[1]", "true"], 0)
    with pytest.raises(SourceError, match=r"t\.ndjson:2: v holds text") as error:
        asked(sql, INT8, "error")
    assert "t.v: null" in (error.value.hint or "")
    (folder / "t.ndjson").write_text('{"id": 0, "v": "a\\u0000b"}\n{"id": 1, "v": "c"}\n')
    assert asked(sql, TEXT, "null") == ([None, "c"], 1)


@pytest.mark.parametrize("sql", [PLAIN, THROUGH])
def test_excel(folder: Path, asked: Ask, sql: str) -> None:
    book = openpyxl.Workbook()
    for row in (["id", "v"], [0, 1.5], [1, "#N/A"], [2, "=1+1"], [3, "2.5"], [4, None], [5, True]):
        book.worksheets[0].append(row)
    book.worksheets[0]["B3"].data_type = "e"
    book.save(folder / "t.xlsx")
    assert asked(sql, FLOAT8, "null") == ([1.5, None, None, None, None, None], 4)
    assert asked(sql, FLOAT8, "text") == (["1.5", "#N/A", "=1+1", "2.5", None, "true"], 0)
    with pytest.raises(SourceError, match="cell B3: column v holds an error") as error:
        asked(sql, FLOAT8, "error")
    assert "t.v: null" in (error.value.hint or "")


@pytest.mark.parametrize("sql", [PLAIN, THROUGH])
def test_arrow(folder: Path, asked: Ask, sql: str) -> None:
    """Nanoseconds, which microseconds cannot hold."""
    table = pa.table({"id": [0, 1, 2], "v": pa.array([1000, 1, None], pa.timestamp("ns"))})
    with ipc.new_file(str(folder / "t.arrow"), table.schema) as writer:
        writer.write_table(table)
    at = dt.datetime(1970, 1, 1, 0, 0, 0, 1)
    assert asked(sql, PgType("timestamp"), "null") == ([at, None, None], 1)
    texts = ["1970-01-01 00:00:00.000001000", "1970-01-01 00:00:00.000000001", None]
    assert asked(sql, PgType("timestamp"), "text") == (texts, 0)
