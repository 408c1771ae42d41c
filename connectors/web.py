"""Requests to an HTTP service: one connection a statement, bounded, cancellable, retried where that is harmless."""

from __future__ import annotations

import contextlib
import email.utils
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import tenacity
from cachetools import LRUCache

from connectors import tls
from connectors.base import Cancel
from connectors.deadlines import Deadlines
from connectors.errors import Error, LimitExceeded, SourceError
from connectors.leases import Leases
from connectors.link import Link, of_socket, timed
from connectors.rest.options import WebOptions
from connectors.stopping import stopping, timed_out
from connectors.tally import Tally
from connectors.web_auth import Auth
from connectors.web_wire import Driver, Session, context

_AGAIN = frozenset((429, 502, 503, 504))
_KEPT_BODY, _KEPT = 1 << 20, 16 << 20  # bytes of one answer, and of all, that are kept for their ETag
_CHUNK = 1 << 16
_WANTED = "where the service asks for a certificate of ours, name it: tls: {certificate: FILE, key: FILE}"
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


class Web:
    """One service. Thread-safe."""

    def __init__(self, name: str, options: WebOptions) -> None:
        self.name, self.tally = name, Tally()
        self.options = options
        self.origin = httpx.URL(options.url)
        self._leases = Leases(name, options.pool_size)
        self._driver = Driver(options)
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

    def link(self, question: Question, seconds: float) -> Link:
        """How the service is reached, by one request; its clock is the header Date, which counts whole seconds."""
        with self.asking(seconds, Cancel()) as asking:
            _, when = timed(lambda: asking.ask(question))
            line = asking.session.wire.line
            used = of_socket(self.options.encryption, None if line is None else line.get_extra_info("ssl_object"))
            return when.link(used, _moment(asking.date), 1.0)

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
        trust = context(self.options, str(request.url))
        with httpx.Client(verify=trust, timeout=self.options.connect_timeout, trust_env=False) as one:
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
    date: str | None = None  # of the last answer
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
        self.unfinished, self.date = False, response.headers.get("Date")
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
            self._believed(error)
            lost = _lost("cannot be reached", error)
            if self.web.origin.scheme == "https" and self.web.options.encryption.certificate is None:
                lost.hint = lost.hint or _WANTED
            raise _Again(lost) from None

    def _believed(self, error: Exception) -> None:
        """SourceError where the two do not agree on who is who, which no further attempt would change."""
        inner = _cause(error)
        if not isinstance(inner, ssl.SSLError) or isinstance(inner, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return
        if isinstance(inner, ssl.SSLCertVerificationError):
            what, told = "its certificate is not trusted", inner.verify_message
        else:
            what, told = "TLS fails", (inner.reason or "").replace("_", " ").lower()
        raise SourceError(
            f"the service cannot be reached: {what}: {told}",
            sqlstate="08001",
            hint=tls.reason(self.web.options.encryption, f"TLS: {told}"),
        ) from None

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


def _moment(date: str | None) -> float | None:
    with contextlib.suppress(TypeError, ValueError):
        return email.utils.parsedate_to_datetime(date or "").timestamp()
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
