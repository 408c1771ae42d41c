"""The last resort: a statement that the algebra does not model runs as it stands, over relations fetched for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sqlglot import exp

from planner import ir
from planner.assemble import Book
from planner.emit import Emitter
from planner.ir import Rel
from planner.plan import Plan
from planner.scope import Columns
from planner.statement import Statement
from planner.targets import CanonTarget
from views.catalog import Catalog

# Canonical text is regular: strings, quoted names, words and signs, one blank between them at the most.
_TOKEN = re.compile(
    r"""E?'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*"|[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*|\s+|.""", re.S
)
_PARAM = re.compile(r"vdw\.param\((\d+), NULL::[^()]*(?:\([^()]*\))?[^()]*\)")
_AFTER = frozenset(
    "on join left right full inner cross where group order having limit offset union intersect except window fetch "
    "for using natural tablesample as".split()
)

Named = tuple[str, str]
Place = Callable[[Named, frozenset[str]], tuple[Rel, Columns]]


def opaque(statement: Statement, catalog: Catalog, place: Place, reason: str) -> Plan:
    """The plan that fetches every relation the statement names, only the columns whose names occur in it.

    `place` gives the placed relation with at least those of its columns that the text may name.
    """
    words = frozenset(_unquoted(t) for t in _TOKEN.findall(statement.text))
    parts = {named: place(named, words) for named in statement.relations}
    whole = ir.SetOp("union", True, tuple((rel, ()) for rel, _ in parts.values()), ())
    book = Book(catalog, whole)
    ctes = [_cte(named, *parts[named], book) for named in parts]
    body = "".join(_renamed(_PARAM.sub(r"$\1", statement.text), frozenset(parts)))
    prefix = f"WITH {', '.join(ctes)} " if ctes else ""
    return Plan(
        fragments=book.fragments,
        columns=statement.columns,
        params=statement.params,
        residual=f"{prefix}SELECT * FROM ({body.rstrip().rstrip(';')}) AS q",
        why_canon=f"not modelled: {reason}",
        session=statement.session,
        catalog_version=catalog.version,
        volatile=True,
    )


def _cte(named: Named, rel: Rel, columns: Columns, book: Book) -> str:
    names = [(i, name) for name, i, _ in columns]
    query = Emitter(CanonTarget(book.numbers)).query(rel, names)
    return f"{_label(named)} AS ({query.sql('postgres', comments=False)})"


def _label(named: Named) -> str:
    return exp.to_identifier(f"vdw {named[0]}.{named[1]}", quoted=True).sql("postgres")


def _unquoted(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') else token


def _renamed(text: str, relations: frozenset[Named]) -> Iterator[str]:
    """The text with each `schema.name` replaced by its label, under the alias that it had."""
    tokens = _TOKEN.findall(text)
    at = 0
    while at < len(tokens):
        named = tuple(_unquoted(t) for t in (tokens[at], *tokens[at + 2 : at + 3]))
        if len(named) == 2 and tokens[at + 1] == "." and named in relations and _is_from(tokens, at):
            yield _label((named[0], named[1]))
            at += 3
            following = next((t for t in tokens[at:] if not t.isspace()), ")")
            if (
                not (following[0] == '"' or following[0].isalpha() or following[0] == "_")
                or following.lower() in _AFTER
            ):
                yield f" AS {tokens[at - 1]}"
        else:
            yield tokens[at]
            at += 1


def _is_from(tokens: list[str], at: int) -> bool:
    before = next((t for t in reversed(tokens[:at]) if not t.isspace()), "")
    return before.lower() in ("from", "join", ",", "(", "only")
