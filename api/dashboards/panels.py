"""Answers one panel: its rows, what its sources were asked for them, how old they are, and the SQL that ran."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import orjson

from api.ask import ABSENT, absent
from api.auth import Principal
from api.dashboards.given import Values, bound
from api.dashboards.nearest import Nearest
from api.errors import fields
from api.graphql import encode
from api.graphql.compile import Output
from api.graphql.service import SETTINGS
from connectors.base import Bound, Cancel
from connectors.errors import Error, QueryError
from federation.freshness import provenance
from federation.prepare import Prepared
from federation.result import Part, Result
from federation.session import Session
from views.catalog import SYSTEM
from views.dashboards import Statement


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks a statement of a dashboard: with which values, for how many rows, for how long (seconds)."""

    who: Principal
    values: Values
    rows: int
    timeout: float
    trace: str = ""
    explore: bool = False

    @property
    def session(self) -> Session:
        """As the engine wants it."""
        return Session(self.who.name, SETTINGS, timeout=self.timeout, protocol="http", trace=self.trace)


class Panels:
    """Asks the engine of a runtime."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._nearest = Nearest()

    async def answer(self, statement: Statement, asking: Asking, cancel: Cancel) -> bytes:
        """JSON: columns, rows as objects, `more` rows than are shown, provenance, asked, times, sql."""
        began = time.perf_counter()
        prepared, params = await self._prepared(statement, asking)
        result: Result = await self._runtime.engine.run(prepared, params, asking.session, cancel)
        try:
            rows, more = await _rows(result, asking.rows)
        finally:
            await asyncio.to_thread(cancel.fire)
            await result.aclose()
        told = {
            "columns": [{"name": name, "type": kind.name} for name, kind in result.columns],
            "more": more,
            "ms": round((time.perf_counter() - began) * 1000, 1),
            "merge": {"engine": result.engine, "ms": round(result.merge_ms, 1), "cached": result.cached},
            **account(result.parts),
            **self._shown(statement, asking, prepared),
        }
        return b'{"rows":' + rows + b"," + orjson.dumps(told)[1:]

    async def explain(self, statement: Statement, asking: Asking) -> str:
        """How it is answered, as text."""
        _, params = await self._prepared(statement, asking)
        told = await self._runtime.engine.explain(statement.written.sql, asking.session, params)
        return str(told.text())

    def sql(self, statement: Statement, asking: Asking) -> str:
        """The text with these values in it."""
        return statement.named.literal(statement.types, asking.values)

    async def _prepared(self, statement: Statement, asking: Asking) -> tuple[Prepared, tuple[Bound, ...]]:
        engine = self._runtime.engine
        try:
            prepared: Prepared = await engine.prepare(statement.written.sql, asking.session)
        except QueryError as error:
            away = (
                absent(statement.written.sql, self._runtime.diagnostics, engine.catalog)
                if error.sqlstate in ABSENT
                else None
            )
            raise away or _placed(error, statement) from None
        for schema, name in prepared.statement.relations:
            if not asking.who.may_read((schema, name)):
                raise QueryError(f"permission denied for view {schema}.{name}", sqlstate="42501")
        return prepared, bound(statement.named.names, statement.kinds, asking.values)

    def _shown(self, statement: Statement, asking: Asking, prepared: Prepared) -> dict[str, Any]:
        relations = [name for name in prepared.statement.relations if name[0] != SYSTEM]
        query = self._nearest.query(self._runtime.engine.catalog, relations, asking.values) if asking.explore else None
        return {"sql": self.sql(statement, asking), "reads": [".".join(name) for name in relations], "graphql": query}


def _placed(error: QueryError, statement: Statement) -> QueryError:
    found = statement.written.diagnostic(error.message, "", error.position)
    place = f"{found.file}:{found.line}"
    return QueryError(error.message, sqlstate=error.sqlstate, detail=error.detail, hint=error.hint, place=place)


async def _rows(result: Result, most: int) -> tuple[bytes, bool]:
    """The first rows as a JSON array of objects, and whether there are more."""
    outputs = [Output(name, at, kind) for at, (name, kind) in enumerate(result.columns)]
    pieces: list[bytes] = []
    left = most
    async for batch in result.batches:
        kept = batch.slice(0, left)
        starts = range(0, kept.num_rows, encode.ROWS)
        pieces += [encode.array(kept.slice(start, encode.ROWS), outputs)[1:-1] for start in starts]
        if batch.num_rows > left:
            return b"[" + b",".join(pieces) + b"]", True
        left -= batch.num_rows
    return b"[" + b",".join(pieces) + b"]", False


def account(parts: list[Part], now: float | None = None) -> dict[str, Any]:
    """What its sources gave and were asked: `provenance`, `asked` by statement, and for how many seconds from now on
    nothing newer can be had (`fresh_for`, None where no source was read)."""
    now = time.time() if now is None else now
    facts = provenance.facts(parts, now)
    left = [max(0.0, fact.read_at + fact.ttl - now) for fact in facts if fact.read_at is not None]
    return {
        "provenance": [{**fact.json(), "warning": fact.warning or None} for fact in facts],
        "asked": [_asked(part) for part in parts if part.source != SYSTEM and part.cache != "none"],
        "answered_at": provenance.moment(now),
        "fresh_for": round(min(left), 3) if left else None,
    }


def _asked(part: Part) -> dict[str, Any]:
    return {
        "source": part.source,
        "sql": part.sql,
        "cache": part.cache,
        "statements": part.statements,
        "spared": part.spared,
        "rows": part.rows,
        "ms": round(part.ms, 1),
        "waited": round(part.waited, 1),
    }


def refused(error: Exception, sql: str) -> dict[str, Any]:
    """An error as the page shows it; with the SQL, except for those who may not read what it reads."""
    told = fields(error)
    secret = isinstance(error, Error) and error.sqlstate == "42501"
    return {"error": told, **({} if secret else {"sql": sql})}
