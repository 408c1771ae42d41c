"""Real receivers on loopback: an HTTP server that honours idempotency keys or misbehaves as told; an SMTP server."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

Answer = tuple[int, dict[str, str], bytes]  # status, headers, body


@dataclass
class Post:
    """What came, and when."""

    key: str
    body: dict[str, Any]
    headers: dict[str, str]
    raw: bytes
    at: float = field(default_factory=time.time)


class Web:
    """Keeps every attempt, and each key's first as delivered. `behave` may answer otherwise: it is given the post and
    how often its key came before; what it answers with a status below 300, and -1 (taken, and no answer), counts as
    delivered."""

    def __init__(self, trust: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.attempts: list[Post] = []
        self.delivered: dict[str, Post] = {}
        self._came: Counter[str] = Counter()
        self.behave: Callable[[Post, int], Answer | int] = lambda post, before: 200
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        if trust is not None:
            self._server.socket = trust.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if trust else 'http'}://localhost:{self.port}/alerts"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def taken(self, post: Post) -> Answer:
        """Enter an attempt; the answer to it."""
        with self._lock:
            before = self._came[post.key]
            self._came[post.key] += 1
            self.attempts.append(post)
        answer = self.behave(post, before)
        status, headers, body = answer if isinstance(answer, tuple) else (answer, {}, b'{"reference": "r-1"}')
        if status < 300:
            with self._lock:
                self.delivered.setdefault(post.key, post)
        return status, headers, body

    def keys(self) -> Counter[str]:
        """How often each key came."""
        with self._lock:
            return self._came.copy()


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            if len(raw) < int(self.headers["Content-Length"]):  # the sender was killed
                self.close_connection = True
                return
            form = "form" in self.headers["Content-Type"]
            body = {k: v[0] for k, v in parse_qs(raw.decode()).items()} if form else json.loads(raw)
            post = Post(self.headers.get("Idempotency-Key", ""), body, dict(self.headers), raw)
            status, headers, told = web.taken(post)
            if status < 0:  # taken, and the line is cut
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(told)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError, ssl.SSLError):  # the sender was killed
                super().handle()

    return Handler


@dataclass
class Mail:
    """A mail as it came."""

    to: str
    message: EmailMessage
    raw: bytes
    secure: bool = False
    at: float = field(default_factory=time.time)

    @property
    def id(self) -> str:
        """Its Message-ID without the brackets."""
        return str(self.message["Message-ID"]).strip("<>").partition("@")[0]


class _Free(Controller):
    """On a port that is free: the library asks whether it listens there before it tells which one that is."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        super()._trigger_server()


class PostOffice:
    """An SMTP server. `behave` is given the mail and gives its answer; `refuse` that to an address, '' lets it in."""

    def __init__(
        self, trust: ssl.SSLContext | None = None, user: tuple[str, str] | None = None, implicit: bool = False
    ) -> None:
        self.mails: list[Mail] = []
        self.behave: Callable[[Mail], str] = lambda mail: "250 taken"
        self.refuse: Callable[[str], str] = lambda address: ""
        self._user, self._implicit = user, implicit
        self._controller = _Free(
            self,
            hostname="127.0.0.1",
            port=0,
            ssl_context=trust if implicit else None,
            tls_context=None if implicit else trust,
            require_starttls=trust is not None and not implicit,
            authenticator=self._known if user else None,
            auth_required=user is not None and not implicit,  # the library sees no TLS of this kind
            auth_require_tls=trust is not None and not implicit,
        )
        self._controller.start()
        self.port = self._controller.port

    def close(self) -> None:
        """Stop listening."""
        self._controller.stop()

    def _known(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        said = (given.login.decode(), given.password.decode()) if isinstance(given, LoginPassword) else None
        return AuthResult(success=said == self._user, handled=said == self._user)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:
        """aiosmtpd's: an address."""
        refused = self.refuse(address)
        if not refused:
            envelope.rcpt_tos.append(address)
        return refused or "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Envelope) -> str:
        """aiosmtpd's: a whole mail."""
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        mail = Mail(envelope.rcpt_tos[0], message, raw, session.ssl is not None or self._implicit)
        answer = self.behave(mail)
        if answer.startswith("2"):
            self.mails.append(mail)
        return answer
