"""/dashboards: one page for all of them, what they are made of, and their panels' answers, in the same process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from api.auth import Principal
from api.dashboards import describe
from api.dashboards.given import values
from api.dashboards.panels import Asking, Panels, refused
from api.errors import status
from api.graphql.negotiate import Refused
from connectors.base import Cancel
from connectors.errors import ConfigError, QueryError
from views.dashboards import Broken, Dashboard, Drawn, Statement

STATIC = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
CHOICES = 500  # values that a parameter offers
CHOICES_TIMEOUT = 10.0  # seconds
_FRESH = {"Cache-Control": "no-store"}
Handler = Callable[[Request, Principal, Cancel], Awaitable[Response]]


class Dashboards:
    """The endpoints of a runtime's dashboards. `explore`: panels lead on into GraphiQL."""

    def __init__(self, runtime: Any, explore: bool) -> None:
        self._runtime = runtime
        self._explore = explore
        self._panels = Panels(runtime)

    def routes(self, guarded: Callable[[Handler], ASGIApp]) -> list[BaseRoute]:
        """Each for authenticated users alone, but for the page's own files."""
        return [
            Route("/dashboards", guarded(self._moved)),
            Mount("/dashboards/-", _Files(directory=STATIC)),
            Route("/dashboards/", guarded(self._page)),
            Route("/dashboards/index.json", guarded(self._index)),
            Route("/dashboards/{name}.json", guarded(self._dashboard)),
            Route("/dashboards/{name}", guarded(self._page)),
            Route("/dashboards/{name}/panels/{panel}", guarded(self._panel)),
            Route("/dashboards/{name}/panels/{panel}/explain", guarded(self._explained)),
            Route("/dashboards/{name}/parameters/{parameter}", guarded(self._choices)),
        ]

    async def _moved(self, request: Request, _who: Principal, _cancel: Cancel) -> Response:
        _reads(request)
        return RedirectResponse("dashboards/", 308)

    async def _page(self, request: Request, _who: Principal, _cancel: Cancel) -> Response:
        """The same page for every dashboard: it looks at its address."""
        _reads(request)
        known = request.path_params.get("name") in (None, *self._runtime.dashboards)
        return FileResponse(STATIC / "index.html", 200 if known else 404, {**_FRESH, "Content-Security-Policy": POLICY})

    async def _index(self, request: Request, who: Principal, _cancel: Cancel) -> Response:
        _reads(request)
        file = self._runtime.project.file
        project = {"project": file.name, "about": file.description, "user": who.name}
        found = describe.index(project, self._runtime.dashboards, self._runtime.diagnostics)
        return JSONResponse(found, headers=_FRESH)

    async def _dashboard(self, request: Request, who: Principal, _cancel: Cancel) -> Response:
        _reads(request)
        told = describe.dashboard(self._named(request), self._runtime.dashboards)
        about = {"project": self._runtime.project.file.name, "user": who.name, "explore": self._explore}
        return JSONResponse({**told, **about}, headers=_FRESH)

    async def _panel(self, request: Request, who: Principal, cancel: Cancel) -> Response:
        statement, asking = self._drawn(request, who)
        try:
            body = await self._panels.answer(statement, asking, cancel)
        except Exception as error:
            return self._refused(error, statement, asking)
        return Response(body, media_type="application/json", headers=_FRESH)

    async def _explained(self, request: Request, who: Principal, _cancel: Cancel) -> Response:
        statement, asking = self._drawn(request, who)
        try:
            text = await self._panels.explain(statement, asking)
        except Exception as error:
            return self._refused(error, statement, asking)
        return PlainTextResponse(text, headers=_FRESH)

    async def _choices(self, request: Request, who: Principal, cancel: Cancel) -> Response:
        dashboard = self._named(request)
        name = request.path_params["parameter"]
        if name not in dashboard.choices:
            raise Refused(404, f'dashboard "{dashboard.name}" has no choices for "{name}"', _FRESH)
        statement = dashboard.choices[name]
        asking = self._asking(request, dashboard, who, CHOICES, CHOICES_TIMEOUT)
        try:
            body = await self._panels.answer(statement, asking, cancel)
        except Exception as error:
            return self._refused(error, statement, asking)
        return Response(body, media_type="application/json", headers=_FRESH)

    def _refused(self, error: Exception, statement: Statement, asking: Asking) -> Response:
        told = refused(error, self._panels.sql(statement, asking))
        return JSONResponse(told, status(error), headers=_FRESH)

    def _named(self, request: Request) -> Dashboard:
        name = request.path_params["name"]
        found: Dashboard | None = self._runtime.dashboards.get(name)
        if found is None:
            broken = [one for one in self._runtime.diagnostics if one.file == f"dashboards/{name}.yml"]
            if broken:
                place = f"{broken[0].file}:{broken[0].line}"
                raise ConfigError(broken[0].message, place=place, hint=broken[0].remedy)
            raise Refused(404, f'there is no dashboard "{name[:63]}"', _FRESH)
        return found

    def _drawn(self, request: Request, who: Principal) -> tuple[Statement, Asking]:
        _reads(request)
        dashboard = self._named(request)
        key = request.path_params["panel"]
        panel = next((one for one in dashboard.panels if one.key == key), None)
        if panel is None:
            raise Refused(404, f'dashboard "{dashboard.name}" has no panel "{key[:63]}"', _FRESH)
        if isinstance(panel, Broken):
            fault = panel.fault
            raise ConfigError(fault.message, place=f"{fault.file}:{fault.line}", hint=fault.remedy)
        return panel.statement, self._asking(request, dashboard, who, _most(panel), panel.panel.timeout)

    def _asking(self, request: Request, dashboard: Dashboard, who: Principal, rows: int, timeout: float) -> Asking:
        found = values(dashboard, _once(request))
        trace = request.headers.get("traceparent", "")
        return Asking(who, found, rows, timeout, trace, self._explore)


def _most(panel: Drawn) -> int:
    return 1 if panel.panel.kind in ("number", "detail") else panel.panel.rows


def _reads(request: Request) -> None:
    if request.method not in ("GET", "HEAD"):
        raise Refused(405, "use GET", {"Allow": "GET, HEAD"})


def _once(request: Request) -> dict[str, str]:
    """The address's parameters; QueryError for one that stands twice."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in found:
            raise QueryError(f"`{name[:63]}` stands twice in the address", sqlstate="22023", hint="keep one")
        found[name] = value
    return found


class _Files(StaticFiles):
    """The page's files, asked for again each time (304 where nothing changed): an update is seen at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update({"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})
        return response
