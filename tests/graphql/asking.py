"""Asks GraphQL questions in one line."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from api.graphql.execution import Request, Schema
from api.graphql.limits import Limits
from api.graphql.schema import build
from api.graphql.service import SETTINGS
from federation.session import Session
from tests.graphql.oracle import PgEngine

_SCHEMAS: dict[str, Schema] = {}


def schema(engine: PgEngine) -> Schema:
    """One schema per catalog version."""
    if engine.catalog.version not in _SCHEMAS:
        _SCHEMAS[engine.catalog.version] = Schema(build(engine.catalog), Limits(), True)
    return _SCHEMAS[engine.catalog.version]


def ask(engine: PgEngine, text: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    """data and errors, as JSON decoded."""

    async def run() -> Any:
        made = schema(engine)
        request = Request(engine, made.documents.get(text), Session("ada", SETTINGS), lambda _: True)
        return await made.execute(text, variable_values=variables, context_value=request)

    result = asyncio.run(run())
    return orjson.loads(orjson.dumps({"data": result.data, "errors": [e.formatted for e in result.errors or []]}))


def data(engine: PgEngine, text: str, variables: dict[str, Any] | None = None) -> Any:
    """data of a question that has no error."""
    answer = ask(engine, text, variables)
    assert not answer["errors"], answer["errors"]
    return answer["data"]
