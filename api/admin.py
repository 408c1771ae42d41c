"""The operator's endpoints: receipts, what runs, kill switches, the cache; over HTTP and the server's own socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from api.auth import Principal
from api.graphql.negotiate import Refused, body, json_only
from connectors.base import Cancel
from connectors.errors import Error, QueryError
from federation.operations.control import Control
from federation.operations.receipt import BY
from views.values import duration

Handler = Callable[[Request, Principal, Cancel], Awaitable[Response]]
Guard = Callable[[Handler], Any]  # makes an endpoint of it, for those who may come in
Body = Mapping[str, Any]
SINCE = "1h"


class Admin:
    """Answers for one server. What changes something is a POST with a JSON body, which no page of another site can
    send, and for administrators alone; a user sees and cancels their own queries."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def routes(self, guard: Guard) -> list[BaseRoute]:
        """All endpoints."""
        told = {"running": self._running, "switches": self._switches}
        done = {
            "cancel": self._cancel,
            "disable": self._disable,
            "enable": self._enable,
            "cache": self._cache,
        }
        return [
            Route("/receipt/{source}", guard(self._receipt)),
            *(Route(f"/admin/{name}", guard(reading(handler))) for name, handler in told.items()),
            *(Route(f"/admin/{name}", guard(changing(handler))) for name, handler in done.items()),
        ]

    async def _receipt(self, request: Request, who: Principal, _cancel: Cancel) -> Response:
        only(request, "GET")
        source, since = request.path_params["source"], lasting(request.query_params.get("since", SINCE))
        receipt = await self._control.receipt(source, since, who.visitor)
        if request.query_params.get("format") == "text":
            by = request.query_params.get("by") or None
            if by not in (None, *BY):
                raise Refused(400, f"by is one of {', '.join(BY)}")
            return Response(receipt.text(by) + "\n", media_type="text/plain; charset=utf-8")
        return answered(receipt.json())

    async def _running(self, who: Principal) -> Any:
        return {"version": 1, "queries": self._control.running(who.visitor)}

    async def _switches(self, who: Principal) -> Any:
        administrator(who)
        return {"version": 1, "switches": self._control.switched()}

    async def _cancel(self, given: Body, who: Principal) -> Any:
        id = required(given, "id")
        return {"cancelled": await self._control.cancel(id, who.visitor)}

    async def _disable(self, given: Body, who: Principal) -> Any:
        administrator(who)
        seconds = lasting(given["for"]) if given.get("for") is not None else None
        names = required(given, "kind"), required(given, "name"), required(given, "reason")
        switch = await self._control.disable(*names, acting(given, who), seconds)
        return {"disabled": switch.told}

    async def _enable(self, given: Body, who: Principal) -> Any:
        administrator(who)
        names = required(given, "kind"), required(given, "name")
        return {"enabled": await self._control.enable(*names)}

    async def _cache(self, given: Body, who: Principal) -> Any:
        administrator(who)
        what, key = given.get("do", "clear"), given.get("key")
        names = [str(given[kind]) for kind in ("view", "source", "table") if given.get(kind)]
        if what not in ("clear", "refresh"):
            raise Refused(400, "`do` is clear or refresh")
        if len(names) > 1 or (key is not None and (not isinstance(key, dict) or not given.get("view"))):
            raise Refused(400, "name one of view, source and table, or none for everything; `key` goes with a view")
        return {"entries": self._control.forget("".join(names), key, what == "refresh")}


def reading(handler: Callable[[Principal], Awaitable[Any]]) -> Handler:
    """The endpoint of what tells something."""

    async def respond(request: Request, who: Principal, _cancel: Cancel) -> Response:
        only(request, "GET")
        return answered(await handler(who))

    return respond


def changing(handler: Callable[[Body, Principal], Awaitable[Any]]) -> Handler:
    """The endpoint of what changes something: a POST with a JSON object."""

    async def respond(request: Request, who: Principal, _cancel: Cancel) -> Response:
        only(request, "POST")
        json_only(request)
        try:
            given = orjson.loads(await body(request))
        except orjson.JSONDecodeError:
            raise Refused(400, "the body is not valid JSON") from None
        if not isinstance(given, dict):
            raise Refused(400, "the body must be a JSON object")
        return answered(await handler(given, who))

    return respond


def only(request: Request, method: str) -> None:
    """Refused for another method."""
    if request.method != method:
        raise Refused(405, f"use {method}", {"Allow": method})


def administrator(who: Principal) -> None:
    """QueryError 42501 for anybody else."""
    if not who.admin:
        raise QueryError(
            f"permission denied: {who.name} is no administrator",
            sqlstate="42501",
            hint="users.<name>.admin: true in vdw.yml makes one.",
        )


def acting(given: Body, who: Principal) -> str:
    """Who did it, as it is told; the operator's commands say which person that is."""
    return str(given["by"]) if who.operator and given.get("by") else who.name


def required(given: Body, key: str) -> str:
    """A text of the body; Refused where there is none."""
    value = given.get(key)
    if not isinstance(value, str) or not value:
        raise Refused(400, f"`{key}` is missing")
    return value


def lasting(text: Any) -> float:
    """Seconds of a duration; Error 22023 for what is none."""
    try:
        return duration(text)
    except ValueError:
        raise Error(f'"{text}" is not a duration, such as 10m, 1h or 2d', sqlstate="22023") from None


def answered(value: Any) -> Response:
    """The value as JSON, of this moment."""
    return JSONResponse(value, headers={"Cache-Control": "no-store"})
