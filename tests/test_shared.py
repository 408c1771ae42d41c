"""One server for all processes of a test run: started once, and gone with the last, however that one ends."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import shared
from tests.servers import Missing

HOLDER = """
import os, sys, time
from tests.shared import shared
with shared(sys.argv[1]) as place:
    print(place, flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def quick() -> Iterator[str]:
    """A server as far as the keeper is concerned: a child that runs, and a file that says so while it does."""
    place = Path(os.environ["VDW_TESTS_PLACE"])
    file = place / secrets.token_hex(4)
    with subprocess.Popen(["sleep", "1000"]) as child:
        try:
            file.write_text(str(child.pid))
            yield str(file)
        finally:
            child.kill()
            file.unlink()


@contextlib.contextmanager
def slow() -> Iterator[None]:
    """One that never gets ready, unless its child dies."""
    place = Path(os.environ["VDW_TESTS_PLACE"]) / "starting"
    with subprocess.Popen(["sleep", "1000"]) as child:
        place.write_text(str(child.pid))
        child.wait()
        place.unlink()
        raise RuntimeError("it ended")
    yield


@contextlib.contextmanager
def absent() -> Iterator[None]:
    """One that cannot be had."""
    raise Missing("no such program")
    yield


@pytest.fixture(autouse=True)
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Of this test alone."""
    name = secrets.token_hex(8)
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", name)
    monkeypatch.setattr(shared, "RUN", name)
    monkeypatch.setenv("VDW_TESTS_PLACE", str(tmp_path))
    return name


@contextlib.contextmanager
def holding(factory: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the server until its input ends."""
    command = [sys.executable, "-c", HOLDER, f"tests.test_shared:{factory}"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_last_one_leaves_nothing_behind(tmp_path: Path) -> None:
    with holding("quick") as first, shared.shared("tests.test_shared:quick") as place:
        assert first.stdout is not None
        assert first.stdout.readline().strip() == place
        first.communicate()
        assert first.returncode == 0, "one that is not the last need not wait"
        child = int(Path(place).read_text())
    assert not list(tmp_path.iterdir())
    assert not Path(f"/proc/{child}").exists()
    with shared.shared("tests.test_shared:quick") as again:
        assert again != place


def test_one_that_is_killed_lets_go(tmp_path: Path) -> None:
    with holding("quick") as only:
        assert only.stdout is not None
        assert only.stdout.readline()
        only.send_signal(signal.SIGKILL)
        until(lambda: not list(tmp_path.iterdir()))


def test_all_leave_while_it_starts(tmp_path: Path) -> None:
    with holding("slow") as only:
        until((tmp_path / "starting").exists)
        only.send_signal(signal.SIGINT)
        until(lambda: not list(tmp_path.iterdir()))


def test_what_cannot_be_had_is_said_to_all() -> None:
    for _ in range(2):
        with pytest.raises(Missing, match="no such program"), shared.shared("tests.test_shared:absent"):
            pass


def test_a_keeper_that_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "ATTEMPTS", 2)
    with pytest.raises(RuntimeError, match="No module named 'nowhere'"), shared.shared("nowhere:running"):
        pass
