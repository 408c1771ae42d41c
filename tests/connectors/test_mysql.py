"""MySQL in the conformance suite: values, cells and conduct, in one file since its server takes seconds to start."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from connectors.conformance import Site, cases
from connectors.conformance.cells import *  # noqa: F403
from connectors.conformance.conduct import *  # noqa: F403
from connectors.conformance.values import *  # noqa: F403
from connectors.errors import SourceError
from connectors.registry import connect
from tests.connectors.cases import MYSQL
from tests.mysql_server import MysqlServer

case = cases(MYSQL)


@pytest.mark.parametrize("mode", ["disable", "prefer", "require", "verify-full"])
def test_no_password_goes_out_as_it_is(site: Site, mode: str) -> None:
    """To a server without TLS the driver would send it, whatever it was told of encryption."""
    server = site.server
    assert isinstance(server, MysqlServer)
    server.stop()
    server.more = ("--tls-version=",)
    server.start()  # knows no password from earlier logins
    try:
        with listened(server.port) as (port, heard):
            connector = connect("mysql", "shop", {**site.options, "port": port, "tls": {"mode": mode}})
            with contextlib.closing(connector):
                if mode in ("disable", "prefer"):
                    connector.ping()
                else:
                    with pytest.raises(SourceError) as error:
                        connector.ping()
                    assert error.value.sqlstate == "08001" and "TLS" in str(error.value.detail)
            assert bool(heard) is (mode in ("disable", "prefer"))
            assert server.password.encode() not in bytes(heard)
    finally:
        server.more = ()
        server.restart()


@contextlib.contextmanager
def listened(port: int) -> Iterator[tuple[int, bytearray]]:
    """A port that leads to another, and what clients said there."""
    heard, threads = bytearray(), list[threading.Thread]()

    def carry(source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if kept is not None:
                    kept.extend(data)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as there:
            back = threading.Thread(target=carry, args=(there, client, None))
            back.start()
            carry(client, there, heard)
            back.join()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threads.append(threading.Thread(target=serve, args=(client,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        taker = threading.Thread(target=accept)
        taker.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            taker.join()
            for thread in threads:
                thread.join()
