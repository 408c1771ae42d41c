"""The sides of a comparison over one and the same data: vdw in process, and one PostgreSQL that holds everything."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq

from benchmarks.figures import MS
from benchmarks.stage import write
from connectors.base import Cancel
from connectors.conformance.texts import column_texts
from connectors.errors import Error
from federation.result import Result
from federation.session import Session
from tests.differential.cases import Case
from tests.differential.oracle import Answer
from tests.differential.suite import compare
from tests.servers import Server
from tests.serving import Serving

LIMITS = {"rows": 1_000_000_000, "timeout": "600s", "concurrency": 8}


@dataclass(slots=True)
class Told:
    """One side's answer: ms from the text to the last row, and where the rows came from (by source)."""

    ms: float
    answer: Answer
    fetched: Counter[str] = field(default_factory=Counter)
    statements: Counter[str] = field(default_factory=Counter)
    engine: str = ""
    why: str = ""
    spent: dict[str, float] = field(default_factory=dict)  # ms: plan, each source's slowest fragment, merge


class Ours(Serving):
    """A project over `sources` (as their files say), served in process; RuntimeError where it has errors."""

    def __init__(self, folder: Path, sources: Mapping[str, Mapping[str, Any]], views: Mapping[str, str]) -> None:
        write(folder, {name: {"limits": LIMITS, **source} for name, source in sources.items()}, views)
        settings = "\nmerge: {memory: 4GB, threads: 2}\n"
        (folder / "vdw.yml").write_text((folder / "vdw.yml").read_text() + settings)
        self.session = Session("benchmark", {"TimeZone": "UTC"}, search_path=tuple(sources))
        super().__init__(folder)
        if wrong := [str(one) for one in self.runtime.diagnostics if one.severity == "error"]:
            self.close()
            raise RuntimeError("the benchmark's project has errors:\n" + "\n".join(wrong))

    def ask(self, sql: str, seconds: float = 600.0) -> Told:
        """The answer; an error of it stands in its `answer`."""
        began = time.perf_counter()
        try:
            result, table, planned, ms = self.wait(self._ask(sql, seconds))
        except Error as error:
            told = f"{type(error).__name__}: {error} {error.detail or ''}"
            return Told((time.perf_counter() - began) * MS, Answer(error=error.sqlstate, message=told))
        except Exception as error:  # a bug of ours is a refusal like any other
            told = f"{type(error).__name__}: {error}"
            return Told((time.perf_counter() - began) * MS, Answer(error="XX000", message=told))
        columns = tuple((name, kind.type_oid, kind.mod) for name, kind in result.columns)
        texts = [column_texts(table.column(i), kind) for i, (_, kind) in enumerate(result.columns)]
        told_by = Told(ms, Answer(columns, tuple(zip(*texts, strict=True))), engine=result.engine, why=result.why)
        told_by.spent = {"plan": planned, "merge": result.merge_ms}
        for part in result.parts:
            told_by.spent[part.source] = max(part.ms, told_by.spent.get(part.source, 0.0))
            told_by.fetched[part.source] += part.rows
            told_by.statements[part.source] += part.statements
        return told_by

    def explain(self, sql: str) -> str:
        """The plan for people; or why there is none."""

        async def text() -> str:
            return (await self.runtime.engine.explain(sql, self.session)).text()

        try:
            return self.wait(text())
        except Exception as error:
            return f"no plan: {type(error).__name__}: {error}"

    async def _ask(self, sql: str, seconds: float) -> tuple[Result, Any, float, float]:
        session = Session(self.session.user, self.session.settings, self.session.search_path, seconds)
        began = time.perf_counter()
        prepared = await self.runtime.engine.prepare(sql, session)
        planned = time.perf_counter() - began
        result = await self.runtime.engine.run(prepared, (), session, Cancel())
        table = await result.table()
        return result, table, planned * MS, (time.perf_counter() - began) * MS


class One:
    """One PostgreSQL: the database `name` of `server`, whose rows come in PostgreSQL's texts."""

    def __init__(self, server: Server, name: str) -> None:
        options = {key: value for key, value in server.options.items() if key != "database"}
        self._options = {**options, "dbname": name}
        self._connection = self._connect()

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(**self._options, autocommit=True)
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    def ask(self, sql: str, seconds: float = 600.0) -> Told:
        """The answer; an error of it stands in its `answer`."""
        self._connection.execute(f"SET statement_timeout = {int(seconds * 1000)}".encode())
        began = time.perf_counter()
        result = self._connection.pgconn.exec_(sql.encode())
        ms = (time.perf_counter() - began) * MS
        if result.status != pq.ExecStatus.TUPLES_OK:
            state = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
            return Told(ms, Answer(error=state.decode(), message=result.error_message.decode()))
        width = range(result.nfields)
        columns = tuple(((result.fname(i) or b"").decode(), result.ftype(i), result.fmod(i)) for i in width)
        rows = ([result.get_value(row, i) for i in width] for row in range(result.ntuples))
        texts = (tuple(None if value is None else value.decode() for value in row) for row in rows)
        return Told(ms, Answer(columns, tuple(texts)))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def differs(name: str, sql: str, wanted: Told, got: Told) -> str:
    """How the second answer differs from the first: names, exact types and rows as a multiset; '' where equal."""
    found = compare(Case(name, sql, "benchmark"), wanted.answer, got.answer)
    return "" if found is None else f"{found.kind}: {found.text}"
