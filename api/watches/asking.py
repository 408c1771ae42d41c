"""Asks a watch's query through the engine, as everybody asks, and says whether its answer can be relied upon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa

from api.formats import SETTINGS
from api.graphql import encode
from api.graphql.compile import Output
from api.pgwire.rows import text_columns
from api.watches.machine import Row
from connectors.base import Cancel
from connectors.errors import LimitExceeded, QueryError
from federation.canon.roles import ANONYMOUS
from federation.freshness import provenance
from federation.prepare import Prepared
from federation.result import Result
from federation.session import Session
from views.max_age import MaxAge
from views.watch_file import WatchFile
from views.watches import CONDITION, statement


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer: its rows; `lacks` says why it cannot be relied upon, '' where it can; `twice` how many rows had the
    key of another."""

    rows: Sequence[Row] = ()
    lacks: str = ""
    twice: int = 0
    columns: tuple[str, ...] = field(default=())


async def prepared(engine: Any, watch: WatchFile, session: Session, visitor: Any) -> Prepared:
    """The statement, ready to run; QueryError 42501 where its user may not read what it reads."""
    found: Prepared = await engine.prepare(statement(watch), session)
    for schema, name in found.statement.relations:
        if not visitor.may_read(f"{schema}.{name}"):
            raise QueryError(f"permission denied for view {schema}.{name}", sqlstate="42501")
    return found


def session(watch: WatchFile, max_age: MaxAge | None = None) -> Session:
    """Who asks."""
    user = watch.user or ANONYMOUS
    return Session(user, SETTINGS, timeout=watch.timeout, protocol="watch", max_age=max_age)


async def ask(runtime: Any, watch: WatchFile) -> Seen:
    """One question. Error as of any query; LimitExceeded 53400 for more rows than `max_rows`."""
    engine = runtime.engine
    visitor = runtime.control.visitor(watch.user or ANONYMOUS)
    found = await prepared(engine, watch, session(watch), visitor)
    asker = session(watch, contract(watch, found))
    cancel = Cancel()
    result: Result = await engine.run(found, (), asker, cancel)
    try:
        batches, count = [], 0
        async for batch in result.batches:
            batches.append(batch)
            count += batch.num_rows
            if count > watch.max_rows:
                raise LimitExceeded(
                    f"more than {watch.max_rows:,} rows are in breach", hint="Narrow the query, or raise max_rows."
                )
        facts = provenance.facts(result.parts)
        lacks = "; ".join(fact.warning for fact in facts if fact.missing)
        return _seen(watch, result, batches, lacks)
    finally:
        await result.aclose()


def contract(watch: WatchFile, found: Prepared) -> MaxAge:
    """How old the data may be: as written, else nothing that was kept for longer than its owner allows and the watch
    asks: an older answer, served while a source is renewed or down, would raise and clear what is past."""
    written = MaxAge.parse(watch.max_age)
    if written is not None:
        return written
    return MaxAge(max([watch.every, *(step.ttl for step in found.terms.steps)]), kept=True)


def _seen(watch: WatchFile, result: Result, batches: Sequence[pa.RecordBatch], lacks: str) -> Seen:
    names = [name for name, _ in result.columns]
    rows: dict[str, Row] = {}
    twice = 0
    for batch in batches:
        texts = text_columns(batch, result.columns, SETTINGS) if batch.num_rows else ()
        documents = _documents(batch, result)
        for cells, document in zip(zip(*texts, strict=True), documents, strict=True):
            row = _row(watch, dict(zip(names, cells, strict=True)), document)
            twice += row.key in rows
            rows.setdefault(row.key, row)
    return Seen(tuple(rows.values()), lacks, twice, tuple(n for n in names if not n.startswith(CONDITION)))


def _documents(batch: pa.RecordBatch, result: Result) -> list[dict[str, Any]]:
    """The rows as JSON has them."""
    outputs = [Output(name, i, kind) for i, (name, kind) in enumerate(result.columns)]
    found: list[dict[str, Any]] = []
    for start in range(0, batch.num_rows, encode.ROWS):
        found += map(orjson.loads, encode.lines(batch.slice(start, encode.ROWS), outputs).splitlines())
    return found


def _row(watch: WatchFile, values: dict[str, str | None], document: dict[str, Any]) -> Row:
    chosen = tuple(to.when is None or values[f"{CONDITION}{i}"] == "t" for i, to in enumerate(watch.to))
    key = orjson.dumps({name: document[name] for name in watch.key}).decode()
    own = {name: value for name, value in document.items() if not name.startswith(CONDITION)}
    texts = {name: value for name, value in values.items() if not name.startswith(CONDITION)}
    return Row(key, texts, orjson.dumps(own).decode(), chosen)
