"""`vdw serve` as a process: both protocols, reload by signal, an end that leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from api import sample

pytestmark = pytest.mark.slow  # servers come and go

START = "import sys; from api.cli import main; sys.argv = ['vdw', *sys.argv[1:]]; main()"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "sample"
    sample.create(place)
    file = place / "vdw.yml"
    file.write_text(file.read_text().replace("8080", "0").replace("5433", "0"))
    return place


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The process, and what it said until it was ready."""
    temporary = folder.parent / "t"
    temporary.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", START, "serve", "--project", str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default", "TMPDIR": str(temporary)},
    )
    assert process.stderr is not None
    said: list[str] = []
    try:
        for line in process.stderr:
            said.append(line.rstrip())
            if line.startswith("ready"):
                break
        yield process, said
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def dsn(said: list[str]) -> str:
    (line,) = (line for line in said if "psql" in line)
    return line.partition('"')[2].partition('"')[0]


def graphql(said: list[str], query: str) -> dict[str, object]:
    (line,) = (line for line in said if "GraphQL" in line)
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(line.split()[-1], json.dumps({"query": query}).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: dict[str, object] = json.load(response)
    return answer


def test_both_protocols_reload_and_end(folder: Path) -> None:
    with served(folder) as (process, said):
        assert said[0] == "sample: 1 views over 1 sources"
        with psycopg.connect(dsn(said), autocommit=True) as connection:
            sql = "select full_name, orders from crm.customers where customer_id = %s"
            assert connection.execute(sql, [1]).fetchall() == [("Ada Lovelace", 2)]
            answer = graphql(said, "{ crmCustomers(where: {customerId: {_eq: 1}}) { fullName orders } }")
            assert answer["data"] == {"crmCustomers": [{"fullName": "Ada Lovelace", "orders": "2"}]}

            (folder / "views/crm/names.view.sql").write_text("select full_name from shop.customers\n")
            process.send_signal(signal.SIGHUP)
            assert process.stderr is not None
            assert any("reloaded" in line for line in process.stderr), "queries have their lines there too"
            assert connection.execute("select count(*) from crm.names").fetchone() == (3,)

            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            with pytest.raises(psycopg.OperationalError):
                connection.execute("select 1")
        shared = {f"vdw-{os.getuid()}"}  # where servers meet: it stays, for those that come
        left = {path.name for path in (folder.parent / "t").iterdir()} - shared
        for _ in range(100):
            if not left:
                break
            time.sleep(0.05)
            left = {path.name for path in (folder.parent / "t").iterdir()} - shared
        assert left == set()


def test_what_runs_past_the_grace_is_told_why_it_ends(folder: Path) -> None:
    with served(folder) as (process, said):
        (line,) = (line for line in said if "GraphQL" in line)
        url = line.split()[-1].replace("/graphql", "/query")
        heavy = json.dumps({"sql": "select count(*) from crm.customers, generate_series(1, 2000000000)"}).encode()
        request = urllib.request.Request(url, heavy, {"Content-Type": "application/json"})
        threading.Timer(1, process.send_signal, (signal.SIGTERM,)).start()
        with pytest.raises(urllib.error.HTTPError) as ended:
            urllib.request.urlopen(request, timeout=30)
        with ended.value as answer:
            assert (answer.code, json.load(answer)["error"]["sqlstate"]) == (503, "57P01")
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_a_port_that_is_taken_is_named(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = folder / "vdw.yml"
        file.write_text(file.read_text().replace("http: {port: 0}", f"http: {{port: {port}}}"))
        with served(folder) as (process, said):
            assert process.wait(30) not in (0, None)
            text = "\n".join(said)
            assert f"cannot listen on 127.0.0.1:{port}" in text
            assert "listen.http" in text
            assert "choose another port" in text
            assert "Traceback" not in text
