"""What is sent becomes the same table whatever its format; what is wrong is told with its place."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.uploads.describe import Description, read
from api.uploads.parse import READERS, Parsed, parse
from connectors.errors import Error, LimitExceeded, QueryError

ATTRIBUTES = {
    "id": {"type": "integer", "role": "key"},
    "name": "text",
    "spent": "decimal(12,2)",
    "score": "float",
    "active": "boolean",
    "since": "date",
    "seen": "timestamp",
}
DESCRIPTION = read(Description, {"attributes": ATTRIBUTES}, "description")
Row = dict[str, Any]


def described(**facts: Any) -> Description:
    return read(Description, {"attributes": ATTRIBUTES, **facts}, "description")


def parsed(
    form: str, data: bytes, folder: Path, description: Description = DESCRIPTION, most: int = 10_000
) -> pa.Table:
    made: Parsed = parse(io.BytesIO(data), form, description, folder / "t.parquet", most)
    table = pq.read_table(folder / "t.parquet")
    assert made.rows == table.num_rows
    assert made.missing == {name: table.column(name).null_count for name in table.schema.names}
    return table


def text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value.isoformat() if isinstance(value, dt.date) else str(value)


def as_csv(rows: Sequence[Row]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(ATTRIBUTES)
    writer.writerows([[text(row[name]) for name in ATTRIBUTES] for row in rows])
    return out.getvalue().encode()


def as_json(rows: Sequence[Row], lines: bool = False) -> bytes:
    def plain(row: Row) -> Row:
        keep = {k: v for k, v in row.items() if v is not None or hash(k) % 2}
        return {k: v if isinstance(v, int | float | None) else text(v) for k, v in keep.items()}

    made = [plain(row) for row in rows]
    return ("\n".join(map(json.dumps, made)) if lines else json.dumps(made, indent=1, ensure_ascii=False)).encode()


def as_xml(rows: Sequence[Row]) -> bytes:
    root = ElementTree.Element("customers")
    for row in rows:
        one = ElementTree.SubElement(root, "customer", {"id": text(row["id"])})
        for name, value in row.items():
            if name != "id" and value is not None:
                ElementTree.SubElement(one, name).text = text(value)
    return ElementTree.tostring(root, "utf-8")


def as_parquet(rows: Sequence[Row]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=DESCRIPTION.schema), out)
    return out.getvalue()


WRITERS: Mapping[str, Any] = {"csv": as_csv, "json": as_json, "xml": as_xml, "parquet": as_parquet}
# XML has no control characters and no way to keep \r; a text that is empty is one that is missing.
LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="￾￿\u2028\u2029")
NAMES = st.text(LETTERS, min_size=1, max_size=20).filter(lambda s: s.strip() == s)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(-(2**63), 2**63 - 1),
            "name": st.none() | NAMES,
            "spent": st.none() | st.decimals(-(10**9), 10**9, places=2, allow_nan=False),
            "score": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "active": st.none() | st.booleans(),
            "since": st.none() | st.dates(),
            "seen": st.none() | st.datetimes(timezones=st.just(dt.UTC)),
        }
    ),
    unique_by=lambda row: row["id"],
    max_size=12,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_four_formats_give_one_table(tmp_path: Path, rows: list[Row]) -> None:
    wanted = pa.Table.from_pylist(rows, schema=DESCRIPTION.schema)
    for form, write in WRITERS.items():
        assert parsed(form, write(rows), tmp_path).equals(wanted), form
    assert parsed("json", as_json(rows, lines=True), tmp_path).equals(wanted)


def test_many_batches(tmp_path: Path) -> None:
    rows = [{**dict.fromkeys(ATTRIBUTES), "id": i, "name": "é" * (i % 50)} for i in range(9_000)]
    for form in ("csv", "json", "xml", "parquet"):
        table = parsed(form, WRITERS[form](rows), tmp_path, most=9_000)
        assert table.column("id").to_pylist() == list(range(9_000))
    with pytest.raises(LimitExceeded, match="more than 8,999 rows"):
        parsed("csv", as_csv(rows), tmp_path, most=8_999)


HEAD = "id,name,spent,score,active,since,seen\n"
FAULTS = [
    ("csv", HEAD + "1,a,1.005,,,,\n", 'line 2, column 3: attribute "spent": "1.005" is not a number of at most 2'),
    (
        "csv",
        HEAD + '1,,,,,,\n2,"x\ny",,,,,\n3,,,abc,,,\n',
        'line 5, column 4: attribute "score": "abc" is not a number',
    ),
    (
        "csv",
        HEAD + "1,,,,,,\n1,,,,,,\n",
        'line 3, column 1: attribute "id" is the key, and this value stood before (line 2',
    ),
    ("csv", HEAD + ",,,,,,\n", 'line 2, column 1: attribute "id": expected a value'),
    ("csv", HEAD + "1,2\n", "line 2: the line has 2 values, the first one names 7 columns"),
    ("csv", HEAD + "99999999999999999999,,,,,,\n", 'line 2, column 1: attribute "id"'),
    ("csv", HEAD + "1,,,,maybe,,\n", "is not true or false"),
    ("csv", HEAD + "1,,,,,2026-02-30,\n", "is not a day, written YYYY-MM-DD"),
    ("csv", HEAD + "1,,,,,2026-W01-1,\n", "is not a day"),
    ("csv", HEAD + "1,,,inf,,,\n", "is not a number"),
    ("csv", HEAD + "1,,1e99,,,,\n", "at most 10 digits before the point"),
    ("csv", HEAD.replace("name", "nmae"), 'line 1: the column "nmae" is not described'),
    ("csv", HEAD.replace(",name", ""), 'line 1: there is no column "name"'),
    ("csv", HEAD.replace("name", "id"), 'line 1: the column "id" stands twice'),
    ("csv", HEAD + '1,"a,,,,,\n', "this is no CSV"),
    ("csv", "", "the file is empty"),
    ("csv", HEAD.encode() + b"1,\xff,,,,,\n", "line 2: this is not utf-8 text"),
    ("csv", HEAD + "1,\0,,,,,\n", "NUL"),
    (
        "json",
        '[{"id": 1}, {"id": 2, "spent": "x"}]',
        'line 1, column 13, "spent": attribute "spent": "x" is not a number',
    ),
    ("json", '[{"id": 1},\n {"id": 2,}]', "line 2, column 11: this is no JSON"),
    ("json", '[{"id": 1}', "the array is never closed"),
    ("json", '[{"id": 1}] x', "there is more behind the records"),
    ("json", "[1]", "a record must be a JSON object"),
    ("json", '[{"id": 1, "id": 2}]', "a name stands twice"),
    ("json", '[{"id": NaN}]', "NaN is not a JSON value"),
    ("json", '[{"id": 1, "name": "\\ud800"}]', "half of a surrogate pair"),
    ("json", '[{"id": 1, "name": "a\\u0000"}]', "NUL"),
    ("json", '[{"id": 1, "name": ["x"]}]', "is not text"),
    ("json", '[{"id": 1.5}]', "is not a whole number"),
    ("json", '[{"id": ' + "9" * 5000 + "}]", "is not a whole number"),
    ("json", "[" * 100_000, "nested too deeply"),
    ("json", '[{"id":1,"x":' + "[" * 100_000, "nested too deeply"),
    ("json", b'[{"id": 1, "name": "\xff"}]', "this is not UTF-8 text"),
    ("xml", '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><a><r id="1"/></a>', "a DOCTYPE or an entity"),
    ("xml", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "a DOCTYPE or an entity"),
    ("xml", "<a><r><id>&x;</id></r></a>", "this is no XML"),
    ("xml", "<a><r><id>1</id></r>", "this is no XML"),
    ("xml", "<a>\n<r><id>1</id><id>2</id></r></a>", 'line 2, column 19: "id" stands twice'),
    ("xml", "<a><r><id>1<b/></id></r></a>", "<b> stands inside a value"),
    ("xml", "<a><r>1</r></a>", "text stands outside"),
    ("xml", "<a>\n\n <r id='x'/></a>", 'line 3, column 2, "id": attribute "id": "x" is not a whole number'),
    ("xml", "", "this is no XML"),
    ("xml", '<?xml version="1.0" encoding="nope"?><a/>', "this is no XML"),
    ("parquet", "PAR1", "this is no Parquet"),
    ("parquet", "", "this is no Parquet"),
]


@pytest.mark.parametrize(("form", "data", "told"), FAULTS, ids=range(len(FAULTS)))
def test_faults_are_told_with_their_place(tmp_path: Path, form: str, data: str | bytes, told: str) -> None:
    with pytest.raises(QueryError) as found:
        parsed(form, data.encode() if isinstance(data, str) else data, tmp_path)
    assert told in str(found.value)


def test_parquet_faults_name_row_and_column(tmp_path: Path) -> None:
    out = io.BytesIO()
    rows = {name: [None, None] for name in ATTRIBUTES} | {"id": [1, 2], "score": [1.0, math.inf]}
    pq.write_table(pa.table({**rows, "score": pa.array([1.0, math.inf])}), out)
    with pytest.raises(QueryError, match=r'row 2, "score": .* is not a finite number'):
        parsed("parquet", out.getvalue(), tmp_path)
    nested = io.BytesIO()
    pq.write_table(pa.table({**rows, "name": [["x"], ["y"]]}), nested)
    with pytest.raises(QueryError, match="holds list"):
        parsed("parquet", nested.getvalue(), tmp_path)


@pytest.mark.parametrize("form", list(READERS))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_anything_is_a_table_or_a_clear_error(tmp_path: Path, form: str, data: st.DataObject) -> None:
    """Bytes of any kind, and good files with some bytes changed."""
    good = WRITERS[form]([{**dict.fromkeys(ATTRIBUTES), "id": 7, "name": "Zoë", "spent": Decimal("1.50")}])
    spoiled = bytearray(good)
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=4)):
        spoiled[place] = byte
    sent = data.draw(
        st.sampled_from(
            [bytes(spoiled), bytes(spoiled[: data.draw(st.integers(0, len(good)))]), data.draw(st.binary(max_size=300))]
        )
    )
    try:
        parsed(form, sent, tmp_path)
    except Error as error:
        assert error.sqlstate[:2] in ("22", "23", "42", "53") and error.place


def test_names_missing_values_and_what_is_not_kept(tmp_path: Path) -> None:
    description = read(
        Description,
        {
            "attributes": [
                {"name": "id", "type": "integer", "role": "key", "source": "Customer No."},
                {"name": "city", "type": "text", "missing_values": ["unknown"]},
                {"name": "age", "type": "integer", "missing_values": "-"},
                {"name": "secret", "type": "text", "role": "ignore"},
            ],
            "missing_values": ["", "NA"],
            "other_columns": "ignore",
            "csv": {"delimiter": ";", "encoding": "latin-1"},
        },
        "description",
    )
    sent = "\r\n".join(["Customer No.;city;more;age;secret", "1;Köln;x;-;s", "2;unknown;;7;", ""]).encode("latin-1")
    assert parsed("csv", sent, tmp_path, description).to_pylist() == [
        {"id": 1, "city": "Köln", "age": None},
        {"id": 2, "city": None, "age": 7},
    ]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([], "must be a JSON object"),
        ({}, "`attributes` is missing"),
        ({"attributes": []}, "attributes"),
        ({"attributes": {"a": "int"}}, '"int" is not a type'),
        ({"attributes": {"a": "decimal(40,2)"}}, "is not a type"),
        ({"attributes": {"A b": "text"}}, "not a plain name"),
        ({"attributes": {"a": 1}}, "missing"),
        ({"attributes": {"a": {"type": "text", "rol": "key"}}}, "unknown key"),
        ({"attributes": [{"name": "a", "type": "text"}] * 2}, "stands twice"),
        ({"attributes": {"a": {"type": "text", "role": "key"}, "b": {"type": "text", "role": "key"}}}, "more than one"),
        ({"attributes": {"a": {"type": "text", "role": "ignore"}}}, "no attribute is kept"),
        ({"attributes": {"a": {"type": "text", "missing": "constant"}}}, "`value` goes with the rule constant"),
        ({"attributes": {"a": {"type": "text", "missing": "guess"}}}, "missing"),
    ],
)
def test_descriptions_that_are_wrong(value: Any, told: str) -> None:
    with pytest.raises(QueryError) as found:
        read(Description, value, "description")
    assert told in str(found.value)
    assert found.value.sqlstate == "22023"
