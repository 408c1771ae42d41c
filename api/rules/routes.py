"""Why, over HTTP: GET /why/crm.decisions?customer_id=17."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api import formats
from api.auth import Principal
from api.graphql.negotiate import Refused
from api.headers import headers
from api.rules.why import why
from connectors.base import Cancel
from connectors.errors import QueryError
from federation.freshness.freshness import MAX_AGE, of_headers
from federation.session import Session
from views.rules import WHY

TIMEOUT = 60.0


class Reasons:
    """Answers for one server."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime

    async def respond(self, request: Request, who: Principal, cancel: Cancel) -> Response:
        """The rules, the facts and their ages as JSON; 404 where there is no such rule set or subject."""
        if request.method not in ("GET", "HEAD"):
            raise Refused(405, "use GET", {"Allow": "GET, HEAD"})
        name: str = request.path_params["name"]
        schema, _, view = name.partition(".")
        for relation in (view, view + WHY):
            if not who.may_read((schema, relation)):
                raise QueryError(f"permission denied for view {schema}.{relation}", sqlstate="42501")
        values = request.query_params.multi_items()
        if len(dict(values)) < len(values):
            raise Refused(400, "a column of the key stands twice")
        max_age = of_headers(request.headers.get(MAX_AGE), request.headers.get("cache-control"))
        trace = request.headers.get("traceparent", "")
        session = Session(who.name, formats.SETTINGS, timeout=TIMEOUT, protocol="http", trace=trace, max_age=max_age)
        try:
            told = await why(self._runtime.engine, self._runtime.canon, name, dict(values), session, cancel)
        except QueryError as error:
            if error.sqlstate == "42P01":
                raise Refused(404, error.message) from None
            raise
        if told is None:
            raise Refused(404, f"{name} is about no such subject")
        body = orjson.dumps(told.json())
        return Response(
            body, media_type="application/json", headers={"Cache-Control": "no-store", **headers(told.sources)}
        )
