"""Reads test scripts of sqllogictest: statements, and queries with the results that other engines gave."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CONDITION = re.compile(r"(onlyif|skipif)\s+(\S+)")
_HASHED = re.compile(r"(\d+) values hashing to ([0-9a-f]{32})")
US = "postgresql"


@dataclass(frozen=True, slots=True)
class Record:
    """One statement or query. `kinds` has a letter for each column (I, R, T), '' for a statement; `sort` is nosort,
    rowsort or valuesort; `expected` the lines of the result; `ours` says whether the script wants it of PostgreSQL."""

    sql: str
    kinds: str = ""
    sort: str = "nosort"
    expected: tuple[str, ...] = ()
    ours: bool = True
    fails: bool = False

    @property
    def is_query(self) -> bool:
        """Whether it is a query."""
        return bool(self.kinds)


def records(text: str) -> Iterator[Record]:
    """The records of a script, in order."""
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        lines = [line for line in block.split("\n") if line.strip() and not line.startswith("#")]
        ours = True
        while lines and (found := _CONDITION.match(lines[0])):
            ours = ours and (found[1] == "onlyif") == (found[2] == US)
            lines.pop(0)
        if not lines:
            continue
        head = lines[0].split()
        if head[0] == "halt" and ours:
            return
        if head[0] == "statement":
            yield Record("\n".join(lines[1:]), ours=ours, fails=head[1] == "error")
        elif head[0] == "query":
            at = lines.index("----") if "----" in lines else len(lines)
            sort = head[2] if len(head) > 2 and head[2] in ("rowsort", "valuesort") else "nosort"
            yield Record("\n".join(lines[1:at]), head[1], sort, tuple(lines[at + 1 :]), ours)


def agrees(record: Record, rows: Sequence[Sequence[str | None]]) -> bool:
    """Whether rows (PostgreSQL's texts) are what the script expects."""
    width = len(record.kinds)
    if any(len(row) != width for row in rows):
        return False
    try:
        told = [tuple(_told(kind, value) for kind, value in zip(record.kinds, row, strict=True)) for row in rows]
    except ValueError:
        return False
    if record.sort == "rowsort":
        told.sort()
    values = [value for row in told for value in row]
    if record.sort == "valuesort":
        values.sort()
    hashed = _HASHED.fullmatch(record.expected[0]) if len(record.expected) == 1 else None
    if hashed is None:
        return values == list(record.expected)
    digest = hashlib.md5("".join(f"{value}\n" for value in values).encode(), usedforsecurity=False)
    return len(values) == int(hashed[1]) and digest.hexdigest() == hashed[2]


def _told(kind: str, value: str | None) -> str:
    """A value as sqllogictest prints it; ValueError where it is not of the kind."""
    if value is None:
        return "NULL"
    if kind == "I":
        return str(int(float(value))) if value not in ("t", "f") else str(int(value == "t"))
    if kind == "R":
        return f"{float(value):.3f}"
    return "".join(c if " " <= c <= "~" else "@" for c in value) or "(empty)"
