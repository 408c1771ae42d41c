"""The operator's endpoints for alerts: what stands, and what is done about it."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from api.admin import Body, Guard, acting, administrator, answered, changing, lasting, only, required
from api.auth import Principal
from api.graphql.negotiate import Refused
from api.watches import deeds
from connectors.base import Cancel


class AlertAdmin:
    """Answers for one runtime; all of it is for administrators."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime

    def routes(self, guard: Guard) -> list[BaseRoute]:
        """All endpoints."""
        return [Route("/admin/alerts", guard(self._alerts)), Route("/admin/alert", guard(changing(self._alert)))]

    async def _alerts(self, request: Request, who: Principal, _cancel: Cancel) -> Response:
        only(request, "GET")
        administrator(who)
        watch, state = request.query_params.get("watch", ""), request.query_params.get("state", "")
        found = await asyncio.to_thread(deeds.standing, self._folder, watch, state)
        return answered({"version": 1, "alerts": found})

    async def _alert(self, given: Body, who: Principal) -> Any:
        administrator(who)
        deed, target = required(given, "do"), required(given, "target")
        if deed not in deeds.DEEDS:
            raise Refused(400, f"`do` is one of {', '.join(deeds.DEEDS)}")
        length = lasting(given["for"]) if given.get("for") is not None else None
        why = str(given.get("reason") or "")
        return {"done": await asyncio.to_thread(deeds.do, self._folder, deed, target, acting(given, who), length, why)}

    @property
    def _folder(self) -> Any:
        project = self._runtime.project
        return project.folder / project.file.state
