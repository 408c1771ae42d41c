"""The listener of the PostgreSQL protocol: connections, their limit, TLS, and cancel requests."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import ssl
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from api.pgwire.client import Client
from api.pgwire.session import Session
from connectors.errors import ConfigError, LimitExceeded, QueryError, SourceError

if TYPE_CHECKING:
    from federation.canon.server import Canon
    from federation.engine import Engine

MESSAGE_LIMIT = 64 << 20
CONNECTIONS = 100
INTERNAL = frozenset({"vdw", "vdw_merge"})  # roles of our own, which log in by being this process


class Server:
    """What the sessions of one listener share."""

    def __init__(
        self,
        canon: Canon,
        engine: Engine | None = None,
        *,
        users: Collection[str] = (),
        databases: Collection[str] = ("vdw",),
        tls: ssl.SSLContext | None = None,
        connections: int = CONNECTIONS,
        message_limit: int = MESSAGE_LIMIT,
        timeout: float = 60.0,
    ) -> None:
        self.canon, self.engine, self.users, self.databases = canon, engine, frozenset(users), tuple(databases)
        self.tls, self.connections, self.message_limit, self.timeout = tls, connections, message_limit, timeout
        self.sessions: dict[tuple[int, bytes], Session] = {}
        self.open: set[Session] = set()
        self.address: tuple[str, int] = ("", 0)
        self._listener: asyncio.Server | None = None

    @property
    def socket(self) -> str:
        """Path of the canon's socket."""
        return f"{self.canon.socket_dir}/.s.PGSQL.{self.canon.port}"

    async def start(self, host: str, port: int) -> None:
        """Listen; ConfigError for an address that is not this machine's own when there is no TLS."""
        if self.tls is None and not loopback(host):
            raise ConfigError(
                f"the PostgreSQL protocol would listen on {host} without TLS",
                place="vdw.yml",
                hint="Give listen.postgresql.tls a certificate and a key, or listen on 127.0.0.1.",
            )
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Client(self._arrived), host, port, backlog=256)
        self.address = self._listener.sockets[0].getsockname()[:2]

    def _arrived(self, client: Client) -> None:
        session = Session(self, client)
        self.open.add(session)

    def admit(self, user: str) -> None:
        """Refuse what may not come in: too many, or a role that is ours."""
        if len(self.open) > self.connections:
            raise LimitExceeded(
                "sorry, too many clients already",
                sqlstate="53300",
                hint=f"{self.connections} may be connected at once.",
            )
        if user in INTERNAL or (self.users and user not in self.users and user.startswith("vdw_")):
            raise QueryError(f'role "{user}" is not permitted to log in', sqlstate="28000")

    def cancel(self, pid: int, key: bytes) -> None:
        """Stop what runs in the session of that key; nothing tells the asker whether there is one."""
        for (known, secret), session in self.sessions.items():
            if known == pid and hmac.compare_digest(secret, key):
                session.cancel()
                return

    async def stop(self) -> None:
        """Close the listener and end every session."""
        if self._listener is not None:
            self._listener.close()
        reason = SourceError("terminating connection due to administrator command", sqlstate="57P01")
        await asyncio.gather(*(session.stop(reason) for session in list(self.open)), return_exceptions=True)


def loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def certificate(cert: Path, key: Path) -> ssl.SSLContext:
    """The TLS context of a certificate chain and its key; ConfigError where they cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificate {cert.name} and key {key.name} cannot be used: {error.strerror or error}",
            place="vdw.yml",
            hint="Both must be readable PEM files that belong together.",
        ) from None
    return context


def zone_files(canon: Canon) -> Path | None:
    """The zone files that the canon itself reads; None where they do not come with its binaries."""
    with psycopg.connect(canon.dsn()) as connection:
        row = connection.execute("SELECT setting FROM pg_config WHERE name = 'SHAREDIR'").fetchone()
    folder = Path(row[0]) / "timezone" if row is not None else None
    return folder if folder is not None and folder.is_dir() else None
