"""SQL over HTTP, for programs that speak no PostgreSQL protocol: one SELECT in, Arrow or JSON lines out, streamed."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.auth import Principal
from api.errors import fields
from api.graphql import encode
from api.graphql.compile import Output
from api.graphql.negotiate import Refused, body, json_only
from api.graphql.scalars import kind as scalar_kind
from api.graphql.service import SETTINGS
from api.headers import headers
from connectors.base import Bound, Cancel
from connectors.errors import QueryError
from connectors.types import PgType
from federation.freshness import provenance
from federation.freshness.freshness import MAX_AGE, of_headers
from federation.result import Result
from federation.session import Session

ARROW = "application/vnd.apache.arrow.stream"
LINES = "application/x-ndjson"
TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Statement:
    """A request: the text, and its parameters as JSON has them."""

    sql: str
    params: tuple[Any, ...] = ()


class Sql:
    """Answers `POST /query`."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    async def respond(self, request: Request, who: Principal, cancel: Cancel) -> Response:
        """Rows as they come; an error before the first row is a status, a later one ends the stream."""
        if request.method != "POST":
            raise Refused(405, "use POST", {"Allow": "POST"})
        statement = await _statement(request)
        kind = _kind(request.headers.get("accept", "*/*"))
        last = _last(request.query_params.get("provenance", ""), kind)
        trace = request.headers.get("traceparent", "")
        max_age = of_headers(request.headers.get(MAX_AGE), request.headers.get("cache-control"))
        session = Session(who.name, SETTINGS, timeout=TIMEOUT, protocol="http", trace=trace, max_age=max_age)
        result = await self._run(statement, session, who, cancel)
        pieces = _arrow(result) if kind == ARROW else _lines(result, last)
        first = await anext(pieces, b"")
        told = {"Cache-Control": "no-store", **headers(provenance.facts(result.parts))}
        return StreamingResponse(_stream(first, pieces, result, cancel, kind), media_type=kind, headers=told)

    async def _run(self, statement: Statement, session: Session, who: Principal, cancel: Cancel) -> Result:
        prepared = await self._engine.prepare(statement.sql, session)
        for schema, name in prepared.statement.relations:
            if not who.may_read((schema, name)):
                raise QueryError(f"permission denied for view {schema}.{name}", sqlstate="42501")
        kinds = prepared.statement.params
        if len(kinds) != len(statement.params):
            message = f"the statement has {len(kinds)} parameters, the request {len(statement.params)}"
            raise QueryError(message, sqlstate="08P01")
        params = [_bound(kind, value) for kind, value in zip(kinds, statement.params, strict=True)]
        result: Result = await self._engine.run(prepared, params, session, cancel)
        return result


async def _statement(request: Request) -> Statement:
    """The request's body; Refused where it is no statement."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/sql":
        return Statement(_text(await body(request)))
    json_only(request)
    try:
        values = orjson.loads(await body(request))
    except orjson.JSONDecodeError:
        raise Refused(400, "the body is not valid JSON") from None
    if not isinstance(values, dict) or not isinstance(values.get("sql"), str):
        raise Refused(400, 'send {"sql": "SELECT ...", "params": [...]}')
    params = values.get("params") or []
    if not isinstance(params, list):
        raise Refused(400, "`params` must be a list")
    return Statement(values["sql"], tuple(params))


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused(400, "the body is not UTF-8 text") from None


def _kind(accept: str) -> str:
    listed = [item.partition(";")[0].strip().lower() for item in accept.split(",")]
    for item in listed:
        if item in (ARROW, LINES):
            return item
    if {"*/*", "application/*"} & set(listed):
        return LINES
    raise Refused(406, f"the answer can be {ARROW} or {LINES}")


def _last(wanted: str, kind: str) -> bool:
    """Whether the account of the whole answer comes as its last line."""
    if wanted not in ("", "last"):
        raise Refused(400, "`provenance` can be last: the account of the whole answer as its last line")
    if wanted and kind == ARROW:
        raise Refused(400, f"only {LINES} has a last line for `provenance`")
    return bool(wanted)


def _bound(type_: PgType, value: Any) -> Bound:
    kind = scalar_kind(type_)
    try:
        if value is None:
            return Bound(type_, None)
        if kind.listed and isinstance(value, list):
            return Bound(type_, [None if item is None else kind.scalar.coerce_input_value(item) for item in value])
        return Bound(type_, kind.scalar.coerce_input_value(value))
    except GraphQLError as error:
        raise QueryError(error.message, sqlstate="22P02") from None


async def _lines(result: Result, last: bool = False) -> AsyncGenerator[bytes, None]:
    names = [name for name, _ in result.columns]
    if len(set(names)) < len(names):
        raise QueryError(
            "two columns have the same name, which a JSON object cannot hold",
            sqlstate="42701",
            hint=f"Give them different names, or ask for {ARROW}.",
        )
    outputs = [Output(name, i, type_) for i, (name, type_) in enumerate(result.columns)]
    async for batch in result.batches:
        for start in range(0, batch.num_rows, encode.ROWS):
            yield encode.lines(batch.slice(start, encode.ROWS), outputs)
    if last:
        yield orjson.dumps({"provenance": [fact.json() for fact in provenance.facts(result.parts)]}) + b"\n"


async def _arrow(result: Result) -> AsyncGenerator[bytes, None]:
    schema = pa.schema([pa.field(name, type_.arrow) for name, type_ in result.columns])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        async for batch in result.batches:
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            yield _taken(sink)
    yield _taken(sink)


def _taken(sink: io.BytesIO) -> bytes:
    data = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return data


async def _stream(
    first: bytes, rest: AsyncIterator[bytes], result: Result, cancel: Cancel, kind: str
) -> AsyncIterator[bytes]:
    try:
        yield first
        async for piece in rest:
            yield piece
    except Exception as error:
        if kind == ARROW:
            raise  # the connection breaks off: an Arrow stream without its end mark is an error to its reader
        yield orjson.dumps({"error": fields(error)}) + b"\n"
    finally:
        await asyncio.to_thread(cancel.fire)
        await result.aclose()
