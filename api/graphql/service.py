"""GraphQL over HTTP: a request in, a response out, under a schema that follows the catalog without a pause."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import orjson
from cachetools import LRUCache
from graphql import GraphQLError
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from api.auth import Principal
from api.errors import extensions, fields
from api.graphql.documents import Document, Invalid
from api.graphql.execution import Request, Schema
from api.graphql.limits import Limits
from api.graphql.negotiate import GRAPHQL, JSON, Asked, Refused, asked, media_type
from api.graphql.provenance import Provenance, account, remaining
from api.graphql.schema import build
from api.graphql.values import measure
from api.headers import headers
from connectors.base import Cancel
from connectors.errors import QueryError
from federation.freshness.freshness import MAX_AGE, of_headers
from federation.session import Session

# What JSON says of time is in UTC, whatever the canon's own settings.
SETTINGS = {"TimeZone": "UTC", "DateStyle": "ISO, MDY", "IntervalStyle": "postgres"}
PERSISTED_CHARACTERS = 4_000_000


class Service:
    """Answers GraphQL requests of one engine. `explore`: introspection is allowed."""

    def __init__(self, engine: Any, explore: bool, limits: Limits | None = None, timeout: float = 60.0) -> None:
        self.engine = engine
        self._explore = explore
        self._limits = limits or Limits()
        self._timeout = timeout
        self._schema: Schema | None = None
        self._building: asyncio.Task[Schema] | None = None
        self._persisted: LRUCache[str, str] = LRUCache(PERSISTED_CHARACTERS, getsizeof=len)

    async def schema(self) -> Schema:
        """The schema of the engine's catalog, built in a thread when the catalog is another than before."""
        while self._schema is None or self._schema.version != self.engine.catalog.version:
            if self._building is None or self._building.done():
                self._building = asyncio.create_task(self._build())
            self._schema = await asyncio.shield(self._building)
        return self._schema

    async def _build(self) -> Schema:
        built = await asyncio.to_thread(build, self.engine.catalog)
        return Schema(built, self._limits, self._explore)

    async def respond(self, http: HttpRequest, principal: Principal, cancel: Cancel) -> Response:
        """The response to one request; raises nothing but what is our own fault."""
        kind = JSON
        try:
            kind = media_type(http.headers.get("accept"))
            question = await asked(http, self._persisted)
            return await self._answer(http, question, kind, principal, cancel)
        except Refused as refused:
            more = {"Cache-Control": "no-store", **refused.headers}
            code = {"PersistedQueryNotFound": "PERSISTED_QUERY_NOT_FOUND"}.get(refused.message, "BAD_REQUEST")
            error = {"message": refused.message, "extensions": {"code": code}}
            return _json({"errors": [error]}, kind, refused.status, more)
        except Invalid as invalid:
            # Only the newer media type may tell by status: old clients read nothing but 200.
            status = 400 if kind == GRAPHQL else 200
            more = {"Cache-Control": "no-store"}
            if invalid.writes and http.method == "GET":
                status, more = 405, {**more, "Allow": "POST"}
            return _json({"errors": _formatted(invalid.errors)}, kind, status, more)

    async def _answer(self, http: HttpRequest, question: Asked, kind: str, who: Principal, cancel: Cancel) -> Response:
        schema = await self.schema()
        document = schema.documents.get(question.query)
        document.operation(question.operation)
        digest = hashlib.sha256(question.query.encode()).hexdigest()
        if len(question.query) * 10 < PERSISTED_CHARACTERS:
            self._persisted[digest] = question.query
        try:
            measure(question.variables)
        except GraphQLError as error:
            raise Invalid([error]) from None
        request = self._request(http, document, who, cancel)
        result = await schema.execute(
            question.query,
            variable_values=question.variables,
            context_value=request,
            operation_name=question.operation,
        )
        errors = result.errors or []
        if result.data is None:
            raise Invalid(errors)
        answer: dict[str, Any] = {"data": result.data}
        if errors:
            answer["errors"] = _formatted(errors)
        return _response(http, answer, request.provenance, kind, schema.version)

    def _request(self, http: HttpRequest, document: Document, who: Principal, cancel: Cancel) -> Request:
        trace = http.headers.get("traceparent", "")
        try:
            max_age = of_headers(http.headers.get(MAX_AGE), http.headers.get("cache-control"))
        except QueryError as error:
            raise Invalid([GraphQLError(error.message, extensions=extensions(error))]) from None
        session = Session(who.name, SETTINGS, timeout=self._timeout, protocol="graphql", trace=trace, max_age=max_age)
        return Request(self.engine, document, session, who.may_read, cancel)


def _formatted(errors: Sequence[GraphQLError]) -> list[Any]:
    return [_told(error) for error in errors]


def _told(error: GraphQLError) -> Any:
    """The error as a client may see it; graphql-core would tell the text of any exception."""
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        return error.formatted
    told = fields(cause)
    return {**error.formatted, "message": told["message"], "extensions": {"code": told["sqlstate"]}}


def _response(http: HttpRequest, answer: dict[str, Any], fields: list[Provenance], kind: str, version: str) -> Response:
    data = orjson.dumps(answer)
    if fields:
        warnings = [warning for field in fields for warning in field.warnings()]
        told = {"fields": [field.extension() for field in fields], "warnings": warnings}
        data = data[:-1] + b',"extensions":' + orjson.dumps({"provenance": told}) + b"}"
    aged = headers(account(fields))
    if http.method == "POST" or "errors" in answer or any(field.cache == "PARTIAL" for field in fields):
        return Response(data, 200, {"Cache-Control": "no-store", **aged}, f"{kind}; charset=utf-8")
    # Weak, and over the data alone: the ages in the extensions differ from one answer to the next.
    tag = f'W/"{hashlib.sha256(orjson.dumps(answer) + version.encode()).hexdigest()[:32]}"'
    # What remains is told from now on, so there is no Age, from which a cache would count it down once more.
    kept = {
        "Cache-Control": f"private, max-age={remaining(fields)}",
        "ETag": tag,
        "Vary": f"Accept, Authorization, {MAX_AGE}",
        **{name: value for name, value in aged.items() if name != "Age"},
    }
    if tag in http.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=kept)
    return Response(data, 200, kept, f"{kind}; charset=utf-8")


def _json(answer: dict[str, Any], kind: str, status: int, more: dict[str, str]) -> Response:
    return Response(orjson.dumps(answer), status, more, f"{kind}; charset=utf-8")
