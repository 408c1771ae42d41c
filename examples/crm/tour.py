"""Questions to the running example, through real clients; each answer checked against one PostgreSQL."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table
from rich.text import Text

from examples.crm.printing import asked, coloured, indented, parts, plan, section, table, told_again, verdict
from examples.crm.receivers import Inbox
from examples.crm.witness import Seen, Witness

TIMEOUT = 120.0  # seconds
Oracle = psycopg.Connection[Any]


class Unanswered(Exception):
    """GraphQL told an error."""


@dataclass(frozen=True, slots=True)
class Server:
    """The served example, as its clients see it, the witness behind it, and where its alerts arrive, if anywhere."""

    postgresql: tuple[str, int]
    http: tuple[str, int]
    user: str
    password: str
    witness: Witness
    inbox: Inbox | None = None

    async def connection(self) -> psycopg.AsyncConnection[Any]:
        """A PostgreSQL client's."""
        host, port = self.postgresql
        return await psycopg.AsyncConnection.connect(
            host=host, port=port, dbname="vdw", user=self.user, password=self.password, autocommit=True
        )

    @property
    def url(self) -> str:
        """Where HTTP is."""
        return f"http://{self.http[0]}:{self.http[1]}"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the tour asks, and where it prints."""

    console: Console
    server: Server
    connection: psycopg.AsyncConnection[Any]
    folder: Path  # the built example
    brief: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows with their columns' names and types, as the client got them."""

    columns: tuple[tuple[str, Any], ...]
    rows: list[tuple[Any, ...]]

    def differs(self, other: Answer) -> str:
        """What is wrong with it, compared to the right one; empty where nothing is."""
        if self.columns != other.columns:
            return f"columns {self.columns}, expected {other.columns}"
        if len(self.rows) != len(other.rows):
            return f"{len(self.rows)} rows, expected {len(other.rows)}"
        pairs = zip(self.rows, other.rows, strict=True)
        return next((f"row {got}, expected {want}" for got, want in pairs if got != want), "")


@dataclass(frozen=True, slots=True)
class Sql:
    """A SELECT with $1, $2 ... through psycopg, bound by the protocol."""

    heading: str
    said: str
    text: str
    params: tuple[Any, ...] = ()
    language: str = "postgresql"

    async def ask(self, desk: Desk) -> Answer:
        """On the tour's connection."""
        return await self._execute(desk, self.text)

    def truth(self, oracle: Oracle) -> Answer:
        """The very same statement."""
        with psycopg.RawCursor(oracle) as cursor:
            return _answer(cursor.execute(self.text.encode(), self.params), cursor.fetchall())

    async def plan(self, desk: Desk, seen: Seen) -> str:  # noqa: ARG002
        """EXPLAIN, through the same client."""
        told = await self._execute(desk, f"EXPLAIN {self.text}")
        return "\n".join(line for (line,) in told.rows)

    def shown(self, answer: Answer) -> Table:
        """A table; a single wide row is turned."""
        names = [name for name, _ in answer.columns]
        if len(answer.rows) == 1:
            return table(("column", "value"), list(zip(names, answer.rows[0], strict=True)))
        return table(names, answer.rows)

    async def _execute(self, desk: Desk, text: str) -> Answer:
        async with psycopg.AsyncRawCursor(desk.connection) as cursor:
            await cursor.execute(text.encode(), self.params)
            return _answer(cursor, await cursor.fetchall())


@dataclass(frozen=True, slots=True)
class Graphql:
    """A GraphQL query over HTTP; `sql` makes the same JSON in PostgreSQL."""

    heading: str
    said: str
    text: str
    variables: dict[str, Any]
    sql: str
    language: str = "graphql"

    async def ask(self, desk: Desk) -> Answer:
        """POST with Basic authentication."""
        told = await asyncio.to_thread(self._post, desk.server)
        if "errors" in told:
            raise Unanswered(", ".join(error["message"] for error in told["errors"]))
        return _json(told["data"])

    def truth(self, oracle: Oracle) -> Answer:
        """The same JSON, made by hand-written SQL."""
        with psycopg.RawCursor(oracle) as cursor:
            (row,) = cursor.execute(self.sql.encode(), list(self.variables.values())).fetchall()
        return _json(row[0])

    async def plan(self, desk: Desk, seen: Seen) -> str:  # noqa: ARG002
        """Of the one statement that it became."""
        return seen.plan()

    def shown(self, answer: Answer) -> Text:
        """Indented JSON."""
        return coloured(indented(answer.rows[0][0]), "json")

    def _post(self, server: Server) -> Any:
        body = json.dumps({"query": self.text, "variables": self.variables}).encode()
        credentials = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{server.url}/graphql", body, headers), timeout=TIMEOUT
        ) as response:
            return json.load(response)


@dataclass(frozen=True, slots=True)
class Live:
    """Something that happens: `run` does it, prints what it likes, and gives what is wrong ('' where nothing is)."""

    heading: str
    said: str
    run: Callable[[Desk, Oracle], Awaitable[str]]


Question = Sql | Graphql | Live


async def tour(
    console: Console, server: Server, oracle: Oracle, folder: Path, questions: Sequence[Question], brief: bool = False
) -> int:
    """Walk through the questions, without their plans where `brief`; how many answers were wrong."""
    wrong = 0
    async with await server.connection() as connection:
        desk = Desk(console, server, connection, folder, brief)
        for number, question in enumerate(questions, 1):
            console.rule(f"[bold]{number}. {question.heading}", align="left")
            console.print(question.said, style="italic")
            try:
                wrong += not await _stop(desk, question, oracle)
            except (psycopg.Error, OSError, Unanswered) as error:
                wrong += 1
                console.print(verdict([f"there is no answer: {error}"], 0))
    return wrong


async def _stop(desk: Desk, question: Question, oracle: Oracle) -> bool:
    if not isinstance(question, Live):
        section(desk.console, "", coloured(question.text, question.language))
        return await (_briefly if desk.brief else _whole)(desk, question, question.truth(oracle))
    started = time.perf_counter()
    fault = await question.run(desk, oracle)
    desk.console.print(verdict([fault] if fault else [], time.perf_counter() - started, "it came as it should"))
    desk.console.print()
    return not fault


async def _briefly(desk: Desk, question: Sql | Graphql, truth: Answer) -> bool:
    """One question: asked once, and told in a few lines."""
    answer, taken, seen, sent = await _asked(desk, question)
    fault = answer.differs(truth)
    section(desk.console, "Answer", question.shown(answer))
    desk.console.print(verdict([fault] if fault else [], taken))
    desk.console.print(asked(seen, sent))
    desk.console.print()
    return not fault


async def _whole(desk: Desk, question: Sql | Graphql, truth: Answer) -> bool:
    """One question: asked twice in a row, before anything kept gets too old, and then told."""
    first, taken, seen, sent = await _asked(desk, question)
    again, taken_again, seen_again, sent_again = await _asked(desk, question)
    faults = [fault for fault in (first.differs(truth), again.differs(truth)) if fault]
    section(desk.console, "Answer", question.shown(first))
    desk.console.print(verdict(faults, taken))
    section(desk.console, "Plan", plan(await question.plan(desk, seen), desk.console.width - 4))
    section(desk.console, "What each source was asked", parts(seen))
    desk.console.print(Text(f"  {sum(sent.values())} statements in all, by the count at the sources' gates", "dim"))
    section(desk.console, "Asked again", told_again(seen_again, sent_again, taken_again))
    desk.console.print()
    return not faults


async def _asked(desk: Desk, question: Sql | Graphql) -> tuple[Answer, float, Seen, dict[str, int]]:
    """The answer, seconds, what was seen behind it, and how many statements each source was sent."""
    witness = desk.server.witness
    before = witness.statements()
    witness.seen.clear()
    started = time.perf_counter()
    answer = await question.ask(desk)
    taken = time.perf_counter() - started
    sent = {source: count - before.get(source, 0) for source, count in witness.statements().items()}
    return answer, taken, witness.seen[-1], {source: count for source, count in sent.items() if count}


def _answer(cursor: Any, rows: list[tuple[Any, ...]]) -> Answer:
    return Answer(tuple((column.name, column.type_code) for column in cursor.description), rows)


def _json(value: Any) -> Answer:
    return Answer((("data", "json"),), [(value,)])
