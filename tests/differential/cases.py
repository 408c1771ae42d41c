"""The queries of the suite, read from `queries/*.sql`: one block per query, directives in its leading comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "queries"
_DIRECTIVE = re.compile(r"--\s*(name|ordered|approx|params|error|empty)\b:?\s*(.*)")


@dataclass(frozen=True, slots=True)
class Case:
    """One query. `params` are (type name, JSON value); `error` the SQLSTATE that it must raise; `empty` says that
    having no rows is its point; `approx` that float aggregates may differ in their last bits."""

    name: str
    sql: str
    group: str
    ordered: bool = False
    approx: bool = False
    empty: bool = False
    error: str = ""
    params: tuple[tuple[str, Any], ...] = ()


def _blocks(text: str) -> Iterator[list[str]]:
    block: list[str] = []
    for line in text.splitlines():
        if line.startswith("-- name") and block:
            yield block
            block = []
        if block or line.startswith("-- name"):
            block.append(line)
    if block:
        yield block


def _case(block: list[str], group: str) -> Case:
    found: dict[str, str] = {}
    body = 0
    for body, line in enumerate(block):  # noqa: B007 - where the directives end is needed after the loop
        match = _DIRECTIVE.match(line)
        if not match:
            break
        found[match[1]] = match[2].strip()
    sql = "\n".join(block[body:]).strip().rstrip(";").rstrip()
    params = tuple((kind, value) for kind, value in json.loads(found.get("params", "[]")))
    flags = {flag: flag in found for flag in ("ordered", "approx", "empty")}
    return Case(found["name"], sql, group, error=found.get("error", ""), params=params, **flags)


def load(folder: Path = FOLDER) -> tuple[Case, ...]:
    """Every case, in the order of files and blocks; ValueError where two share a name."""
    cases = [_case(block, file.stem) for file in sorted(folder.glob("*.sql")) for block in _blocks(file.read_text())]
    names = [case.name for case in cases]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise ValueError(f"two queries of one name: {', '.join(double)}")
    return tuple(cases)
