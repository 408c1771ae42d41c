"""How the tour looks on a terminal."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from numbers import Number
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from examples.crm.witness import Seen

PLAN_LINES = 3  # of the terminal, for each line of a plan: statements are long
JSON_LINE = 100  # characters
ROWS = 12  # of an answer, where it is told in brief


def section(console: Console, heading: str, what: Text | Table) -> None:
    console.print(Text(f"\n{heading}" if heading else "", "bold"))
    if isinstance(what, Table):
        console.print(Padding.indent(what, 2))
    else:  # indented by hand: rich would pad each line with blanks
        console.print(Text("\n").join(Text("  ") + line for line in what.split("\n")))


def coloured(text: str, language: str) -> Text:
    made = Syntax("", language, theme="ansi_dark").highlight(text)
    made.rstrip()
    made.no_wrap = False
    return made


def verdict(
    faults: list[str], taken: float, right: str = "it is what one PostgreSQL holding all the data answers"
) -> Text:
    """Right or wrong."""
    if faults:
        return Text.assemble(("  WRONG: ", "bold red"), "\n  ".join(faults))
    said = f"{right}. {ms(taken)} with analysis and planning"
    return Text.assemble(("  RIGHT: ", "bold green"), said)


def told_again(seen: Seen, sent: dict[str, int], taken: float) -> Text:
    if sent:
        listed = ", ".join(f"{source} {count}" for source, count in sorted(sent.items()))
        ttl = seen.prepared.terms.ttl
        return Text(f"Too late for the cache, which keeps this for {ttl:g} s: {listed} statements, {ms(taken)}")
    states = ", ".join(sorted({f"{part.source} {part.cache}" for part in seen.parts}))
    said = f"the same answer in {ms(taken)}; no source was asked anything ({states})"
    return Text.assemble(("Cache hit: ", "bold green"), said)


def asked(seen: Seen, sent: dict[str, int]) -> Text:
    """In a line: what each source was sent, and how old its part is."""
    told = []
    for source in sorted({part.source for part in seen.parts}):
        here = [part for part in seen.parts if part.source == source]
        states = "/".join(sorted({part.cache for part in here}))
        rows = sum(part.rows for part in here)
        told.append(f"{source} {sent.get(source, 0)} statements, {rows:,} rows, {states}")
    return Text(f"  Asked: {'; '.join(told) or 'nobody'}", "dim")


def parts(seen: Seen) -> Table:
    rows = [
        (f"f{part.fragment}", part.source, part.cache, part.statements, f"{part.rows:,}", f"{part.ms:.1f}")
        for part in sorted(seen.parts, key=lambda part: part.fragment)
    ]
    return table(("plan", "source", "cache", "statements", "rows", "ms"), rows, right=frozenset((3, 4, 5)))


def plan(text: str, width: int) -> Text:
    """Long lines folded with their indentation, and cut where they are longer than anybody reads."""
    lines: list[str] = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        lines += textwrap.wrap(line, width, subsequent_indent=indent, max_lines=PLAN_LINES, placeholder=" …")
    return Text("\n".join(lines), style="dim")


def table(names: Sequence[str], rows: Sequence[Sequence[Any]], right: frozenset[int] = frozenset()) -> Table:
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, name in enumerate(names):
        number = index in right or (bool(rows) and all(isinstance(row[index], Number) for row in rows))
        made.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text("NULL", style="dim") if value is None else Text(str(value)) for value in row))
    return made


def indented(value: Any, indent: str = "") -> str:
    """JSON with one line for each object that holds no other and is not too long.

    >>> print(indented({"a": 1, "b": [{"c": 2}, {"c": 3}]}))
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
    inner = [f"{indent}  {name}{indented(item, indent + '  ')}" for name, (_, item) in zip(names, items, strict=True)]
    return f"{left}\n" + ",\n".join(inner) + f"\n{indent}{right}"


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
