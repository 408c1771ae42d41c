"""Connectors of others: one that is generated, one of a new engine; installed as packages, found by entry points."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from api import formats
from api.new import connector
from api.project import open_project
from connectors import registry
from connectors.errors import ConfigError
from federation.canon.server import Canon
from federation.session import Session

ROOT = Path(__file__).parent.parent
DATAFUSION = ROOT / "tests" / "third_party" / "vdw_datafusion"
DATA = """
CREATE TABLE customers (id int, name text, since date);
INSERT INTO customers VALUES (1, 'Ada', '2020-02-29'), (2, 'Grace', '2021-01-01'), (3, 'Édgar', NULL), (4, '', '1999-12-31');
CREATE TABLE orders (id bigint, customer int, amount numeric(10, 2), note text, placed timestamp);
INSERT INTO orders SELECT g, g % 5, (g * 7919 % 100000) / 100.0 - 300, CASE WHEN g % 7 > 0 THEN 'n' || g END,
    timestamp '2024-02-29 23:59:59.999999' + g * interval '1 minute' FROM generate_series(1, 500) AS g;
"""  # noqa: E501 - rows
QUERIES = (
    "SELECT c.name, count(*), sum(o.amount), max(o.placed) FROM customers c JOIN orders o ON o.customer = c.id"
    " GROUP BY c.name ORDER BY c.name",
    "SELECT id, amount, note FROM orders WHERE amount > 650.10 OR note IN ('n1', 'n13') ORDER BY id",
    "SELECT c.id, o.id FROM customers c LEFT JOIN orders o ON o.customer = c.id AND o.amount < -290 ORDER BY 1, 2",
    "SELECT customer, avg(amount), count(DISTINCT note) FROM orders GROUP BY customer ORDER BY 2 DESC",
    "SELECT id, placed FROM orders WHERE placed >= '2024-03-01 03:00' ORDER BY amount DESC, id LIMIT 7",
    "SELECT o.note, c.since + 1 FROM orders o JOIN customers c ON c.id = o.customer WHERE o.id = 123",
)


def installed(package: Path, into: Path) -> dict[str, str]:
    """The environment in which a package is found that pip has installed into a folder; nothing is downloaded."""
    copy = shutil.copytree(package, into / "copy")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    run([*pip, "--no-index", "--no-build-isolation", "--target", str(into / "site"), str(copy)], dict(os.environ))
    paths = [str(into / "site"), str(ROOT), *filter(None, (os.environ.get("PYTHONPATH"),))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def run(command: list[str], environment: dict[str, str], folder: Path = ROOT) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def vdw(*arguments: str, environment: dict[str, str]) -> str:
    """What a command of vdw's prints."""
    return run([sys.executable, "-c", "from api.cli import main; main()", *arguments], environment)


def suite(tests: Path, environment: dict[str, str]) -> str:
    """The last lines of the conformance suite over a package."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tests)]
    return run(command, environment, tests.parent)


@pytest.mark.slow
def test_what_is_generated_works(tmp_path: Path) -> None:
    package = tmp_path / "package"
    connector("acme_db", package)
    assert "template" not in "".join(path.read_text().lower() for path in package.rglob("*.*"))
    told = suite(package / "tests", installed(package, tmp_path))
    assert " passed" in told
    assert "failed" not in told


def test_a_name_that_cannot_be(tmp_path: Path) -> None:
    for name in ("Acme", "1st", "class", "a-b", "", "sqlite"):
        with pytest.raises(ConfigError):
            connector(name, tmp_path / "new")
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        connector("acme", tmp_path)


def test_a_new_engine_takes_less_than_200_lines() -> None:
    assert len((DATAFUSION / "vdw_datafusion.py").read_text().splitlines()) < 200


@pytest.mark.slow
def test_a_new_engine_passes_the_suite_is_probed_and_answers(
    tmp_path: Path, canon: Canon, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = installed(DATAFUSION, tmp_path)
    assert "failed" not in suite(DATAFUSION / "tests", environment)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    registry._entries.cache_clear()
    try:
        with psycopg.connect(canon.dsn(), autocommit=True) as oracle:
            oracle.execute("SET search_path = pg_temp")
            oracle.execute(DATA.encode())
            folder = project(tmp_path / "project", oracle)
            wanted = [told(oracle, query) for query in QUERIES]
        assert asyncio.run(answers(folder)) == wanted, "scans alone"
        vdw("probe", "wh", "-p", str(folder), environment=environment)
        written = yaml.safe_load((folder / "profiles" / "wh.yml").read_text())
        assert written["engine"] == "datafusion"
        assert "=(int, int)" in str(written["claims"])
        assert asyncio.run(answers(folder)) == wanted, "with what was proven"
    finally:
        registry._entries.cache_clear()


async def answers(folder: Path) -> list[str]:
    """vdw's answers, as CSV."""
    found = []
    async with open_project(folder) as runtime:
        assert runtime.diagnostics == ()
        for query in QUERIES:
            text = query.replace("customers c", "crm.customers c").replace("orders", "wh.orders")
            result = await runtime.engine.query(text, Session("vdw"))
            stream = io.BytesIO()
            writer = formats.writer("csv", result.columns, stream)
            async for batch in result.batches:
                writer.write(batch)
            writer.close()
            found.append(stream.getvalue().decode())
    return found


def project(folder: Path, oracle: psycopg.Connection[tuple[object, ...]]) -> Path:
    """The oracle's rows at two sources: customers in SQLite, orders in Parquet for DataFusion."""
    for part in ("sources", "warehouse"):
        (folder / part).mkdir(parents=True)
    (folder / "vdw.yml").write_text("name: third party\n")
    connections = {"crm": ("sqlite", {"path": "crm.db"}), "wh": ("datafusion", {"folder": "warehouse"})}
    for name, (kind, connection) in connections.items():
        (folder / "sources" / f"{name}.yml").write_text(yaml.safe_dump({"kind": kind, "connection": connection}))
    with closing(sqlite3.connect(folder / "crm.db")) as crm:
        crm.execute("CREATE TABLE customers (id INT4 PRIMARY KEY, name TEXT, since DATE)")
        rows = oracle.execute("SELECT id, name, since::text FROM customers").fetchall()
        crm.executemany("INSERT INTO customers VALUES (?, ?, ?)", rows)
        crm.commit()
    columns = {"id": pa.int64(), "customer": pa.int32(), "amount": pa.decimal128(10, 2), "note": pa.string()}
    schema = pa.schema([*columns.items(), ("placed", pa.timestamp("us"))])
    values = zip(*oracle.execute("SELECT * FROM orders").fetchall(), strict=True)
    table = pa.table(
        [pa.array(list(column), field.type) for column, field in zip(values, schema, strict=True)], schema=schema
    )
    pq.write_table(table, folder / "warehouse" / "orders.parquet")
    return folder


def told(oracle: psycopg.Connection[tuple[object, ...]], query: str) -> str:
    """PostgreSQL's own answer, as CSV."""
    with oracle.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)".encode()) as copy:
        return b"".join(map(bytes, copy)).decode()
