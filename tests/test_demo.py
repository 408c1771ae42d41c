"""The demo as a process: right answers and its exit codes, other ports where its own are taken, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from rich.console import Console

from api.project import Runtime, open_project
from api.serve import serving
from examples.crm import build, cdnow, data, demo
from examples.crm.oracle import holding
from examples.crm.questions import questions
from examples.crm.tour import Answer, Oracle, Server, tour
from examples.crm.witness import Witness
from tests.test_example import invented

ROOT = Path(__file__).parent.parent
PATIENCE = 300.0  # seconds after which a demo that hangs is killed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small example, built as the demo would find its own."""
    place = tmp_path_factory.mktemp("demo")
    build.write(place, data.build(invented()))
    (place / demo.STAMP).write_text(demo.fingerprint())
    return place


@contextlib.contextmanager
def started(folder: Path, temporary: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "examples.crm.demo", "--into", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "default", "TMPDIR": str(temporary), **environment},
    )
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.slow
def test_the_tour_once(folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        file = folder / "vdw.yml"
        file.write_text(file.read_text().replace("8080", str(taken)).replace("5433", "0"))
        with started(folder, tmp_path, DEMO_ONCE="1") as process:
            said, _ = process.communicate()
    assert process.returncode == 0, said
    assert f"Port {taken} of http is taken here; another one takes its place" in said
    assert said.count("RIGHT: ") >= 3
    assert said.count("Cache hit: ") + said.count("Too late for the cache") == 3
    right = re.search(r"(\d+) of (\d+) answers are right", said)
    assert right and right[1] == right[2] == str(said.count("RIGHT: "))
    for part in ("f0 @ crm", "What each source was asked", "by the count at the sources' gates", "Merged "):
        assert said.count(part) >= 1, part
    assert "Warning" not in said
    assert "Ctrl-C" not in said
    assert left(tmp_path) == []


def left(temporary: Path) -> list[str]:
    """What is there still; the folder where servers of this machine meet stays, for the next of them."""
    return [one.name for one in temporary.iterdir() if one.name != f"vdw-{os.getuid()}"]


@pytest.mark.slow
def test_it_goes_on_serving_until_ctrl_c(folder: Path, tmp_path: Path) -> None:
    with started(folder, tmp_path, DEMO_ONCE="") as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        (dsn,) = re.findall(r'psycopg\.connect\("(.*)"\)', said)
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT count(*) FROM customers.profile").fetchall() == [(300,)]
        assert re.search(r"GraphiQL +http://127\.0\.0\.1:\d+/graphiql", said)
        family = psutil.Process(process.pid).children(recursive=True)
        assert family
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate()
    assert (process.returncode, rest) == (0, "stopping\n")
    assert psutil.wait_procs(family, timeout=30)[1] == []
    assert left(tmp_path) == []


def other_amounts(_runtime: Runtime, oracle: Oracle) -> None:
    """Right is what the PostgreSQL says that was loaded apart."""
    for orders in ("dwh.orders", "shop.orders"):
        oracle.execute(f"UPDATE {orders} SET amount = amount + 0.01".encode())


def closed_sources(runtime: Runtime, _oracle: Oracle) -> None:
    for connector in runtime.engine.connectors.values():
        connector.close()


@pytest.mark.slow
@pytest.mark.parametrize(("spoil", "said"), [(other_amounts, ", expected "), (closed_sources, "there is no answer: ")])
def test_a_wrong_answer_is_noticed(folder: Path, spoil: Callable[[Runtime, Oracle], None], said: str) -> None:
    async def walk() -> tuple[int, str]:
        console = Console(width=110, file=io.StringIO(), record=True)
        async with open_project(folder) as runtime:
            witness = Witness(runtime.engine)
            runtime.engine = witness  # type: ignore[assignment]
            demo._avoid_taken_ports(console, runtime)
            async with serving(runtime) as where:
                assert where.postgresql is not None and where.http is not None
                password = (folder / "secrets" / "analyst").read_text().strip()
                server = Server(where.postgresql, where.http, "analyst", password, witness)
                with holding(folder) as oracle:
                    asked = questions(oracle)
                    spoil(runtime, oracle)
                    wrong = await tour(console, server, oracle, folder, asked)
        return wrong, console.export_text()

    wrong, told = asyncio.run(walk())
    assert wrong == 3
    assert told.count("WRONG: ") == 3
    assert told.count(said) >= 3
    assert "RIGHT: " not in told


def test_answers_are_compared_by_columns_types_rows_and_order() -> None:
    answer = Answer((("a", 23), ("b", 25)), [(1, "x"), (2, None)])
    assert answer.differs(Answer((("a", 23), ("b", 25)), [(1, "x"), (2, None)])) == ""
    assert "columns" in answer.differs(Answer((("a", 20), ("b", 25)), answer.rows))
    assert answer.differs(Answer(answer.columns, answer.rows[:1])) == "2 rows, expected 1"
    assert answer.differs(Answer(answer.columns, answer.rows[::-1])) == "row (1, 'x'), expected (2, None)"


def test_it_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    monkeypatch.setattr(build, "build", lambda into: made.append(into) or into.mkdir(exist_ok=True) or {})
    folder = tmp_path / "demo"
    for _ in range(2):
        demo.built(Console(quiet=True), folder)
    assert made == [folder]
    (folder / demo.STAMP).write_text("of older code")
    demo.built(Console(quiet=True), folder)
    assert made == [folder] * 2


def test_without_the_purchases_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(cdnow, "default_cache", lambda: tmp_path / "cache")
    assert demo.main(["--into", str(tmp_path / "demo")]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "demo: the wheel of lifetimes==0.11.3 cannot be downloaded" in said
    assert "Connect to a package index, or put lifetimes/datasets/CDNOW_master.txt of that wheel at" in said
    assert not (tmp_path / "demo" / demo.STAMP).exists()


@pytest.mark.slow
def test_nothing_on_its_way_needs_the_extras() -> None:
    extras = "{'MySQLdb', 'sklearn', 'pytest', 'hypothesis'}"  # httpx is none: notifiers send by it
    code = f"import sys, examples.crm.demo; print(sorted({extras} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"
