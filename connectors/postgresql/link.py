"""TLS, clock and certificate of a connection to PostgreSQL."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from typing import Any

import psycopg

from connectors.base import Cancel
from connectors.errors import Error
from connectors.leases import Leases
from connectors.link import Encryption, Link, encryption, timed
from connectors.tls import Tls, context

# of a pooler between us the server knows another connection than ours
QUESTION = (
    "SELECT extract(epoch FROM clock_timestamp())::float8, s.version, s.cipher"
    " FROM (SELECT) AS one LEFT JOIN pg_stat_ssl AS s ON s.pid = pg_backend_pid() AND s.ssl"
)
_WANTED = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # SSLRequest of the protocol


def read(row: Any, tls: Tls | None, on: bool | None) -> tuple[Encryption | None, float]:
    """TLS and the server's time from the answer; `on`: whether our end of the connection speaks TLS (None: it does not
    tell, and the server's word counts)."""
    theirs, protocol, cipher = row
    return encryption(tls, bool(protocol) if on is None else on, protocol or "", cipher or ""), float(theirs)


def link(connection: psycopg.Connection[Any], tls: Tls) -> Link:
    """Of a connection that nobody else uses now."""
    row, when = timed(lambda: connection.execute(QUESTION).fetchone())
    return when.link(*read(row, tls, connection.pgconn.ssl_in_use))


def certified(leases: Leases, tls: Tls, host: str | None, port: int, seconds: float) -> str | None:
    """To when the certificate that the server shows is valid, as certificates have it, where it is verified: libpq does
    not tell. It takes one of the source's connections, without logging in."""
    if not tls.verifies or not host or "," in host or host.startswith(("/", "@")):
        return None
    shown, deadline = _Shown(tls, host, port), time.monotonic() + seconds
    with contextlib.suppress(Error, OSError, ValueError), leases.lease(shown, deadline, Cancel()) as lease:
        lease.broken = True
        until: str | None = lease.session
        return until
    return None


class _Shown:
    """See connectors.leases.Driver: what is opened is at an end at once."""

    def __init__(self, tls: Tls, host: str, port: int) -> None:
        self._tls, self._host, self._port = tls, host, port

    def open(self, seconds: float) -> str | None:
        trust = context(self._tls)
        with socket.create_connection((self._host, self._port), max(seconds, 0.1)) as plain:
            plain.sendall(_WANTED)
            if plain.recv(1) != b"S":
                return None
            with trust.wrap_socket(plain, server_hostname=self._host) as encrypted:
                return _end(encrypted)

    def alive(self, session: Any, idle: float) -> bool:
        del session, idle
        return False

    def close(self, session: Any) -> None:
        del session


def _end(encrypted: ssl.SSLSocket) -> str | None:
    found = (encrypted.getpeercert() or {}).get("notAfter")
    return str(found) if found else None
