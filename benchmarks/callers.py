"""Clients that ask us the same thing in either language, each over a connection of its own that it opens again."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Protocol

import asyncpg

from benchmarks.stage import Served
from benchmarks.web import Web

Rows = list[dict[str, Any]]
PATIENCE = 20.0  # seconds that a client waits for an answer
BUGS = ("XX000", "INTERNAL_SERVER_ERROR", "HTTP 500")
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)  # TimeoutError is an OSError


class Both(Protocol):
    """A question; a value that comes with it is `$1` in SQL and `$n` in GraphQL, where the field is called `rows`."""

    @property
    def sql(self) -> str: ...
    @property
    def graphql(self) -> str: ...


class Caller(Protocol):
    """One client."""

    async def connect(self) -> None: ...
    async def ask(self, question: Both, *values: int) -> Rows: ...
    async def close(self) -> None: ...


class Refused(OSError):
    """GraphQL's answer is an error, with its code."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(f"{code} {text}")
        self.code = code


class SqlCaller:
    """Over the PostgreSQL protocol."""

    def __init__(self, served: Served, user: str | None = None, password: str | None = None) -> None:
        options = served.options
        self._options = {"host": options["host"], "port": options["port"], "database": options["dbname"]}
        self._options |= {"user": user or options["user"], "password": password}
        self._connection: Any = None

    async def connect(self) -> None:
        """Where there is no connection."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(**self._options, timeout=60)

    async def ask(self, question: Both, *values: int) -> Rows:
        """The rows; FAILURES."""
        await self.connect()
        return [dict(row) for row in await self._connection.fetch(question.sql, *values, timeout=PATIENCE)]

    async def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.terminate()


class WebCaller:
    """Over GraphQL."""

    def __init__(self, served: Served, user: str | None = None, password: str | None = None) -> None:
        self._where, self._user = served.http, (user, password or "") if user else None
        self._web: Web | None = None

    async def connect(self) -> None:
        """Where there is no connection."""
        if self._web is None:
            self._web = await Web.connect(*self._where, self._user)

    async def ask(self, question: Both, *values: int) -> Rows:
        """The rows; FAILURES."""
        await self.connect()
        assert self._web is not None
        body = {"query": question.graphql, "variables": {"n": values[0]} if values else {}}
        try:
            async with asyncio.timeout(PATIENCE):
                status, answer = await self._web.post("/graphql", json.dumps(body).encode())
        except BaseException:
            await self.close()  # an answer that is still to come would be the next one's
            raise
        if status != 200:
            raise Refused(f"HTTP {status}")
        told = json.loads(answer)
        if told.get("errors"):
            first = told["errors"][0]
            raise Refused(str(first.get("extensions", {}).get("code", "invalid")), str(first.get("message")))
        return list(told["data"]["rows"])

    async def close(self) -> None:
        """End the connection."""
        if self._web is not None:
            self._web.close()
            self._web = None


def code(error: BaseException) -> str:
    """The sqlstate, or what kind of a failure it is."""
    if isinstance(error, Refused):
        return error.code
    return str(getattr(error, "sqlstate", None) or type(error).__name__)
