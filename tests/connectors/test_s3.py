"""Files on S3, at a real server: what is read, how much of it, who may, and what happens when it fails."""

from __future__ import annotations

import io
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trustme
from deltalake import write_deltalake
from pyiceberg.catalog import load_catalog
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from connectors.base import Bound, Cancel, Connector
from connectors.conformance.asking import INT8, ask, statement
from connectors.errors import Error, LimitExceeded, SourceError
from connectors.registry import connect
from connectors.types import PgType
from tests.faults.proxy import Proxy
from tests.s3_server import BUCKET, KEY, SECRET, S3Server

pytestmark = pytest.mark.service
TEXT = PgType("text")
WIDE, ROWS = 40, 200_000


@pytest.fixture(scope="module")
def bucket(s3: S3Server) -> str:
    """One object of each kind, under a prefix."""
    s3.put("wh/orders.csv", b"id,total\n1,1.50\n2,2.25\n")
    s3.put("wh/lines.ndjson", b'{"id": 1, "d": 1.10}\n')
    s3.put("wh/events/day=2024-01-01/a.parquet", parquet(pa.table({"n": [1, 2]})))
    s3.put("wh/events/day=2024-01-02/b.parquet", parquet(pa.table({"n": [3]})))
    columns = {f"c{i}": pa.array(range(i, i + ROWS)) for i in range(WIDE)}
    s3.put(
        "wh/wide.parquet", parquet(pa.table(columns), row_group_size=20_000, compression="none", use_dictionary=False)
    )
    return f"s3://{BUCKET}/wh"


class DiskIO(PyArrowFileIO):
    """Writes to the server's own folder: the server does not take PyArrow's uploads in pieces."""

    def new_input(self, location: str) -> PyArrowFile:
        return self._placed(location, super().new_input(self._path(location)))

    def new_output(self, location: str) -> PyArrowFile:
        return self._placed(location, super().new_output(self._path(location)))

    def _path(self, location: str) -> str:
        return location.replace("s3://", f"file://{self.properties['disk']}/")

    @staticmethod
    def _placed(location: str, file: PyArrowFile) -> PyArrowFile:
        file._location = location
        return file


def parquet(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def opened(s3: S3Server, folder: str, **options: Any) -> Connector:
    return connect("files", "lake", {"folder": folder, "s3": s3.options, **options})


@pytest.fixture
def lake(s3: S3Server, bucket: str) -> Iterator[Connector]:
    connector = opened(s3, bucket)
    yield connector
    connector.close()


def test_formats_on_s3(lake: Connector) -> None:
    assert {table.name for table in lake.tables()} == {"orders", "lines", "events", "wide"}
    assert ask(lake, "SELECT sum(id)::bigint FROM orders").column(0).to_pylist() == [3]
    assert ask(lake, "SELECT d FROM lines", columns=(PgType("numeric"),)).column(0).to_pylist() == ["1.10"]
    assert ask(lake, "SELECT n FROM events WHERE day = '2024-01-02'").column(0).to_pylist() == [3]
    lake.ping()


def test_only_what_is_asked_for_is_read(s3: S3Server, bucket: str) -> None:
    size = ROWS * WIDE * 8
    with Proxy(s3.host, s3.port) as proxy:
        there = {**s3.options, "endpoint": f"http://{proxy.host}:{proxy.port}"}
        connector = connect("files", "lake", {"folder": bucket, "s3": there})
        asked = ask(connector, "SELECT c7 FROM wide WHERE c7 = ", Bound(INT8, 150_000))
        assert asked.column(0).to_pylist() == [150_000]
        assert proxy.passed < size / 10, f"{proxy.passed} of {size} bytes"
        before = proxy.passed
        assert ask(connector, "SELECT sum(c0)::bigint FROM wide").num_rows == 1
        assert proxy.passed - before < size / 10
        connector.close()


def test_an_object_that_changes_while_it_is_read(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.files.csv._BLOCK", 1 << 18)  # several are read ahead
    monkeypatch.setattr("connectors.files.s3._AHEAD", 1 << 18)
    s3.put("changing/t.csv", b"n,t\n" + (b"1," + b"x" * 997 + b"\n") * 80_000)
    connector = opened(s3, f"s3://{BUCKET}/changing", types={"t.n": "bigint"}, prove=0)
    stream = connector.execute(statement("SELECT n, t FROM t", columns=(INT8, TEXT)), timeout=60, cancel=Cancel())
    assert next(stream).num_rows
    s3.put("changing/t.csv", b"n,t\n" + (b"2," + b"x" * 997 + b"\n") * 80_000)
    with pytest.raises(SourceError, match="changed while it was read") as error:
        for _ in stream:
            pass
    assert error.value.sqlstate == "08006"
    s3.put("changing/t.csv", b"n\n3\n")
    assert ask(connector, "SELECT n FROM t").column(0).to_pylist() == [3]
    connector.close()


def test_parquet_that_changes_is_the_old_one_or_an_error(s3: S3Server) -> None:
    first, second = (
        parquet(pa.table({"n": range(low, low + 2_000_000)}), row_group_size=20_000, use_dictionary=False)
        for low in (0, 5_000_000)
    )
    s3.put("replaced/t.parquet", first)
    connector = opened(s3, f"s3://{BUCKET}/replaced", memory_limit="50MB")
    stream = connector.execute(statement("SELECT n FROM t"), timeout=60, cancel=Cancel())
    seen = [next(stream).column(0)]
    s3.put("replaced/t.parquet", second)
    try:
        seen += [batch.column(0) for batch in stream]
    except SourceError as error:
        assert error.sqlstate == "08006"
    else:
        assert pa.chunked_array(seen).sort().to_pylist()[-1] == 1_999_999
    assert ask(connector, "SELECT min(n) FROM t").column(0).to_pylist() == [5_000_000]
    connector.close()


def test_delta_and_iceberg_on_s3(s3: S3Server, tmp_path: Path) -> None:
    options = {"AWS_ENDPOINT_URL": s3.endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
               "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1", "AWS_S3_ALLOW_UNSAFE_RENAME": "true"}  # fmt: skip
    write_deltalake(f"s3://{BUCKET}/versions/d", pa.table({"id": [1, 2]}), storage_options=options)
    catalog = load_catalog(
        "c", type="sql", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"s3://{BUCKET}/versions",
        **{"py-io-impl": "tests.connectors.test_s3.DiskIO", "disk": f"{s3.folder}/data"},
    )  # fmt: skip
    catalog.create_namespace("ns")
    made = catalog.create_table("ns.i", schema=pa.schema([("id", pa.int64())]), location=f"s3://{BUCKET}/versions/i")
    made.append(pa.table({"id": [5]}))
    connector = opened(s3, f"s3://{BUCKET}/versions")
    assert {table.name for table in connector.tables()} == {"d", "i"}
    assert ask(connector, "SELECT sum(id)::bigint FROM d").column(0).to_pylist() == [3]
    assert ask(connector, "SELECT id FROM i").column(0).to_pylist() == [5]
    connector.close()


def test_wrong_keys_are_told_without_them(s3: S3Server, bucket: str) -> None:
    wrong = {**s3.options, "secret_access_key": "wrong-and-secret"}
    connector = connect("files", "lake", {"folder": bucket, "s3": wrong})
    for work in (connector.ping, connector.tables, lambda: ask(connector, "SELECT id FROM orders")):
        with pytest.raises(SourceError) as error:
            work()
        assert error.value.sqlstate == "08001"
        told = " ".join(map(repr, (error.value, vars(error.value), vars(connector))))
        assert "wrong-and-secret" not in told
    connector.close()


def test_a_server_that_is_down_and_comes_back(s3: S3Server, lake: Connector) -> None:
    ask(lake, "SELECT id FROM orders")
    s3.stop()
    try:
        with pytest.raises(Error) as error:
            ask(lake, "SELECT id FROM orders", timeout=5)
        assert error.value.sqlstate in ("08006", "57014")
    finally:
        s3.start()
    assert ask(lake, "SELECT id FROM orders").num_rows == 2


@pytest.mark.parametrize("name", ["orders", "wide"])
def test_a_server_that_hangs(s3: S3Server, lake: Connector, name: str) -> None:
    text = {"orders": "SELECT sum(id)::bigint FROM orders", "wide": "SELECT sum(c1)::bigint FROM wide"}[name]
    ask(lake, text)
    with s3.paused():
        begun = time.monotonic()
        with pytest.raises(LimitExceeded) as error:
            ask(lake, text, timeout=0.5)
        assert time.monotonic() - begun < 8  # not the server's own time
        cancel = Cancel()
        threading.Timer(0.3, cancel.fire).start()
        with pytest.raises(LimitExceeded):
            ask(lake, text, timeout=30, cancel=cancel)
    assert error.value.sqlstate == "57014"
    assert ask(lake, text).num_rows == 1


def test_certificates_are_verified(tmp_path: Path, bucket: str) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = ca.issue_cert("127.0.0.1")
    (tmp_path / "both.pem").write_bytes(
        issued.private_key_pem.bytes() + b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    )
    store = tmp_path / "store.p12"
    subprocess.run(
        ["openssl", "pkcs12", "-export", "-in", str(tmp_path / "both.pem"), "-out", str(store), "-passout",
         "pass:changeit"], check=True, capture_output=True,
    )  # fmt: skip
    server = S3Server("s3", tmp_path / "server")
    server.folder.mkdir()
    server.keystore = store
    server.create()
    server.start()
    try:
        folder = server.folder / "data" / BUCKET
        (folder / "t.csv").write_text("n\n1\n")
        (folder / "p.parquet").write_bytes(parquet(pa.table({"n": [2]})))
        given = {"folder": f"s3://{BUCKET}", "base_folder": str(tmp_path)}
        strange = connect("files", "lake", {**given, "s3": {**server.options, "retries": 0, "timeout": 20}})
        with pytest.raises(SourceError, match="certificate"):
            ask(strange, "SELECT n FROM t")
        trusting = connect("files", "lake", {**given, "s3": {**server.options, "ca_file": "ca.pem"}})
        assert ask(trusting, "SELECT n FROM t UNION ALL SELECT n FROM p").num_rows == 2
        strange.close()
        trusting.close()
    finally:
        server.remove()


def test_listing_is_bounded(s3: S3Server, bucket: str) -> None:
    connector = connect(
        "files", "lake", {"tables": {"e": f"{bucket}/events/**/*.parquet"}, "s3": s3.options, "max_files": 1}
    )
    with pytest.raises(SourceError, match=re.escape("names more than 1 files")):
        ask(connector, "SELECT n FROM e")
    connector.close()
