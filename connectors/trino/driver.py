"""HTTP lines to a Trino coordinator that can be cut, who asks over them, and what its errors mean."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import requests
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from trino import exceptions
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError

from connectors import tls
from connectors.errors import Error, LimitExceeded, SourceError
from connectors.leases import Lost, lost
from connectors.logins import Logins
from connectors.sockets import KEPT, readable, sever
from connectors.stopping import GRACE, ended_there
from connectors.tally import Tally
from connectors.tls import Tls, context

_DOUBTFUL_AFTER = 15.0  # seconds idle after which a line is not trusted: a firewall may have forgotten it
FORBIDDEN = (401, 403)
_LATE = frozenset(("EXCEEDED_TIME_LIMIT", "EXCEEDED_CPU_LIMIT"))
_ENDED = frozenset(("USER_CANCELED", "ADMINISTRATIVELY_KILLED", "ADMINISTRATIVELY_PREEMPTED"))
_GONE = frozenset(
    ("SERVER_STARTING_UP", "SERVER_SHUTTING_DOWN", "NO_NODES_AVAILABLE", "ABANDONED_QUERY", "REMOTE_HOST_GONE")
)
_STATES = {
    "NUMERIC_VALUE_OUT_OF_RANGE": "22003",
    "DIVISION_BY_ZERO": "22012",
    "QUERY_QUEUE_FULL": "53000",
    "QUERY_TEXT_TOO_LARGE": "54000",
    "EXCEEDED_GLOBAL_MEMORY_LIMIT": "53200",
    "EXCEEDED_LOCAL_MEMORY_LIMIT": "53200",
    "CLUSTER_OUT_OF_MEMORY": "53200",
    "OUT_OF_SPILL_SPACE": "53100",
}
_HINTS = {"QUERY_TEXT_TOO_LARGE": "compare with fewer values, or raise query.max-length there"}
# an INVALID_CAST_ARGUMENT, as are texts that are no numbers
_TOO_LARGE = re.compile(r"Cannot cast (DECIMAL\(.*\) )?'-?[\d.]+' to [A-Z]")


class Refused(Exception):
    """An HTTP answer that is no answer to a statement; `status` is its code."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


class Unfetched(Exception):
    """A part of an answer, which lies at `place`, that cannot be had for the reason `why`."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place}: {why}")


# ValueError and KeyError: an answer that is none of Trino's
FAULTS = (requests.RequestException, HTTPError, exceptions.TrinoQueryError, Refused, Unfetched, ValueError, KeyError)


class Token(AuthBase):
    """A bearer token, sent to the coordinator."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(slots=True)
class Access:
    """Where and as whom to connect; no secret ever leaves it."""

    source: str
    host: str
    port: int
    tls: Tls
    connect_timeout: float
    session: Mapping[str, Any] = field(repr=False)  # arguments of the client's ClientSession
    secret: SecretStr | None = None
    bearer: bool = False  # the secret is a token, not a password
    tally: Tally = field(default_factory=Tally, repr=False)
    logins: Logins = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.logins = Logins(self.source, self.secret, self.tls.passphrase)

    @property
    def scheme(self) -> str:
        """http or https."""
        return "http" if self.tls.mode == "disable" else "https"

    def auth(self, secret: str | None) -> AuthBase | None:
        """How requests say who asks."""
        if secret is None:
            return None
        return Token(secret) if self.bearer else HTTPBasicAuth(str(self.session["user"]).encode(), secret.encode())

    def scrub(self, text: str) -> str:
        """The text without what is secret."""
        return self.logins.scrub(text)


class Line(requests.Session):
    """One kept connection to the coordinator. No request takes longer than until `deadline` and some grace.

    With `tls` the server is one of another name (who holds parts of an answer): nobody but the coordinator is told who
    asks.
    """

    def __init__(self, access: Access, tls: Tls | None = None) -> None:
        super().__init__()
        self.deadline = 0.0
        self._connect = access.connect_timeout
        chosen = tls or access.tls
        try:
            self._adapter = _Adapter(None if chosen.mode == "disable" else context(chosen))
        except OSError as error:
            raise unreachable(access, f"TLS: {error.strerror or type(error).__name__}") from None
        self.trust_env = False  # neither proxies nor passwords that the environment happens to name
        self.mount("https://", self._adapter)
        self.mount("http://", self._adapter)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """As requests does, until the deadline."""
        left = max(self.deadline - time.monotonic(), 0.0)
        kwargs["timeout"] = (max(min(self._connect, left), 0.1), left + GRACE)
        return super().send(request, **kwargs)

    @property
    def descriptors(self) -> list[int]:
        """Sockets that are open."""
        return self._adapter.descriptors

    def cut(self) -> None:
        """Whoever reads from it gets an error at once."""
        for descriptor in self.descriptors:
            with contextlib.suppress(OSError):
                sever(descriptor)


class _Adapter(HTTPAdapter):
    """Knows its sockets, and who is trusted: those whom `context` says, and nobody else."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._made: WeakSet[HTTPConnection] = WeakSet()
        self._context = context
        super().__init__(pool_connections=4, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *KEPT])

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """As the base class does, which would also trust the authorities of a package."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {} if self._context is None or host["scheme"] != "https" else {"ssl_context": self._context}

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if isinstance(pool.ConnectionCls, type):
            pool.ConnectionCls = self._noting(pool.ConnectionCls)
        return pool

    def _noting(self, kind: type[HTTPConnection]) -> Callable[..., HTTPConnection]:
        def make(*args: Any, **kwargs: Any) -> HTTPConnection:
            made = kind(*args, **kwargs)
            self._made.add(made)
            return made

        return make

    @property
    def descriptors(self) -> list[int]:
        sockets = [connection.sock for connection in list(self._made)]
        return [found for sock in sockets if sock is not None and (found := sock.fileno()) >= 0]


class LineDriver:
    """Lines for connectors.leases; what they connect to is seen at the first request."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def open(self, seconds: float) -> Line:
        del seconds
        return Line(self._access)

    def alive(self, session: Line, idle: float) -> bool:
        """An idle line has nothing to read, unless the server has closed it."""
        return idle < _DOUBTFUL_AFTER and not any(readable(descriptor, 0) for descriptor in session.descriptors)

    def close(self, session: Line) -> None:
        session.close()


def not_taken(error: Exception) -> bool:
    """Whether the server does not accept who asks."""
    return isinstance(error, Refused) and error.status in FORBIDDEN


def translate(access: Access, error: Exception, late: LimitExceeded) -> Error:
    """A client's error as ours. `late` is what a server-side timeout becomes."""
    if isinstance(error, exceptions.TrinoQueryError):
        return _said(access, error, late)
    if not_taken(error):
        return unreachable(access, "the server does not accept who asks (user, password, token or certificate)")
    if isinstance(error, Unfetched):
        return _unfetched(access, error)
    if isinstance(error, requests.exceptions.SSLError | requests.ConnectTimeout) or _unmade(error):
        return unreachable(access, access.scrub(str(error)))
    if isinstance(error, ValueError | KeyError) and not isinstance(error, requests.RequestException):
        return unreachable(access, "what answers there is no Trino")
    return lost(access.source, access.scrub(str(error)))


def _unfetched(access: Access, error: Unfetched) -> SourceError:
    return SourceError(
        f'a part of the answer of source "{access.source}" cannot be fetched from where it lies',
        sqlstate="08006",
        detail=access.scrub(str(error)),
        hint="Trino has put large answers into a store of its own (spooling) that must be reached from here: have them "
        "sent by Trino itself with spooling: off, or protocol.spooling.retrieval-mode there",
    )


def unreachable(access: Access, why: str) -> SourceError:
    """08001, with the reason in `detail`."""
    server = f"Trino at {access.scheme}://{access.host}:{access.port}"
    check = "check host, port, user and password of its file in sources/, and that the server runs"
    return tls.unreachable(access.source, server, access.tls, why, check)


def _unmade(error: Exception) -> bool:
    """Whether there never was a connection."""
    inner = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    return isinstance(inner, MaxRetryError) and isinstance(inner.reason, NewConnectionError)


def _said(access: Access, error: exceptions.TrinoQueryError, late: LimitExceeded) -> Error:
    name = error.error_name or ""
    if name in _LATE:
        return late
    if name in _ENDED:
        return ended_there(access.source)
    message = access.scrub(error.message)
    if name in _GONE:
        return Lost(f'the connection to source "{access.source}" was lost', detail=f"{name}: {message}")
    state = "22003" if _TOO_LARGE.match(message) else _STATES.get(name, SourceError.sqlstate)
    return SourceError(
        f'source "{access.source}" refused the statement: {message}', sqlstate=state, detail=name, hint=_HINTS.get(name)
    )
