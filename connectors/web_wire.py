"""Connections to an HTTP service, one a session, which another thread can cut; and whom they believe."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from connectors import tls
from connectors.errors import SourceError
from connectors.rest.options import WebOptions
from connectors.sockets import readable, sever

_SILENT = 20_000  # ms after which a network that swallows what we send is given up


class _Line(httpcore.NetworkStream):
    """A connection that another thread can cut."""

    def __init__(self, inner: httpcore.NetworkStream, wire: _Wire) -> None:
        self._inner, self._wire = inner, wire
        wire.line = self

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Line(self._inner.start_tls(ssl_context, server_hostname, timeout), self._wire)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def descriptor(self) -> int:
        """Of its socket; -1 where it is closed."""
        found: int = self._inner.get_extra_info("socket").fileno()
        return found


class _Wire(httpcore.SyncBackend):
    """Opens connections, and knows the last."""

    def __init__(self) -> None:
        self.line: _Line | None = None

    def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        return _Line(super().connect_tcp(host, port, *args, **kwargs), self)

    def cut(self) -> None:
        """Whoever reads gets an end at once."""
        if self.line is not None and (descriptor := self.line.descriptor()) >= 0:
            with contextlib.suppress(OSError):
                sever(descriptor)


@dataclass(slots=True)
class Session:
    """A client of one connection."""

    client: httpx.Client
    wire: _Wire


class Driver:
    """Opens sessions (connectors.leases.Driver)."""

    def __init__(self, options: WebOptions) -> None:
        self._options = options

    def open(self, seconds: float) -> Session:  # noqa: ARG002 -- the connection itself is made by the first request
        wire, trust = _Wire(), context(self._options, self._options.url)
        transport = httpx.HTTPTransport(verify=trust, trust_env=False)
        transport._pool = httpcore.ConnectionPool(  # httpx hands no network backend on
            ssl_context=trust,
            max_connections=1,
            keepalive_expiry=self._options.idle,
            network_backend=wire,
            socket_options=_socket_options(),
        )
        headers = {"Accept": "application/json", "User-Agent": "vdw", **self._options.headers}
        return Session(httpx.Client(transport=transport, headers=headers, trust_env=False), wire)

    def alive(self, session: Session, idle: float) -> bool:
        """A connection that has anything to read while nothing was asked has been closed by the server."""
        line = session.wire.line
        if idle >= self._options.idle or line is None:
            return False
        descriptor = line.descriptor()
        return descriptor >= 0 and not readable(descriptor, 0.0)

    def close(self, session: Session) -> None:
        session.client.close()


def _socket_options() -> list[tuple[int, int, int]]:
    made = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENT))
    return made


def context(options: WebOptions, address: str) -> ssl.SSLContext:
    """Read anew for each connection: a certificate may have been renewed."""
    if not address.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # believes nobody
    try:
        return tls.context(options.encryption)
    except OSError as error:
        raise SourceError(
            f"a certificate or its key cannot be read: {error.strerror or type(error).__name__}",
            sqlstate="08001",
            hint="check tls: {ca, certificate, key, passphrase} in the source's file",
        ) from None
