"""One statement at a Trino coordinator, by its own client's requests: page by page, and stopped when asked to."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from trino import exceptions
from trino.client import ClientSession, TrinoRequest

from connectors.errors import SourceError
from connectors.stopping import server_timeout
from connectors.tally import SESSION
from connectors.trino import segments
from connectors.trino.driver import FAULTS, FORBIDDEN, Access, Line, Refused, not_taken
from connectors.trino.segments import Rows, Segments

_PROOF = 2.0  # seconds for a request that ends a statement
_NOT_NOW = (429, 502, 503, 504)  # of a gateway, or of a server with too much to do: to be asked again
_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 4.0)  # seconds before each time


class Statement:
    """One statement, from its sending to the last of its rows. `stop` and `cut` may be called by other threads."""

    def __init__(self, access: Access, line: Line, text: str, deadline: float, *, spooled: bool) -> None:
        self._access = access
        self._line = line
        self._text = text
        line.deadline = deadline
        given = dict(access.session)
        limit = f"{server_timeout(deadline - time.monotonic())}ms"
        given["properties"] = {**given["properties"], "query_max_run_time": limit}
        session = ClientSession(**given, timezone="UTC", encoding=list(segments.ENCODINGS) if spooled else None)
        self._request = TrinoRequest(
            access.host, access.port, session, http_session=line, http_scheme=access.scheme, max_attempts=1
        )
        self._segments = Segments(access, deadline, self._patient)
        self._stopped = threading.Event()
        self._next: str | None = None
        self.columns: Sequence[Mapping[str, Any]] | None = None

    def pages(self) -> Iterator[Rows]:
        """Rows as they come, perhaps none at a time; the first comes when the server has taken the statement."""
        answer = self._access.logins.open(self._posted, not_taken, self._left)
        while True:
            data = self._took(answer)
            yield from self._segments.rows(data) if isinstance(data, Mapping) else (data,)
            if self._next is None:
                return
            answer = self._following(self._next)

    def stop(self) -> None:
        """End it at the server, from a connection of its own."""
        self._stopped.set()
        if self._next is None:
            return
        with Line(self._access) as side:
            side.deadline, side.auth = time.monotonic() + _PROOF, self._line.auth
            self._access.tally.add(SESSION)
            side.delete(self._next)

    def cut(self) -> None:
        """Break the line, where the server does not heed that."""
        self._stopped.set()
        self._line.cut()
        self._segments.cut()

    @contextlib.contextmanager
    def ended(self) -> Iterator[None]:
        """Whatever is left of it is ended at the server, when the body is left."""
        try:
            yield
        finally:
            with contextlib.suppress(*FAULTS):
                self.stop()
            self._segments.close()

    @property
    def _left(self) -> float:
        return self._line.deadline - time.monotonic()

    def _posted(self, secret: str | None) -> requests.Response:
        return self._by(secret, lambda: self._request.post(self._text))

    def _by(self, secret: str | None, ask: Callable[[], requests.Response]) -> requests.Response:
        self._line.auth = self._access.auth(secret)
        answer = ask()
        if answer.status_code in FORBIDDEN:
            raise Refused(answer.status_code)
        return answer

    def _following(self, address: str) -> requests.Response:
        """The next page. Where a token has run out meanwhile, with the one that stands there now."""
        answer = self._patient(lambda: self._request.get(address))
        if answer.status_code not in FORBIDDEN:
            return answer
        return self._access.logins.open(
            lambda secret: self._by(secret, lambda: self._request.get(address)), not_taken, self._left
        )

    def _patient(self, ask: Callable[[], requests.Response]) -> requests.Response:
        """What is asked, again and again while it cannot be answered just now, as the protocol wants it."""
        answer = ask()
        for pause in _PAUSES:
            if answer.status_code not in _NOT_NOW and (answer.content or not answer.ok):
                break
            if self._left <= 0 or self._stopped.wait(pause):
                break
            answer = ask()
        return answer

    def _took(self, answer: requests.Response) -> Any:
        """A page's rows, or the segments that have them."""
        if not answer.ok or not answer.content:
            self._next = None
            raise Refused(answer.status_code)
        told = orjson.loads(answer.content)
        if not isinstance(told, dict):
            raise ValueError("no object")
        if "error" in told:
            self._next = None  # it has ended
            raise exceptions.TrinoQueryError(told["error"], told["id"])
        following = told.get("nextUri")
        if following is not None and urlsplit(following).scheme != self._access.scheme:
            raise SourceError(
                f'source "{self._access.source}" names an address of another scheme for the rest of its answer',
                hint="a proxy in front of it must send X-Forwarded-Proto, and Trino heed it "
                "(http-server.process-forwarded)",
            )
        self._next = following
        self.columns = told.get("columns") or self.columns
        return told.get("data") or []
