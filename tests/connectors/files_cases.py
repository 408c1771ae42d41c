"""The conformance cases of formats of files beside Parquet: what DuckDB holds, written in each after each change."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from deltalake import write_deltalake
from pyarrow import ipc
from pyiceberg.catalog import load_catalog

from connectors.conformance.case import PRINTED, Case, Sample, Site, nul
from connectors.types import PgType, numeric
from tests.connectors.duckdb_samples import COMMON
from tests.connectors.embedded_cases import analytical, run_on, temporary_folder

T = PgType
Write = Callable[[Path, str, duckdb.DuckDBPyConnection], None]
_KNOWN = {  # as we print them
    "integer[]": (T("json"), nul(("[1, NULL]", "[1, null]"), ("[]", "[]"))),
    "struct(a integer)": (T("json"), nul(("{'a': 1}", '{"a": 1}'))),
    "decimal(38,38)": (numeric(38, 38), nul(("'0." + "9" * 38 + "'", "0." + "9" * 38), ("0", "0." + "0" * 38))),
}
_FAR = re.compile(r"infinity|BC|[0-9]{5,}-")  # dates that the texts of files do not have
_BARE = ("int2", "int4", "int8", "numeric", "float4", "float8", "bool", "json")


def _samples(
    apart: tuple[str, ...] = (), *, infinite: bool, types: Mapping[str, PgType] | None = None
) -> tuple[Sample, ...]:
    """DuckDB's samples without some types (and infinities), nested values as JSON, some read as other types."""
    found = []
    for sample in COMMON:
        if sample.ddl in apart:
            continue
        kind, values = (types or {}).get(sample.ddl, sample.type), sample.values
        if sample.ddl in _KNOWN:
            kind, values = _KNOWN[sample.ddl]
        values = tuple(pair for pair in values if pair[1] is not PRINTED and (infinite or not _FAR.search(pair[0])))
        equal = sample.equal and kind.name != "json"
        found.append(replace(sample, type=kind, values=values, equal=equal, unfit=()))
    return tuple(found)


def _texts(name: str, connection: duckdb.DuckDBPyConnection) -> tuple[list[str], list[Any]]:
    """Names of a table's columns, and rows of (text, type)."""
    columns = connection.execute(f"DESCRIBE {name}").fetchall()
    terms = []
    for column, native, *_ in columns:
        form = f'CAST("{column}" AS VARCHAR)'
        if native == "BLOB":
            form = f"'\\x' || lower(hex(\"{column}\"))"
        if native.endswith("]") or native.startswith("STRUCT"):
            form = f"replace(replace(to_json(\"{column}\")::varchar, ',', ', '), ':', ': ')"
        terms.append(form)
    rows = connection.execute(f"SELECT {', '.join(terms)} FROM {name}").fetchall()
    return [column[0] for column in columns], rows


def _csv(place: Path, name: str, connection: duckdb.DuckDBPyConnection) -> None:
    names, rows = _texts(name, connection)
    with (place / f"{name}.part").open("w", newline="") as out:
        csv.writer(out).writerow(names)
        for row in rows:
            out.write(",".join("" if text is None else '"' + text.replace('"', '""') + '"' for text in row) + "\n")
    (place / f"{name}.part").replace(place / f"{name}.csv")


def _json(place: Path, name: str, connection: duckdb.DuckDBPyConnection) -> None:
    kinds = {sample.column: sample.type.name for sample in JSON} | {"id": "int4", "v": "text"}
    names, rows = _texts(name, connection)
    with (place / f"{name}.part").open("w") as out:
        for row in rows:
            members = []
            for column, text in zip(names, row, strict=True):
                bare = text is not None and kinds[column] in _BARE and text not in ("nan", "inf", "-inf")
                number = f"0{text}" if bare and text.startswith(".") else text  # as DuckDB prints what is below one
                members.append(f"{json.dumps(column)}: {number if bare else json.dumps(text)}")
            out.write("{" + ", ".join(members) + "}\n")
    (place / f"{name}.part").replace(place / f"{name}.ndjson")


def _arrow(place: Path, name: str, connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET arrow_lossless_conversion = true")
    table = connection.sql(f"SELECT * FROM {name}").to_arrow_table()
    with ipc.new_file(str(place / f"{name}.part"), table.schema) as writer:
        writer.write_table(table)
    (place / f"{name}.part").replace(place / f"{name}.arrow")


def _delta(place: Path, name: str, connection: duckdb.DuckDBPyConnection) -> None:
    table = connection.sql(f"SELECT * FROM {name}").to_arrow_table()
    write_deltalake(str(place / name), table, mode="overwrite", schema_mode="overwrite")


def _iceberg(place: Path, name: str, connection: duckdb.DuckDBPyConnection) -> None:
    table = connection.sql(f"SELECT * FROM {name}").to_arrow_table()
    catalog = load_catalog("c", type="sql", uri=f"sqlite:///{place.parent}/catalog.db", warehouse=f"file://{place}")
    catalog.create_namespace_if_not_exists("ns")
    if catalog.table_exists(f"ns.{name}"):
        catalog.drop_table(f"ns.{name}")
    shutil.rmtree(place / name, ignore_errors=True)
    catalog.create_table(f"ns.{name}", schema=table.schema, location=f"file://{place}/{name}").append(table)


def _excel(place: Path, name: str, connection: duckdb.DuckDBPyConnection) -> None:
    found = connection.execute(f"SELECT * FROM {name}")
    book = openpyxl.Workbook()
    book.worksheets[0].append([column[0] for column in found.description or ()])
    for row in found.fetchall():
        book.worksheets[0].append(row)
    book.save(place / f"{name}.part")
    (place / f"{name}.part").replace(place / f"{name}.xlsx")


def _site(
    write: Write, declared: tuple[Sample, ...]
) -> Callable[[pytest.FixtureRequest], AbstractContextManager[Site]]:
    @contextmanager
    def opened(_: pytest.FixtureRequest) -> Iterator[Site]:
        with temporary_folder() as at:
            place = at / "files"
            place.mkdir()

            def run(*statements: str) -> list[tuple[Any, ...]]:
                rows = run_on(at / "data.duckdb", statements)
                with duckdb.connect(str(at / "data.duckdb"), read_only=True) as connection:
                    connection.execute("SET TimeZone = 'UTC'")
                    for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                        write(place, table, connection)
                return rows

            types = {f"samples.{sample.column}": sample.type.sql for sample in declared}
            yield Site({"folder": "files", "base_folder": str(at), "types": types}, run)

    return opened


def _case(label: str, write: Write, samples: tuple[Sample, ...], declared: tuple[Sample, ...] = ()) -> Case:
    made = analytical("files", _site(write, declared), samples)
    unfit = (("varchar", "'abc'", T("int4")), ("bigint", "70000", T("int2")))
    return replace(made, label=label, printing=None, unfit=unfit)


CSV = JSON = _samples(infinite=False)
ARROW = _samples(infinite=True)
_UNSIGNED = ("utinyint", "usmallint", "uinteger", "ubigint")
DELTA = _samples(
    (*_UNSIGNED, "time", "uuid", "json", "timestamp_ms", "timestamp_ns"), infinite=False
)  # which Delta Lake does not have
ICEBERG = _samples(
    (*_UNSIGNED, "json", "timestamp_ms", "timestamp_ns", "uuid"),
    infinite=False,
    types={"tinyint": T("int4"), "smallint": T("int4")},
)
EXCEL = (
    Sample("boolean", T("bool"), nul(("true", True), ("false", False))),
    Sample("integer", T("int8"), nul(("-2147483648", -(2**31)), ("2147483647", 2**31 - 1))),
    Sample("bigint", T("int8"), nul(("999999999999999", 999_999_999_999_999))),
    Sample("double", T("float8"), nul(("0.1", 0.1), ("1e300", 1e300), ("1.234567890123457", 1.234567890123457))),
    Sample("decimal(10,2)", numeric(18, 2), nul(("12345678.91", "12345678.91"), ("-0.01", "-0.01"))),
    Sample("varchar", T("text"), nul(("'a  '", "a  "), ("'Ünï ß 漢字 🎉'", "Ünï ß 漢字 🎉"), ("'007'", "007"))),
    Sample("date", T("date"), nul(("'1900-03-01'", -25508), ("'9999-12-31'", 2932896))),
    Sample("time", T("time"), nul(("'12:30:15'", 45_015_000_000))),
    Sample("timestamp", T("timestamp"), nul(("'2024-03-31 02:30:00'", 1_711_852_200_000_000))),
)

FILES = (
    _case("csv", _csv, CSV, CSV),
    _case("json", _json, JSON, JSON),
    _case("arrow", _arrow, ARROW),
    _case("delta", _delta, DELTA),
    _case("iceberg", _iceberg, ICEBERG),
    _case("excel", _excel, EXCEL),
)

CONDUCT_AS_PARQUET = frozenset(case.label for case in FILES)  # statements run the same way, so only with --deep
