"""Requests to an HTTP service: one connection a statement, bounded, cancellable, retried where that is harmless."""

from __future__ import annotations

import contextlib
import email.utils
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpcore
import httpx
import tenacity
from cachetools import LRUCache

from connectors.base import Cancel
from connectors.deadlines import Deadlines
from connectors.errors import Error, LimitExceeded, SourceError
from connectors.leases import Leases
from connectors.rest_options import WebOptions
from connectors.sockets import readable, sever
from connectors.stopping import stopping, timed_out
from connectors.tally import Tally
from connectors.web_auth import Auth

_AGAIN = frozenset((429, 502, 503, 504))
_SILENT = 20_000  # ms after which a network that swallows what we send is given up
_KEPT_BODY, _KEPT = 1 << 20, 16 << 20  # bytes of one answer, and of all, that are kept for their ETag
_CHUNK = 1 << 16
_STATES = {401: "28000", 403: "42501", 429: "53300", 503: "53300", 502: "08006", 504: "08006"}


@dataclass(frozen=True, slots=True)
class Question:
    """One request: `path` (or a whole URL of the same origin) and query parameters; with `body`, a POST that reads."""

    path: str
    params: tuple[tuple[str, str], ...] = ()
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came: 404 too, all else that is no success was raised."""

    status: int
    body: bytes
    next: str | None = None  # of the header Link


class _Again(Exception):
    """A request that may be sent again, in `after` seconds where the server says so."""

    def __init__(self, error: SourceError, after: float | None = None) -> None:
        super().__init__(str(error))
        self.error, self.after = error, after


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


class _Driver:
    """Opens sessions (connectors.leases.Driver)."""

    def __init__(self, options: WebOptions) -> None:
        self._options = options
        self._context: ssl.SSLContext | None = None

    def open(self, seconds: float) -> Session:  # noqa: ARG002 -- the connection itself is made by the first request
        if self._context is None:
            self._context = _context(self._options)
        wire = _Wire()
        transport = httpx.HTTPTransport(verify=self._context, trust_env=False)
        transport._pool = httpcore.ConnectionPool(  # httpx hands no network backend on
            ssl_context=self._context,
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


def _context(options: WebOptions) -> ssl.SSLContext:
    base = Path(options.base_folder)
    said = options.tls
    try:
        context = ssl.create_default_context(cafile=str(base / said.ca) if said.ca else None)
        if said.certificate:
            context.load_cert_chain(base / said.certificate, base / said.key if said.key else None)
    except (OSError, ssl.SSLError) as error:
        raise SourceError(
            f"a certificate cannot be read: {error.strerror or type(error).__name__}",
            sqlstate="08001",
            hint="check connection: tls: in the source's file; relative paths start at the project folder",
        ) from None
    return context


class Web:
    """One service. Thread-safe."""

    def __init__(self, name: str, options: WebOptions) -> None:
        self.name, self.tally = name, Tally()
        self.options = options
        self.origin = httpx.URL(options.url)
        self._leases = Leases(name, options.pool_size)
        self._driver = _Driver(options)
        self._deadlines = Deadlines()
        self._auth = Auth(options.auth, self._token)
        self._held = 0.0  # when the service may be asked again, by its own word
        self._kept: LRUCache[Any, tuple[str, Reply]] = LRUCache(_KEPT, getsizeof=lambda kept: len(kept[1].body) + 200)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def asking(self, seconds: float, cancel: Cancel) -> Iterator[Asking]:
        """A connection for one statement of so many seconds; errors leave with the source's name."""
        deadline, late = time.monotonic() + seconds, timed_out(self.name, seconds)
        try:
            with self._leases.lease(self._driver, deadline, cancel) as lease:
                stop = threading.Event()
                made = Asking(self, lease.session, deadline, late, cancel, stop)
                with (
                    stopping(cancel, made.stop) as stopper,
                    self._deadlines.within(deadline, lambda: stopper.ask(late)),
                ):
                    made.reason = lambda: stopper.reason
                    try:
                        yield made
                    finally:
                        lease.broken = lease.broken or made.unfinished or stopper.reason is not None
        except SourceError as error:
            error.place = error.place or f'source "{self.name}"'
            raise

    def close(self) -> None:
        """Close the connections."""
        self._leases.close()
        self._deadlines.close()

    def url(self, path: str) -> httpx.URL:
        """A path behind the source's URL, or a URL that the service gave; SourceError where that is another's."""
        base = str(self.origin.copy_with(query=None)).rstrip("/")
        found = httpx.URL(path if "://" in path else f"{base}/{path.lstrip('/')}" if path else base)
        if (found.scheme, found.host, found.port) != (self.origin.scheme, self.origin.host, self.origin.port):
            raise SourceError(
                "the service leads to another server for the next page, which is not followed",
                hint="name that server in connection: url: if it is the right one",
            )
        return found

    def _token(self, request: httpx.Request) -> httpx.Response:
        with httpx.Client(verify=_context(self.options), timeout=self.options.connect_timeout, trust_env=False) as one:
            try:
                return one.send(request)
            except httpx.HTTPError as error:
                raise SourceError(f"the token service cannot be reached: {_kind(error)}", sqlstate="08001") from None

    def redacted(self, text: str) -> str:
        """Without what is secret."""
        for secret in self._auth.secrets:
            text = text.replace(secret, "***")
        return text


@dataclass(slots=True)
class Asking:
    """The requests of one statement, one after another over one connection."""

    web: Web
    session: Session
    deadline: float
    late: Error
    cancel: Cancel
    stopped: threading.Event
    unfinished: bool = False
    sent: int = 0
    reason: Callable[[], Error | None] = field(default=lambda: None)

    def stop(self) -> None:
        """End it from another thread."""
        self.stopped.set()
        self.session.wire.cut()

    def ask(self, question: Question) -> Reply:
        """The reply, whatever number of requests that takes; SourceError 08001, 08006 (cannot be reached), 28000, 42501
        (may not), 53300 (is overloaded), HV000; LimitExceeded 57014 in the end."""
        said = self.web.options.retries
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Again),
            wait=_Wait(said.first, said.longest),
            stop=lambda state: state.attempt_number >= said.attempts or self._hopeless(state),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(self._once, question)
        except _Again as again:
            raise again.error from None

    def _hopeless(self, state: tenacity.RetryCallState) -> bool:
        longest = self.web.options.retries.longest
        return state.upcoming_sleep > longest * 2 or time.monotonic() + state.upcoming_sleep >= self.deadline

    def _sleep(self, seconds: float) -> None:
        self.stopped.wait(seconds)
        self._check()

    def _check(self) -> None:
        reason = self.reason()
        if reason is not None:
            raise reason
        if time.monotonic() >= self.deadline:
            raise self.late

    def _turn(self) -> None:
        """Not before the service wants to be asked again, nor more often than its owner allows."""
        while (wait := self.web._held - time.monotonic()) > 0:
            if time.monotonic() + wait >= self.deadline:
                raise self.late
            self._sleep(wait)
        if self.sent and self.cancel.turn is not None:
            try:
                self.cancel.turn(max(self.deadline - time.monotonic(), 0.0))
            except TimeoutError:
                raise self.late from None
        self._check()
        self.sent += 1

    def _once(self, question: Question) -> Reply:
        self._turn()
        request = self._request(question)
        kept = self.web._kept.get(self._key(request)) if question.body is None else None
        if kept is not None:
            request.headers["If-None-Match"] = kept[0]
        self.unfinished = True
        if self.sent > 1:
            self.web.tally.add("request")
        with self._failing():
            response = self.session.client.send(request, stream=True)
            with contextlib.closing(response):
                body = self._body(response)
        self.unfinished = False
        self._check()
        if response.status_code == 304 and kept is not None:
            return kept[1]
        if response.is_success:
            reply = Reply(response.status_code, body, _link(response))
            self._keep(request, response.headers.get("ETag"), reply)
            return reply
        if response.status_code == 404:
            return Reply(404, body)
        if response.status_code == 401 and self.web._auth.renew():
            raise _Again(self._refused(response, body), 0.0)
        raise self._refusal(response, body)

    def _request(self, question: Question) -> httpx.Request:
        url = self.web.url(question.path)
        if question.params:
            added = "&".join(f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in question.params)
            url = url.copy_with(query="&".join(filter(None, (url.query.decode(), added))).encode())
        left = max(self.deadline - time.monotonic(), 0.001)
        timeout = httpx.Timeout(left, connect=min(left, self.web.options.connect_timeout))
        request = self.session.client.build_request(
            "GET" if question.body is None else "POST",
            url,
            json=question.body,
            headers=dict(question.headers),
            timeout=timeout,
        )
        self.web._auth.authorize(request)
        return request

    def _body(self, response: httpx.Response) -> bytes:
        most, parts, size = self.web.options.answer_bytes, [], 0
        for part in response.iter_bytes(_CHUNK):
            size += len(part)
            if size > most:
                raise LimitExceeded(
                    f'one answer of source "{self.web.name}" has more than {most:,} bytes',
                    hint="ask for smaller pages; the limit is connection: answer_bytes: in the source's file",
                )
            parts.append(part)
        return b"".join(parts)

    def _key(self, request: httpx.Request) -> tuple[str, str]:
        return str(request.url), request.headers.get("Accept", "")

    def _keep(self, request: httpx.Request, tag: str | None, reply: Reply) -> None:
        if tag and request.method == "GET" and len(reply.body) <= _KEPT_BODY and reply.status == 200:
            with self.web._lock:
                self.web._kept[self._key(request)] = (tag, reply)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """What goes wrong on the way, as ours."""
        try:
            yield
        except httpx.TimeoutException as error:
            self._check()
            if time.monotonic() >= self.deadline - 0.01:
                raise self.late from None
            raise _Again(_lost("cannot be reached in time", error)) from None
        except httpx.DecodingError as error:
            raise SourceError(f"an answer cannot be decoded: {_kind(error)}") from None
        except (httpx.TransportError, OSError) as error:
            self._check()
            if isinstance(_cause(error), ssl.SSLCertVerificationError):
                raise _untrusted(error) from None
            raise _Again(_lost("cannot be reached", error)) from None

    def _refusal(self, response: httpx.Response, body: bytes) -> Exception:
        error = self._refused(response, body)
        if response.status_code not in _AGAIN:
            return error
        after = _retry_after(response)
        if response.status_code in (429, 503):
            if self.cancel.pressed is not None:
                self.cancel.pressed()
            if after is not None and after <= self.web.options.retries.longest:
                with self.web._lock:
                    self.web._held = max(self.web._held, time.monotonic() + after)
        if after is not None and after > self.web.options.retries.longest:
            error.hint = f"it wants to be left alone for {after:g} s"
            return error
        return _Again(error, after)

    def _refused(self, response: httpx.Response, body: bytes) -> SourceError:
        code = response.status_code
        hint = {
            401: "check connection: auth: in the source's file",
            403: "the account that connection: auth: names may not read this",
            429: "it has had too many requests: lower limits.rate in the source's file",
        }.get(code)
        if response.is_redirect:
            hint = "it answers with a redirect, which is not followed: correct url: or path: in the source's file"
        return SourceError(
            f"the service answers with status {code} {response.reason_phrase}".rstrip(),
            sqlstate=_STATES.get(code, "HV000"),
            hint=hint,
            detail=self.web.redacted(body[:300].decode("utf-8", "replace")) or None,
        )


class _Wait:
    """Seconds until the next attempt: what the server said, and a little; else at random up to twice as long each."""

    def __init__(self, first: float, longest: float) -> None:
        self._random = tenacity.wait_random_exponential(multiplier=first, max=longest)
        self._little = tenacity.wait_random(0.0, first)

    def __call__(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, _Again) and error.after is not None:
            return error.after + (self._little(state) if error.after else 0.0)
        return self._random(state)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server wants; of a number or a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    with contextlib.suppress(TypeError, ValueError):
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    return None


def _link(response: httpx.Response) -> str | None:
    found: Mapping[str, str] = response.links.get("next", {})
    return found.get("url")


def _cause(error: BaseException) -> BaseException:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _kind(error: BaseException) -> str:
    """What happened, without what was sent."""
    inner = _cause(error)
    return (inner.strerror if isinstance(inner, OSError) and inner.strerror else None) or type(error).__name__


def _lost(what: str, error: Exception) -> SourceError:
    connecting = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return SourceError(
        f"the service {what}: {_kind(error)}" if connecting else f"the connection to the service broke: {_kind(error)}",
        sqlstate="08001" if connecting else "08006",
        hint="check connection: url: in the source's file" if connecting else None,
    )


def _untrusted(error: Exception) -> SourceError:
    inner = _cause(error)
    said = getattr(inner, "verify_message", "") or type(inner).__name__
    return SourceError(
        f"the service's certificate is not trusted: {said}",
        sqlstate="08001",
        hint="name the certificate authority under connection: tls: ca: in the source's file",
    )
