"""The listener of the PostgreSQL protocol: connections, their limit, TLS, and cancel requests."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import re
import ssl
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from cachetools import LRUCache

from api.pgwire import rows
from api.pgwire.client import Client
from api.pgwire.session import Session
from connectors.errors import ConfigError, LimitExceeded, QueryError, SourceError
from federation.canon.analyse import Analyser
from federation.canon.roles import ANONYMOUS
from federation.canon.server import MERGE, OWNER, SESSIONS

if TYPE_CHECKING:
    from api.pgwire.packets import Described
    from federation.canon.server import Canon
    from federation.engine import Engine
    from federation.prepare import Prepared
    from federation.session import Session as Own

MESSAGE_LIMIT = 64 << 20
LOGINS = 16  # at once: a storm of clients is let in one after the other, in the order in which they came
BACKLOG = 4096  # connections that may wait to be accepted; the system may allow fewer
WORD = re.compile(rb"[a-z_\x80-\xff][a-z0-9_$\x80-\xff]*")
INTERNAL = frozenset({OWNER, MERGE})  # roles of our own, which log in by being this process


@dataclass(frozen=True, slots=True)
class Names:
    """Relations' bare names in lower case: `plain` ones are single words, `odd` ones are not."""

    plain: frozenset[bytes]
    odd: tuple[bytes, ...]

    @classmethod
    def of(cls, names: Collection[str]) -> Names:
        """Sorted out."""
        lowered = {name.encode().lower() for name in names}
        plain = {name for name in lowered if WORD.fullmatch(name)}
        return cls(frozenset(plain), tuple(sorted(name.replace(b'"', b'""') for name in lowered - plain)))


class Server:
    """What the sessions of one listener share."""

    def __init__(
        self,
        canon: Canon,
        engine: Engine | None = None,
        analyser: Analyser | None = None,
        *,
        users: Collection[str] = (),  # those of the project; the canon knows them, and checks them
        databases: Collection[str] = ("vdw",),
        tls: ssl.SSLContext | None = None,
        connections: int = SESSIONS,
        message_limit: int = MESSAGE_LIMIT,
        timeout: float = 60.0,
    ) -> None:
        self.canon, self.engine = canon, engine
        self.analyser = analyser or analyser_of(engine)
        self.users, self.databases = frozenset(users), tuple(databases)
        self.tls, self.connections, self.message_limit, self.timeout = tls, connections, message_limit, timeout
        self.sessions: dict[tuple[int, bytes], Session] = {}
        self.open: set[Session] = set()
        self.database = "vdw"  # of the canon
        self.logins = asyncio.Semaphore(LOGINS)
        self.address: tuple[str, int] = ("", 0)
        self._listener: asyncio.Server | None = None
        self.described: LRUCache[tuple[object, ...], Described] = LRUCache(4096)
        self._names: tuple[str, Names] = ("", Names(frozenset(), ()))
        self._chores: set[asyncio.Future[Any]] = set()

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
        rows.use_zones(await asyncio.to_thread(zone_files, self.canon))
        self._listener = await loop.create_server(lambda: Client(self._arrived), host, port, backlog=BACKLOG)
        self.address = self._listener.sockets[0].getsockname()[:2]

    def names(self) -> Names:
        """The names by which texts can reach a virtual relation."""
        if self.engine is None:
            return self._names[1]
        catalog = self.engine.catalog
        if catalog.version != self._names[0]:
            self._names = (catalog.version, Names.of({relation.name for relation in catalog.relations}))
        return self._names[1]

    async def prepare(self, query: str, session: Own, declared: Sequence[int]) -> Prepared:
        """Analysed and planned, parameters of the declared types."""
        assert self.engine is not None  # noqa: S101
        return await self.engine.prepare(query, session, declared=declared)

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Do something that nobody waits for."""
        chore = asyncio.ensure_future(work)
        self._chores.add(chore)
        chore.add_done_callback(self._chores.discard)

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
        if user in INTERNAL or user.startswith("pg_"):
            raise QueryError(f'role "{user}" is not permitted to log in', sqlstate="28000")

    def role(self, user: str) -> str:
        """The canon's role for a client's user: without users in the project, everybody is the same."""
        return user if self.engine is None or self.engine.restricted else ANONYMOUS

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


def analyser_of(engine: Engine | None) -> Analyser | None:
    """The analyser behind an engine, for what only it can do on a session's own backend."""
    owner = engine.analyser if engine is not None else None
    return owner if isinstance(owner, Analyser) else None


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
