"""Tables that Trino wrote (lakes/make.py): deletes, evolved schemas, strange partitions; read as Trino read them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from connectors.base import Connector
from connectors.conformance.asking import ask
from connectors.errors import SourceError
from connectors.registry import connect
from connectors.types import PgType
from tests.connectors.lakes.make import ARCHIVE, DELTA, ICEBERG
from tests.s3_server import BUCKET, S3Server

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def expected(s3: S3Server) -> dict[str, Any]:
    with zipfile.ZipFile(ARCHIVE) as archive:
        for name in archive.namelist():
            if name != "expected.json":
                s3.put(name, archive.read(name))
        told: dict[str, Any] = json.loads(archive.read("expected.json"))
    return told


@pytest.fixture
def lake(s3: S3Server, expected: dict[str, Any], request: pytest.FixtureRequest) -> Iterator[Connector]:
    form = {"delta_lake": "delta", "iceberg": "iceberg"}[request.param]
    with zipfile.ZipFile(ARCHIVE) as archive:
        folders = {"/".join(name.split("/")[:3]) for name in archive.namelist() if name.count("/") > 2}
    tables = {
        folder.split("/")[2].split("-")[0]: {"path": f"s3://{BUCKET}/{folder}", "format": form}
        for folder in folders
        if folder.startswith(request.param)
    }
    connector = connect("files", "lake", {"tables": tables, "s3": s3.options})
    yield connector
    connector.close()


CASES = [("delta_lake", name) for name in DELTA if name != "days"] + [("iceberg", name) for name in ICEBERG]


@pytest.mark.parametrize(("lake", "name"), CASES, indirect=["lake"])
@pytest.mark.parametrize("filtered", [False, True])
def test_a_table_is_what_its_writer_reads(
    lake: Connector, name: str, filtered: bool, expected: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    connector = request.node.callspec.params["lake"]
    told = expected[connector][name]
    (found,) = lake.tables(tables=(name,))
    assert [column.name for column in found.columns] == told["columns"]
    listed = ", ".join(f'"{column}"' for column in told["columns"])
    sql = f"SELECT {listed} FROM main.{name}" + (" WHERE 1 = 1" if filtered else "")
    got = ask(lake, sql, columns=tuple(column.type for column in found.columns))
    rows = [[_plain(value) for value in row.values()] for row in got.to_pylist()]
    assert sorted(map(str, rows)) == sorted(str([_plain(value) for value in row]) for row in told["rows"])
    count = ask(lake, f"SELECT count(*) FROM {name}", columns=(PgType("int8"),)).column(0).to_pylist()
    assert count == [len(told["rows"])]
    assert found.row_count in (None, len(told["rows"]))


@pytest.mark.parametrize("lake", ["delta_lake"], indirect=True)
def test_a_partition_that_delta_rs_cannot_read_is_told(lake: Connector) -> None:
    """1.5 as numeric(10,3), as Trino writes it."""
    assert "days" not in {found.name for found in lake.tables()}
    with pytest.raises(SourceError, match="table days: Delta Lake cannot read it") as error:
        ask(lake, "SELECT v FROM days")
    assert "decimal(10,3)" in (error.value.detail or "")


def _plain(value: Any) -> Any:
    """Both as Python's str has them; Trino's rows as JSON."""
    if isinstance(value, list):
        return json.dumps({"a": value[0]})
    if isinstance(value, Decimal | bool | int | float) or value is None:
        return str(value)
    text = str(value)
    return text.replace("000+00:00", "+00:00") if text.endswith("000+00:00") else text
