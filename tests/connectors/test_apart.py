"""Work that is given up: its caller goes on in time, and what it makes later is not lost."""

from __future__ import annotations

import threading
import time

import pytest

from connectors.apart import apart


def test_its_result_and_its_error_are_the_caller_s() -> None:
    disposed: list[int] = []
    assert apart(lambda: 7, 5, disposed.append) == 7
    with pytest.raises(ZeroDivisionError):
        apart(lambda: 1 // 0, 5, disposed.append)
    assert disposed == []


def test_what_comes_too_late_is_disposed_of() -> None:
    go, disposed = threading.Event(), threading.Event()

    def work() -> int:
        assert go.wait(10)
        return 7

    def dispose(value: int) -> None:
        assert value == 7
        disposed.set()

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        apart(work, 0.05, dispose)
    assert time.monotonic() - began < 5
    go.set()
    assert disposed.wait(10)


def test_an_error_that_comes_too_late_is_nobody_s() -> None:
    go = threading.Event()

    def work() -> int:
        go.wait(10)
        raise OSError("gone")

    with pytest.raises(TimeoutError):
        apart(work, 0.05, lambda _: None)
    threads = [one for one in threading.enumerate() if one.name == "apart"]
    go.set()
    for one in threads:
        one.join(10)
        assert not one.is_alive()
