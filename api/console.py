"""What people see in a terminal: tables that fit, errors with their place and remedy, progress of long work."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectors.errors import ConfigError, Error
from views.project import Diagnostic

if TYPE_CHECKING:
    from federation.freshness.provenance import Fact

Row = Sequence[str | None]
LEAST_WIDTH = 6  # below that many characters a column says nothing: then one line a value
DELAY = 1.0  # seconds before work counts as long
_NUMBERS = frozenset({"int2", "int4", "int8", "float4", "float8", "numeric", "oid", "money"})
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {9: "\\t", 10: "\\n", 13: "\\r"}
_ERROR = ("error: ", "bold red")
_COLOURS = {"error": "bold red", "warning": "yellow"}


def printable(text: str) -> str:
    """The text without anything that could steer a terminal.

    >>> printable("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return text.translate(_CONTROLS)


def is_number(type_name: str) -> bool:
    """Whether values of that type are set flush right."""
    return type_name in _NUMBERS


def table(
    headers: Sequence[str], rows: Sequence[Row], right: Sequence[bool] = (), stream: IO[str] | None = None
) -> None:
    """Print rows: as a table where it fits into the terminal (cells may be cut), else one line a value."""
    stream = stream or sys.stdout
    widths = _widths(headers, rows)
    if not stream.isatty():
        with (
            console := Console(file=stream, highlight=False, width=sum(widths) + 3 * len(widths) + 1)
        ).capture() as text:
            console.print(_table(headers, rows, right))
        stream.writelines(f"{line.rstrip()}\n" for line in text.get().splitlines())
        return
    console = Console(file=stream, highlight=False)
    if sum(min(width, LEAST_WIDTH) for width in widths) + 3 * len(widths) > console.width:
        _records(console, headers, rows)
    else:
        console.print(_table(headers, rows, right))


def _table(headers: Sequence[str], rows: Sequence[Row], right: Sequence[bool]) -> Table:
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, header in enumerate(headers):
        justify: Literal["left", "right"] = "right" if index < len(right) and right[index] else "left"
        made.add_column(Text(printable(header)), justify=justify, no_wrap=True, overflow="ellipsis")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def _widths(headers: Sequence[str], rows: Sequence[Row]) -> list[int]:
    columns = zip(headers, *rows, strict=True)
    return [max(cell_len(printable(value if value is not None else "NULL")) for value in column) for column in columns]


def _cell(value: str | None) -> Text:
    return Text("NULL", style="dim") if value is None else Text(printable(value))


def _records(console: Console, headers: Sequence[str], rows: Sequence[Row]) -> None:
    wide = max((cell_len(printable(header)) for header in headers), default=0)
    for number, row in enumerate(rows, 1):
        console.rule(f"row {number}", align="left", characters="-", style="dim")
        for header, value in zip(headers, row, strict=True):
            console.print(Text.assemble((printable(header).ljust(wide + 2), "bold"), _cell(value)), soft_wrap=True)


def diagnostics(found: Iterable[Diagnostic]) -> None:
    """Print diagnostics, `file:line:column: severity: message` and the remedy below, to stdout."""
    console = Console(highlight=False, soft_wrap=True)
    for one in found:
        place = f"{one.file}:{one.line}:{one.column}" if one.column else f"{one.file}:{one.line}"
        severity = (one.severity, _COLOURS[one.severity])
        console.print(Text.assemble(f"{printable(place)}: ", severity, f": {printable(one.message)}"))
        if one.remedy:
            console.print(Text(f"    {printable(one.remedy)}", style="dim"))


def count(number: int, thing: str) -> str:
    """A number of things.

    >>> count(1, "row"), count(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def unserved(errors: int) -> None:
    """Say that a project has errors, where something else is asked of it than to be checked."""
    if errors:
        note(f"{count(errors, 'error')} in the project's files: what they concern is not served (vdw check tells)")


def note(message: str) -> None:
    """A line for people, beside the answer: to stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(message, style="dim"))


def provenance(facts: Sequence[Fact], form: str = "") -> None:
    """Say on stderr what an answer lacks; as `form` (text | json) also where it came from, by source."""
    for fact in facts:
        if fact.warning:
            why = f" ({fact.why})" if fact.why else ""
            Console(stderr=True, highlight=False, soft_wrap=True).print(
                Text.assemble(("warning: ", "bold yellow"), printable(f"{fact.warning}{why}"))
            )
    if form == "json":
        sys.stderr.write(json.dumps([fact.json() for fact in facts], ensure_ascii=False) + "\n")
    elif form:
        for fact in facts:
            note(_account(fact))


def _account(fact: Fact) -> str:
    from federation.freshness.provenance import duration

    if fact.missing:
        return f"{fact.source}: missing, {fact.policy}"
    age = "of unknown age" if fact.age is None else f"{duration(fact.age)} old ({fact.freshness})"
    return f"{fact.source}: {fact.origin}, {age}, {count(fact.rows, 'row')}, {count(fact.statements, 'statement')}"


def error(problem: BaseException, sql: str = "") -> None:
    """Print an error to stderr: what, where (file and line, or the place in the SQL), and the remedy."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not isinstance(problem, Error):
        message = f"internal error: {type(problem).__name__}; this is a bug of vdw (VDW_DEBUG=1 shows where)"
        console.print(Text.assemble(_ERROR, message))
        return
    place = f"{problem.place}: " if problem.place and isinstance(problem, ConfigError) else ""
    named = (problem.place or "").startswith("source ")
    source = f" ({'' if named else 'source '}{problem.place})" if problem.place and not place else ""
    console.print(Text.assemble(_ERROR, f"{place}{problem.message}{source}"))
    for line in _pointer(sql, problem.position):
        console.print(Text(line))
    for label, value in (("detail", problem.detail), ("hint", problem.hint)):
        if value:
            console.print(Text.assemble((f"{label}: ", "bold"), value))


def _pointer(sql: str, position: int | None) -> list[str]:
    """The line of the SQL at a 1-based position and a caret below, as psql shows it."""
    if not sql or position is None or not 1 <= position <= len(sql) + 1:
        return []
    start = sql.rfind("\n", 0, position - 1) + 1
    line = sql[start:].partition("\n")[0]
    label = f"line {sql.count(chr(10), 0, start) + 1}: "
    shift = max(0, position - 1 - start - 50)
    shown = printable(line[shift : shift + 70].replace("\t", " "))
    return [label + shown, " " * (len(label) + position - 1 - start - shift) + "^"]


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return os.environ.get("VDW_DEBUG", "") not in ("", "0")


@dataclass(slots=True)
class Progress:
    """What long work is doing now; shown on stderr from the second second on, until `end`."""

    doing: str = "starting"
    rows: int = 0
    started: float = field(default_factory=time.monotonic)
    _task: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        rows = f", {count(self.rows, 'row')}" if self.rows else ""
        return f"{self.doing}, {time.monotonic() - self.started:.0f} s{rows}"

    def begin(self) -> None:
        """Show it, once the work has turned out to be long."""
        self._task = asyncio.create_task(self._show())

    async def end(self) -> None:
        """Take the line away: something else is to be printed."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _show(self) -> None:
        await asyncio.sleep(DELAY)
        with Console(stderr=True).status(str(self)) as status:
            while True:
                status.update(str(self))
                await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def progress(shown: bool) -> AsyncIterator[Progress]:
    """A Progress that is shown while inside, if `shown` and stderr is a terminal."""
    state = Progress()
    if shown and sys.stderr.isatty():
        state.begin()
    try:
        yield state
    finally:
        await state.end()
