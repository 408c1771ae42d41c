"""HTTP: GraphQL and its page, dashboards, SQL for programs that speak no PostgreSQL protocol, health, and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from api.admin import Admin
from api.auth import ANONYMOUS, Principal, Users, local
from api.dashboards.routes import Dashboards
from api.errors import fields, status
from api.graphql.negotiate import Refused, wants_page
from api.graphql.service import Service
from api.metrics import MEDIA_TYPE, Meters
from api.rules.routes import Reasons
from api.segments.http import Segmentations
from api.sql import Sql
from api.uploads.http import Uploads
from api.watches.endpoints import AlertAdmin
from api.watches.meters import AlertMeters
from connectors.base import Cancel
from connectors.errors import SourceError
from federation.canon.roles import EVERYTHING
from federation.operations.control import OPERATOR
from federation.session import Session

STATIC = Path(__file__).parent / "graphql" / "static"
READY_SECONDS = 2.0
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

Handler = Callable[[Request, Principal, Cancel], Awaitable[Response]]


def app(runtime: Any, explore: bool | None = None) -> Starlette:
    """The application of a `Runtime`. `explore` serves GraphiQL and introspection; only without users by default.

    ConfigError where a user's secret is not to be had.
    """
    accounts = Accounts(runtime)
    explore = not accounts.users() if explore is None else explore
    service = Service(runtime.engine, explore)
    sql = Sql(runtime.engine)
    dashboards = Dashboards(runtime, explore)
    meters = Meters(runtime.engine, AlertMeters(runtime))
    runtime.engine.watch.listeners.append(meters)

    async def graphql(request: Request, who: Principal, cancel: Cancel) -> Response:
        if wants_page(request) and explore:
            return RedirectResponse("graphiql")
        return await service.respond(request, who, cancel)

    async def graphiql(request: Request, _who: Principal, _cancel: Cancel) -> Response:
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("use GET", 405, {"Allow": "GET, HEAD"})
        return FileResponse(STATIC / "graphiql.html", headers={"Content-Security-Policy": _PAGE_POLICY})

    async def metrics(_request: Request, _who: Principal, _cancel: Cancel) -> Response:
        return Response(meters.exposition(), media_type=MEDIA_TYPE)

    async def ready(_request: Request) -> Response:
        return await _ready(runtime.engine)

    def guard(handler: Handler) -> Guarded:
        return Guarded(handler, accounts.users)

    page = [Route("/graphiql", guard(graphiql)), Mount("/static", StaticFiles(directory=STATIC))]
    return Starlette(
        routes=[
            *Admin(runtime.control).routes(guard),
            *AlertAdmin(runtime).routes(guard),
            *owned(runtime, guard),
            Route("/graphql", guard(graphql)),
            Route("/query", guard(sql.respond)),
            Route("/why/{name}", guard(Reasons(runtime).respond)),
            *dashboards.routes(guard),
            Route("/metrics", guard(metrics)),
            Route("/healthz", _healthy, methods=["GET"]),
            Route("/readyz", ready, methods=["GET"]),
            *(page if explore else []),
        ]
    )


def control(runtime: Any) -> Starlette:
    """The application on the server's own socket: who can open it is the operator."""

    def guard(handler: Handler) -> Guarded:
        return Guarded(handler, Users.none, operator=True)

    return Starlette(
        routes=[*Admin(runtime.control).routes(guard), *AlertAdmin(runtime).routes(guard), *owned(runtime, guard)]
    )


def owned(runtime: Any, guard: Callable[[Handler], Guarded]) -> list[BaseRoute]:
    """What users own: uploads, and the segmentations over these and over views."""
    uploads = Uploads(runtime)
    return [*uploads.routes(guard), *Segmentations(runtime, uploads).routes(guard)]


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _ready(engine: Any) -> Response:
    """Whether a statement can be answered; the sources have no say, as each may be down by itself."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            result = await engine.query("SELECT 1", Session(ANONYMOUS, timeout=READY_SECONDS))
            await result.table()
    except Exception as error:
        return JSONResponse({"ready": False, "reason": fields(error)["message"]}, 503)
    return JSONResponse({"ready": True})


class Accounts:
    """The users of a runtime's project, as its last reload left them."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._project: Any = None
        self._secrets: Any = None
        self._users = Users.none()

    def users(self) -> Users:
        """Those of the project, and their secrets, as they are now."""
        project, secrets = self._runtime.project, self._runtime.credentials.values
        if project is not self._project or secrets is not self._secrets:
            self._users = Users.with_secrets(project.file, secrets, lambda name: self._runtime.owned.reads(name))
            self._project, self._secrets = project, secrets
        return self._users


class Guarded:
    """An endpoint for authenticated requests alone, whose work stops when the client goes away. `operator`: whoever
    gets here is the one who runs the server."""

    def __init__(self, handler: Handler, users: Callable[[], Users], operator: bool = False) -> None:
        self._handler = handler
        self._users = users
        self._operator = operator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI request."""
        line = _Line(receive, whole=scope["method"] in ("GET", "HEAD"))
        response = await self._response(Request(scope, line.receive), line)
        response.headers.update(_HEADERS)
        await response(scope, receive, send)

    async def _response(self, request: Request, line: _Line) -> Response:
        who = self._principal(request)
        if isinstance(who, Response):
            return who
        try:
            return await self._watched(request, who, line)
        except Refused as refused:
            return JSONResponse({"error": {"message": refused.message}}, refused.status, refused.headers)
        except asyncio.CancelledError:  # uvicorn's, of what has not ended within the grace
            stopping = SourceError("the server is shutting down", sqlstate="57P01")
            return JSONResponse({"error": fields(stopping)}, 503)
        except Exception as error:
            return JSONResponse({"error": fields(error)}, status(error))

    async def _watched(self, request: Request, who: Principal, line: _Line) -> Response:
        cancel = Cancel()
        work = asyncio.ensure_future(self._handler(request, who, cancel))
        gone = asyncio.ensure_future(line.gone())
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            return Response(status_code=499)  # nobody reads it
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
                await asyncio.to_thread(cancel.fire)

    def _principal(self, request: Request) -> Principal | Response:
        if self._operator:
            return Principal(OPERATOR, EVERYTHING, admin=True, operator=True)
        users = self._users()
        if users:
            who = users.authenticate(request.headers.get("authorization"))
            challenge = {"WWW-Authenticate": 'Basic realm="vdw", charset="UTF-8"'}
            return who or JSONResponse({"error": {"message": "user name and password, please"}}, 401, challenge)
        if local(request):
            return Principal(ANONYMOUS, EVERYTHING, admin=True)
        message = "without users in vdw.yml only this machine is served, under its own name"
        return JSONResponse({"error": {"message": message}}, 403)


class _Line:
    """A client's side of one request: tells when the client has gone."""

    def __init__(self, receive: Receive, whole: bool) -> None:
        self._receive = receive
        self._whole = asyncio.Event()
        if whole:
            self._whole.set()

    async def receive(self) -> Message:
        """The next message, for whoever reads the body."""
        message = await self._receive()
        if not message.get("more_body", False):
            self._whole.set()
        return message

    async def gone(self) -> None:
        """Returns once the client has gone; looks only when the body has been read."""
        await self._whole.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
