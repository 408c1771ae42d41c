"""Three questions to the running example, through real clients; each answer checked against one PostgreSQL."""

from __future__ import annotations

import asyncio
import base64
import json
import textwrap
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import psycopg
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from examples.crm.witness import Seen, Witness

PLAN_LINES = 3  # of the terminal, for each line of a plan: statements are long
JSON_LINE = 100  # characters
TIMEOUT = 120.0  # seconds
Oracle = psycopg.Connection[Any]


class Unanswered(Exception):
    """GraphQL told an error."""


@dataclass(frozen=True, slots=True)
class Server:
    """The served example, as its clients see it, and the witness behind it."""

    postgresql: tuple[str, int]
    http: tuple[str, int]
    user: str
    password: str
    witness: Witness

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
            return _table(("column", "value"), list(zip(names, answer.rows[0], strict=True)))
        return _table(names, answer.rows)

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
        return _coloured(_indented(answer.rows[0][0]), "json")

    def _post(self, server: Server) -> Any:
        body = json.dumps({"query": self.text, "variables": self.variables}).encode()
        credentials = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{server.url}/graphql", body, headers), timeout=TIMEOUT
        ) as response:
            return json.load(response)


Question = Sql | Graphql


async def tour(console: Console, server: Server, oracle: Oracle, questions: Sequence[Question]) -> int:
    """Walk through the questions; how many answers were wrong."""
    wrong = 0
    async with await server.connection() as connection:
        desk = Desk(console, server, connection)
        for number, question in enumerate(questions, 1):
            console.rule(f"[bold]{number}. {question.heading}", align="left")
            console.print(question.said, style="italic")
            _print(console, "", _coloured(question.text, question.language))
            try:
                wrong += not await _stop(desk, question, question.truth(oracle))
            except (psycopg.Error, OSError, Unanswered) as error:
                wrong += 1
                console.print(_verdict([f"there is no answer: {error}"], 0))
    return wrong


async def _stop(desk: Desk, question: Question, truth: Answer) -> bool:
    """One question: asked twice in a row, before anything kept gets too old, and then told."""
    first, taken, seen, sent = await _asked(desk, question)
    again, taken_again, seen_again, sent_again = await _asked(desk, question)
    faults = [fault for fault in (first.differs(truth), again.differs(truth)) if fault]
    _print(desk.console, "Answer", question.shown(first))
    desk.console.print(_verdict(faults, taken))
    _print(desk.console, "Plan", _plan(await question.plan(desk, seen), desk.console.width - 4))
    _print(desk.console, "What each source was asked", _parts(seen))
    desk.console.print(Text(f"  {sum(sent.values())} statements in all, by the count at the sources' gates", "dim"))
    _print(desk.console, "Asked again", _told_again(seen_again, sent_again, taken_again))
    desk.console.print()
    return not faults


async def _asked(desk: Desk, question: Question) -> tuple[Answer, float, Seen, dict[str, int]]:
    """The answer, seconds, what was seen behind it, and how many statements each source was sent."""
    witness = desk.server.witness
    before = witness.statements()
    witness.seen.clear()
    started = time.perf_counter()
    answer = await question.ask(desk)
    taken = time.perf_counter() - started
    sent = {source: count - before.get(source, 0) for source, count in witness.statements().items()}
    return answer, taken, witness.seen[-1], {source: count for source, count in sent.items() if count}


def _print(console: Console, heading: str, what: Text | Table) -> None:
    console.print(Text(f"\n{heading}" if heading else "", "bold"))
    if isinstance(what, Table):
        console.print(Padding.indent(what, 2))
    else:  # indented by hand: rich would pad each line with blanks
        console.print(Text("\n").join(Text("  ") + line for line in what.split("\n")))


def _coloured(text: str, language: str) -> Text:
    made = Syntax("", language, theme="ansi_dark").highlight(text)
    made.rstrip()
    made.no_wrap = False
    return made


def _verdict(faults: list[str], taken: float) -> Text:
    if faults:
        return Text.assemble(("  WRONG: ", "bold red"), "\n  ".join(faults))
    said = f"it is what one PostgreSQL holding all the data answers. {_ms(taken)} with analysis and planning"
    return Text.assemble(("  RIGHT: ", "bold green"), said)


def _told_again(seen: Seen, sent: dict[str, int], taken: float) -> Text:
    if sent:
        listed = ", ".join(f"{source} {count}" for source, count in sorted(sent.items()))
        ttl = seen.prepared.terms.ttl
        return Text(f"Too late for the cache, which keeps this for {ttl:g} s: {listed} statements, {_ms(taken)}")
    states = ", ".join(sorted({f"{part.source} {part.cache}" for part in seen.parts}))
    said = f"the same answer in {_ms(taken)}; no source was asked anything ({states})"
    return Text.assemble(("Cache hit: ", "bold green"), said)


def _parts(seen: Seen) -> Table:
    rows = [
        (f"f{part.fragment}", part.source, part.cache, part.statements, f"{part.rows:,}", f"{part.ms:.1f}")
        for part in sorted(seen.parts, key=lambda part: part.fragment)
    ]
    return _table(("plan", "source", "cache", "statements", "rows", "ms"), rows, right=frozenset((3, 4, 5)))


def _plan(text: str, width: int) -> Text:
    """Long lines folded with their indentation, and cut where they are longer than anybody reads."""
    lines: list[str] = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        lines += textwrap.wrap(line, width, subsequent_indent=indent, max_lines=PLAN_LINES, placeholder=" …")
    return Text("\n".join(lines), style="dim")


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]], right: frozenset[int] = frozenset()) -> Table:
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, name in enumerate(names):
        number = index in right or (bool(rows) and all(isinstance(row[index], Number) for row in rows))
        made.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text("NULL", style="dim") if value is None else Text(str(value)) for value in row))
    return made


def _answer(cursor: Any, rows: list[tuple[Any, ...]]) -> Answer:
    return Answer(tuple((column.name, column.type_code) for column in cursor.description), rows)


def _json(value: Any) -> Answer:
    return Answer((("data", "json"),), [(value,)])


def _indented(value: Any, indent: str = "") -> str:
    """JSON with one line for each object that holds no other and is not too long.

    >>> print(_indented({"a": 1, "b": [{"c": 2}, {"c": 3}]}))
    {
      "a": 1,
      "b": [
        {"c": 2},
        {"c": 3}
      ]
    }
    """
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    line = json.dumps(value, ensure_ascii=False)
    flat = not any(isinstance(item, dict | list) and item for _, item in items)
    if flat and (len(line) < JSON_LINE or not items):
        return line
    left, right = "{}" if isinstance(value, dict) else "[]"
    names = [f"{json.dumps(key)}: " if isinstance(key, str) else "" for key, _ in items]
    inner = [f"{indent}  {name}{_indented(item, indent + '  ')}" for name, (_, item) in zip(names, items, strict=True)]
    return f"{left}\n" + ",\n".join(inner) + f"\n{indent}{right}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
