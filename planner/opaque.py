"""The last resort: a query that the algebra does not model runs as it stands, over relations fetched for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from connectors.types import PgType
from planner import ir
from planner.canonical import tokens
from planner.ir import Rel
from planner.scope import Columns, Counter

_PARAM = re.compile(r"vdw\.param\((\d+), NULL::[^()]*(?:\([^()]*\))?[^()]*\)")
_NO_ALIAS = frozenset(
    "on join left right full inner cross where group order having limit offset union intersect except window fetch "
    "for using natural tablesample as".split()
)

Named = tuple[str, str]


def opaque(
    text: str,
    columns: tuple[tuple[str, PgType], ...],
    relations: tuple[Named, ...],
    splice: Callable[[str, str], tuple[Rel, Columns] | None],
    next_id: Counter,
) -> tuple[Rel, Columns]:
    """Canonical text as one node over the virtual relations that it names, with those of their columns whose names
    occur in it; `columns` are the names and types that the canon gave it."""
    cut = tokens(text)
    words = frozenset(map(_unquoted, cut))
    whole = any(pair == (".", "*") for pair in pairwise(cut))  # a row as one value has all of its columns
    inputs = []
    for schema, name in relations:
        found = splice(schema, name)
        if found is None:
            continue
        rel, offered = found
        kept = tuple(c for c in offered if whole or c[0] in words) or offered[:1]
        picked = ir.Project(rel, tuple((next_id(), ir.col((i, kind))) for _, i, kind in kept))
        at = tuple((i, n) for (i, _), (n, _, _) in zip(picked.items, kept, strict=True))
        inputs.append((_label(schema, name), picked, at))
    named = frozenset(relations)
    body = "".join(_renamed(_PARAM.sub(r"$\1", text.rstrip().rstrip(";")), named))
    output = tuple((name, next_id(), kind) for name, kind in columns)
    return ir.Opaque(body, tuple(inputs), tuple((i, kind) for _, i, kind in output)), output


def _label(schema: str, name: str) -> str:
    return f"vdw {schema}.{name}"


def _unquoted(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') else token


def _renamed(text: str, relations: frozenset[Named]) -> Iterator[str]:
    """The text with each `schema.name` replaced by its label, under the alias that it had."""
    cut = tokens(text)
    at = 0
    while at < len(cut):
        if cut[at] == "*" and cut[at - 1] == "." and _own_type(cut, at + 1, relations):
            # the type has no name outside the shells, and a row made of its columns would not be NULL where it is
            yield "*::record"
            at += 6
            continue
        named = (_unquoted(cut[at]), _unquoted(cut[at + 2]) if at + 2 < len(cut) else "")
        if named in relations and cut[at + 1] == "." and _is_from(cut, at):
            label = _label(*named).replace('"', '""')
            yield f'"{label}"'
            at += 3
            following = next((t for t in cut[at:] if not t.isspace()), ")")
            if not (following[0].isalpha() or following[0] in '"_') or following.lower() in _NO_ALIAS:
                yield f" AS {cut[at - 1]}"
        else:
            yield cut[at]
            at += 1


def _own_type(cut: list[str], at: int, relations: frozenset[Named]) -> bool:
    """Whether a cast to the type of a relation's rows stands there, which PostgreSQL prints after each whole row."""
    if len(cut) < at + 5 or cut[at : at + 2] != [":", ":"] or cut[at + 3] != ".":
        return False
    return (_unquoted(cut[at + 2]), _unquoted(cut[at + 4])) in relations


def _is_from(cut: list[str], at: int) -> bool:
    before = next((t for t in reversed(cut[:at]) if not t.isspace()), "")
    return before.lower() in ("from", "join", ",", "(", "only")
