"""Conformance: streaming, stopping, recovering, and never doing harm."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Bound, Cancel, Connector
from connectors.conformance.asking import INT8, ask, statement
from connectors.conformance.case import Case, Site
from connectors.errors import Error, LimitExceeded, SourceError
from connectors.registry import connect
from connectors.types import PgType

BOTH = pytest.mark.parametrize("small", [True, False], ids=["point", "bulk"])
TEXT = PgType("text")


def streamed(case: Case) -> None:
    """Skip where there is no stream to look at."""
    if case.holds:
        pytest.skip("its driver takes an answer whole into memory; the connector bounds its rows")


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.slow
def test_a_large_answer_streams_in_bounded_memory(case: Case, connector: Connector) -> None:
    streamed(case)
    rows, width = 200_000, 1000
    inner = case.numbers.format(n=rows)
    query = statement(f"SELECT n.*, {case.wide.format(width=width)} FROM ({inner}) AS n", columns=(INT8, TEXT))
    before, most, seen, batches = resident(), 0, 0, 0
    for batch in connector.execute(query, timeout=120, cancel=Cancel()):
        seen, batches = seen + batch.num_rows, batches + (batch.num_rows > 0)
        most = max(most, resident() - before)
    assert seen == rows
    assert batches > 1
    assert most < rows * width * 0.9, f"grew by {most / 1e6:.0f} MB for an answer of {rows * width / 1e6:.0f} MB"


@BOTH
def test_rows_come_whole_and_in_order(case: Case, connector: Connector, small: bool) -> None:
    text = case.numbers.format(n=200_000)
    table = ask(connector, f"SELECT * FROM ({text}) AS q ORDER BY 1 DESC", small=small)
    assert table.column(0).to_pylist() == list(range(200_000, 0, -1))


@BOTH
@pytest.mark.parametrize("rows", [1023, 1024, 1025, 3072])
def test_no_row_is_lost_where_pieces_and_batches_meet(case: Case, connector: Connector, rows: int, small: bool) -> None:
    table = ask(connector, f"SELECT * FROM ({case.numbers.format(n=rows)}) AS q ORDER BY 1", small=small)
    assert table.column(0).to_pylist() == list(range(1, rows + 1))


@BOTH
def test_cancel_stops_the_work_at_the_server(
    case: Case, connector: Connector, watched: Callable[[str | None], int], small: bool
) -> None:
    cancel, caught = Cancel(), []

    def run() -> None:
        with pytest.raises(Error) as error:
            ask(connector, case.slow, small=small, timeout=60, cancel=cancel)
        caught.append(error.value)

    thread = threading.Thread(target=run)
    thread.start()
    assert eventually(lambda: watched(case.active) == 1)
    cancel.fire()
    thread.join(30)
    assert caught[0].sqlstate == "57014"
    assert caught[0] is cancel.reason
    assert eventually(lambda: watched(case.active) == 0)
    assert ask(connector, case.numbers.format(n=1), small=small).num_rows == 1


@BOTH
def test_a_cancel_before_the_start_is_heeded(case: Case, connector: Connector, small: bool) -> None:
    cancel = Cancel()
    cancel.fire()
    with pytest.raises(LimitExceeded) as error:
        ask(connector, case.slow, small=small, cancel=cancel)
    assert error.value.sqlstate == "57014"


def test_cancel_in_the_middle_of_a_stream(
    case: Case, connector: Connector, watched: Callable[[str | None], int]
) -> None:
    cancel = Cancel()
    stream = connector.execute(statement(case.numbers.format(n=100_000_000)), timeout=60, cancel=cancel)
    next(stream)
    cancel.fire()
    with pytest.raises(LimitExceeded):
        for _ in stream:
            pass
    assert eventually(lambda: watched(case.active) == 0)


def test_closing_early_stops_the_work_at_the_server(
    case: Case, connector: Connector, watched: Callable[[str | None], int]
) -> None:
    streamed(case)
    stream = connector.execute(statement(case.numbers.format(n=100_000_000)), timeout=60, cancel=Cancel())
    assert next(stream).num_rows
    assert eventually(lambda: watched(case.active) == 1)
    stream.close()  # type: ignore[attr-defined]
    assert eventually(lambda: watched(case.active) == 0)
    assert ask(connector, case.numbers.format(n=3)).column(0).to_pylist() == [1, 2, 3]


@BOTH
def test_timeout(case: Case, connector: Connector, watched: Callable[[str | None], int], small: bool) -> None:
    with pytest.raises(LimitExceeded) as error:
        ask(connector, case.slow, small=small, timeout=0.4)
    assert error.value.sqlstate == "57014"
    assert "timeout" in error.value.message
    assert eventually(lambda: watched(case.active) == 0)


@pytest.mark.slow
@BOTH
def test_a_stream_of_rows_times_out_too(case: Case, connector: Connector, small: bool) -> None:
    if small:
        pytest.skip("points are not streamed")
    with pytest.raises(LimitExceeded) as error:
        ask(connector, case.numbers.format(n=1_000_000_000), timeout=1)
    assert error.value.sqlstate == "57014"


def test_a_restarted_server_is_found_again(case: Case, connector: Connector, site: Site) -> None:
    if site.server is None:
        pytest.skip("an embedded engine has no server to restart")
    one = case.numbers.format(n=1)
    for small in (True, False):
        ask(connector, one, small=small)
    site.server.restart()
    for small in (True, False):
        assert ask(connector, one, small=small).num_rows == 1
    connector.ping()


def test_a_server_that_dies_in_the_middle(case: Case, connector: Connector, site: Site) -> None:
    streamed(case)
    if site.server is None:
        pytest.skip("an embedded engine has no server to stop")
    stream = connector.execute(statement(case.numbers.format(n=100_000_000)), timeout=60, cancel=Cancel())
    next(stream)
    site.server.restart()
    with pytest.raises(SourceError) as error:
        for _ in stream:
            pass
    assert error.value.sqlstate == "08006"
    assert "shop" in error.value.message
    assert ask(connector, case.numbers.format(n=1)).num_rows == 1


@BOTH
def test_a_server_that_hangs(case: Case, connector: Connector, site: Site, small: bool) -> None:
    if site.server is None or site.server.process is None:
        pytest.skip("an embedded engine has no server to stop")
    ask(connector, case.numbers.format(n=1), small=small)
    with site.server.paused(), pytest.raises(Error) as error:
        ask(connector, case.slow, small=small, timeout=0.5)
    assert error.value.sqlstate == "57014"
    assert ask(connector, case.numbers.format(n=1), small=small).num_rows == 1


def test_a_wrong_password_or_host_is_told_without_the_password(case: Case, site: Site) -> None:
    if site.server is None or "password" not in site.options:
        pytest.skip("an embedded engine has no password")
    password = site.options["password"]
    wrong, host = password + "-wrong", "server" if "server" in site.options else "host"
    for options in ({"password": wrong}, {"password": wrong, "port": _free_port()}, {host: "no.such.host.invalid"}):
        connector = connect(case.kind, "shop", {**site.options, **options})
        for small in (True, False):
            with pytest.raises(SourceError) as error:
                ask(connector, "SELECT 1", small=small)
            assert error.value.sqlstate == "08001"
            told = " ".join(map(repr, (error.value, vars(error.value), error.value.__cause__)))
            assert password not in told
            assert repr(password)[1:-1] not in told
            assert '"shop"' in error.value.message
        with pytest.raises(SourceError):
            connector.ping()
        assert password not in repr(vars(connector))


@BOTH
def test_nothing_can_be_written(case: Case, connector: Connector, site: Site, small: bool) -> None:
    site.run("DROP TABLE IF EXISTS guarded", "CREATE TABLE guarded (id int)", "INSERT INTO guarded VALUES (1)")
    for text in case.writes:
        with pytest.raises(SourceError):
            ask(connector, text, small=small)
    assert site.run("SELECT id FROM guarded") == [(1,)]


@BOTH
def test_the_servers_own_error_is_told(case: Case, connector: Connector, small: bool) -> None:
    with pytest.raises(SourceError) as error:
        ask(connector, "SELECT no_such_column FROM no_such_table", small=small)
    assert error.value.sqlstate == "HV000"
    assert "no_such_table" in error.value.message
    assert ask(connector, case.numbers.format(n=1), small=small).num_rows == 1


def test_eight_threads_share_three_connections(
    case: Case, connector: Connector, watched: Callable[[str | None], int]
) -> None:
    assert eventually(lambda: watched(case.connected) == 0), "connections of earlier tests are closing yet"
    inner, most, done = case.numbers.format(n=2000), 0, threading.Event()

    def run(number: int) -> list[Any]:
        found = []
        for turn in range(12):
            bound = Bound(INT8, number * 100 + turn + 1)
            text = f"SELECT * FROM ({inner}) AS n WHERE n.{case.number} = "
            table = ask(connector, text, bound, small=(number + turn) % 3 > 0)
            found += table.column(0).to_pylist()
        return found

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, watched(case.connected))
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(run, range(8)))
    done.set()
    watcher.join()
    assert answers == [[number * 100 + turn + 1 for turn in range(12)] for number in range(8)]
    assert 0 < most <= 3


def test_waiting_for_a_connection_ends_at_the_timeout(case: Case, connector: Connector) -> None:
    many = statement(case.numbers.format(n=100_000_000))
    streams = [connector.execute(many, timeout=60, cancel=Cancel()) for _ in range(3)]
    for stream in streams:
        next(stream)
    with pytest.raises(LimitExceeded) as error:
        ask(connector, "SELECT 1", timeout=0.2)
    assert error.value.sqlstate == "57014"
    for stream in streams:
        stream.close()  # type: ignore[attr-defined]
    assert ask(connector, case.numbers.format(n=1)).num_rows == 1


def test_a_closed_connector_says_so(connector: Connector) -> None:
    connector.ping()
    connector.close()
    with pytest.raises(SourceError):
        connector.ping()


def _free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
