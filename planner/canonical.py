"""Canonical text, as PostgreSQL's own deparser prints it, and sqlglot's reading of it.

sqlglot renames many functions to its own idea of them (to_hex to HEX, date_part to EXTRACT, three-argument
array_sort to two): harmless between dialects, wrong where the text must come out as it went in. So every function
that the planner does not handle is read under a name that sqlglot cannot know, and `written` takes the disguise off.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from planner.scope import Unmodelled

# Canonical text is regular: strings, quoted names, words and signs; a function's name touches its parenthesis.
_TOKEN = re.compile(
    r"""[EBX]?'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*"|[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*|\s+|.""", re.S
)
DISGUISE = f"vdwf{secrets.token_hex(4)}_"
_DISGUISED = re.compile(DISGUISE, re.IGNORECASE)
_HANDLED = frozenset("abs avg count length lower max min sum upper bool_and bool_or".split())
# Words before a parenthesis that are types there; functions of these names are printed quoted.
_TYPES = frozenset("numeric varying character bit timestamp time interval bpchar varchar char decimal float".split())
# Beyond these sqlglot's recursion is not to be trusted: such text is left as it stands.
_MOST_TOKENS, _MOST_DEPTH = 50_000, 150
# Clauses that sqlglot reads without keeping them.
_DROPPED = ("GROUP BY DISTINCT", "EXCLUDE ")


def tokens(text: str) -> list[str]:
    """The text cut into strings, names, words, blanks and signs; joined they are the text."""
    return _TOKEN.findall(text)


def _too_much(cut: list[str]) -> bool:
    depth = deepest = 0
    for token in cut:
        depth += (token == "(") - (token == ")")  # noqa: S105 - a token of SQL
        deepest = max(deepest, depth)
    return len(cut) > _MOST_TOKENS or deepest > _MOST_DEPTH


def _named(cut: list[str]) -> Iterator[str]:
    for at, token in enumerate(cut):
        call = cut[at + 1 : at + 2] == ["("] and (token[0].isalpha() or token[0] == "_")
        if call and token == token.lower() and token not in _HANDLED and token not in _TYPES and token[-1] != "'":
            yield DISGUISE + token
        else:
            yield token


def written(node: exp.Expr) -> str:
    """The node as PostgreSQL's text, functions under their own names."""
    return _DISGUISED.sub("", node.sql("postgres", comments=False, copy=False))


def undisguised(name: str) -> str:
    """A function's or an alias's own name."""
    return _DISGUISED.sub("", name)


def parse(text: str) -> exp.Expr:
    """Canonical text as sqlglot's AST; Unmodelled where sqlglot cannot read it or would drop a clause."""
    for clause in _DROPPED:
        if clause in text:
            raise Unmodelled(clause.strip())
    cut = tokens(text)
    if _too_much(cut):
        raise Unmodelled("it is too long or too deeply nested for sqlglot")
    try:
        return sqlglot.parse_one("".join(_named(cut)), dialect="postgres")
    except (SqlglotError, RecursionError, ValueError) as error:
        raise Unmodelled(f"sqlglot cannot read it: {str(error).splitlines()[0]}") from None
