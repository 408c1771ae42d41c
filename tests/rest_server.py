"""A real HTTP service on loopback over a SQLite file, with the manners of real ones: pages of every kind, rate limits,
authentication, ETags; and their faults."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import sqlite3
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.servers import free_port

_RAW = re.compile(r'"\\u0001((?:[^"\\]|\\.)*?)\\u0002"')
TOKEN = "t0ken-of-the-tests"


@dataclass(slots=True)
class Manners:
    """How it behaves now; tests change it while it runs."""

    token: str = ""  # what Authorization: Bearer must say
    largest: int = 1000  # rows of a page, whatever is asked
    budget: int = 0  # requests until 429; 0: any number
    retry_after: str = "1"
    failing: list[str] = field(default_factory=list)  # what becomes of the next requests: 503, drop, cut, garbage
    delay: float = 0.0
    moving: bool = False  # a row comes in at the front between two pages
    wrong_total: bool = False


class RestServer:
    """Tables of a SQLite file at /{style}/{table}; to be used as a context."""

    def __init__(self, path: Path, certificate: tuple[str, str] | None = None, clients: str | None = None) -> None:
        self.path, self.port = path, free_port()
        self.manners = Manners()
        self.requests: list[str] = []
        self.times: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.active = 0
        self.most_active = 0
        self.tokens = 0
        self._certificate, self._clients = certificate, clients  # files: our own and its key; whose clients may ask

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http{'s' if self._certificate else ''}://127.0.0.1:{self.port}"

    def __enter__(self) -> RestServer:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def restart(self) -> None:
        """Stop, and start again at the same port."""
        self._stop()
        self._start()

    def stop(self) -> None:
        """Stop it."""
        self._stop()

    def start(self) -> None:
        """Start it again."""
        self._start()

    def forget(self) -> None:
        """Forget what it was asked."""
        self.requests.clear()
        self.times.clear()
        self.statuses.clear()
        self.most_active = 0

    def _start(self) -> None:
        app = Starlette(
            routes=[
                Route("/token", self._token, methods=["POST"]),
                Route("/search/{table}", self._search, methods=["POST"]),
                Route("/{style}/{table}", self._rows),
                Route("/{style}/{table}/{column}/{value}", self._rows),
            ]
        )
        said: dict[str, Any] = {}
        if self._certificate:
            said = dict(zip(("ssl_certfile", "ssl_keyfile"), self._certificate, strict=True))
        if self._clients:
            said |= {"ssl_ca_certs": self._clients, "ssl_cert_reqs": ssl.CERT_REQUIRED}
        config = uvicorn.Config(app, "127.0.0.1", self.port, log_level="critical", timeout_graceful_shutdown=1, **said)
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, daemon=True)
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.005)

    def _stop(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(10)

    # -- what it answers

    async def _rows(self, request: Request) -> Response:
        with self._counted(request):
            refused = await self._manners(request)
            return refused if refused is not None else self._answer(request, dict(request.query_params))

    async def _search(self, request: Request) -> Response:
        with self._counted(request):
            refused = await self._manners(request)
            return refused if refused is not None else self._answer(request, await request.json())

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        sent = request.headers.get("authorization", "")
        if form.get("grant_type") != "client_credentials" or not sent.startswith("Basic "):
            return Response(status_code=400)
        if base64.b64decode(sent[6:]).decode() != "me:secret":
            return Response(status_code=401)
        self.tokens += 1
        self.manners.token = f"{TOKEN}-{self.tokens}"
        return JSONResponse({"access_token": self.manners.token, "expires_in": 3600, "token_type": "Bearer"})

    @contextlib.contextmanager
    def _counted(self, request: Request) -> Iterator[None]:
        self.requests.append(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
        self.times.append(time.monotonic())
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            yield
        finally:
            self.active -= 1

    async def _manners(self, request: Request) -> Response | None:
        now = self.manners
        if now.delay:
            end = time.monotonic() + now.delay
            while time.monotonic() < end and not await request.is_disconnected():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        if now.token and request.headers.get("authorization") != f"Bearer {now.token}":
            return Response("who?", 401)
        if now.failing:
            return await self._failure(now.failing.pop(0), request)
        if now.budget:
            now.budget -= 1
            if now.budget == 0:
                self.statuses[429] += 1
                return Response("slower", 429, {"Retry-After": now.retry_after})
        return None

    async def _failure(self, what: str, request: Request) -> Response:
        if what.isdigit():
            self.statuses[int(what)] += 1
            return Response(
                "no", int(what), {"Retry-After": self.manners.retry_after} if what in ("429", "503") else {}
            )
        if what == "drop":
            transport = request.scope["app"] and request._receive.__self__.transport  # type: ignore[attr-defined]
            transport.abort()
            return Response()
        if what == "cut":
            return Response(b'[{"id": 1}', headers={"content-length": "1000"})
        return Response(
            {"garbage": b"<html>not json</html>", "nan": b'[{"id": NaN}]'}[what], media_type="application/json"
        )

    def _answer(self, request: Request, asked: dict[str, Any]) -> Response:
        table, style = request.path_params["table"], request.path_params.get("style", "plain")
        asked |= (
            {request.path_params["column"]: request.path_params["value"]} if "column" in request.path_params else {}
        )
        rows = self._read(table, asked, request)
        if not rows and "column" in request.path_params and request.query_params.get("strict"):
            return Response("nothing here", 404)
        body, headers = getattr(self, f"_{style}")(rows, asked, request)
        text = _RAW.sub(lambda found: json.loads(f'"{found[1]}"'), json.dumps(body, ensure_ascii=False))
        tag = f'"{hash(text)}"'
        if request.headers.get("if-none-match") == tag:
            self.statuses[304] += 1
            return Response(status_code=304, headers={"ETag": tag})
        return Response(text, media_type="application/json", headers={**headers, "ETag": tag})

    def _read(self, table: str, asked: dict[str, Any], request: Request) -> list[dict[str, Any]]:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            where, values = [], []
            for key, value in asked.items():
                name, _, end = key.partition("__")
                if name in columns:
                    given = request.query_params.getlist(key) or [value]
                    given = value if isinstance(value, list) else [v for one in given for v in str(one).split(",")]
                    op = {"": "IN", "from": ">=", "to": "<="}[end]
                    marks = ", ".join("?" * len(given)) if op == "IN" else "?"
                    where.append(f"CAST({name} AS TEXT) IN ({marks})" if op == "IN" else f"{name} {op} ?")
                    values += [str(v) for v in given] if op == "IN" else [value]
            text = f"SELECT * FROM {table}" + (f" WHERE {' AND '.join(where)}" if where else "") + " ORDER BY rowid"
            found = connection.execute(text, values).fetchall()
        return [{name: _raw(value) for name, value in zip(columns, row, strict=True)} for row in found]

    def _sized(self, asked: dict[str, Any]) -> int:
        return min(int(asked.get("limit", self.manners.largest)), self.manners.largest)

    def _shifted(self, at: int) -> int:
        return max(at - 1, 0) if self.manners.moving and at else at

    def _plain(self, rows: list[Any], _: dict[str, Any], __: Request) -> tuple[Any, dict[str, str]]:
        return rows, {}

    def _offset(self, rows: list[Any], asked: dict[str, Any], _: Request) -> tuple[Any, dict[str, str]]:
        at = self._shifted(int(asked.get("offset", 0)))
        total = len(rows) + (at if self.manners.wrong_total else 0)
        return {"items": rows[at : at + self._sized(asked)], "total": total}, {}

    def _page(self, rows: list[Any], asked: dict[str, Any], _: Request) -> tuple[Any, dict[str, str]]:
        size = self._sized(asked)
        at = (int(asked.get("page", 1)) - 1) * size
        return rows[at : at + size], {}

    def _cursor(self, rows: list[Any], asked: dict[str, Any], _: Request) -> tuple[Any, dict[str, str]]:
        at, size = int(base64.b64decode(asked.get("after", "")) or 0), self._sized(asked)
        after = base64.b64encode(str(at + size).encode()).decode() if at + size < len(rows) else None
        return {"data": {"items": rows[at : at + size]}, "meta": {"after": after}}, {}

    def _link(self, rows: list[Any], asked: dict[str, Any], request: Request) -> tuple[Any, dict[str, str]]:
        at, size = int(asked.get("_at", 0)), self._sized(asked)
        following = request.url.include_query_params(_at=at + size)
        return rows[at : at + size], {"Link": f'<{following}>; rel="next"'} if at + size < len(rows) else {}

    def _next(self, rows: list[Any], asked: dict[str, Any], request: Request) -> tuple[Any, dict[str, str]]:
        at, size = int(asked.get("_at", 0)), self._sized(asked)
        following = str(request.url.include_query_params(_at=at + size)) if at + size < len(rows) else None
        return {"value": rows[at : at + size], "next": following}, {}


def _raw(value: Any) -> Any:
    """SQLite's text that begins with = is JSON as it stands, digits and all."""
    if isinstance(value, str) and value.startswith("="):
        return f"\u0001{value[1:]}\u0002"
    return value
