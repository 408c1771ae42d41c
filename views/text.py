"""What a view's SQL text tells before any database has seen it: one SELECT, its names, columns and comments."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.dialects import Postgres
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

_COMMENT = re.compile(r"[ \t]*,?[ \t]*--[ \t]*([^\n]*)")
OPEN = (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE)
CLOSE = (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE)
_FORBIDDEN = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Into, exp.Lock)
_END = (TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT)
MAX_TOKENS, MAX_DEPTH, MAX_OPEN_JOINS = 20_000, 100, 6
_CONDITIONS = (TokenType.ON, TokenType.USING, TokenType.CROSS, TokenType.NATURAL)
Name = tuple[str, str]


class Refused(Exception):
    """A view's body that is not one plain SELECT; `offset` is where, in characters from the body's start."""

    def __init__(self, offset: int, message: str, remedy: str) -> None:
        super().__init__(message)
        self.offset, self.message, self.remedy = offset, message, remedy


@dataclass(frozen=True, slots=True)
class Body:
    """A view's SELECT. `offset`: where `query` starts in the text that was given; `columns` is None where only a
    database can tell them (`*`, unnamed expressions, syntax that sqlglot does not know)."""

    query: str
    offset: int
    reads: frozenset[Name]
    columns: tuple[str, ...] | None
    comments: dict[str, str]
    parsed: bool


def read(text: str) -> Body:
    """The one SELECT of a view's text; Refused if it is anything else. Syntax errors are left to PostgreSQL."""
    tokens = _tokens(text)
    query = text[tokens[0].start : tokens[-1].end + 1]
    tree = _parse(query) if modest(tokens) else None
    if tree is not None:
        _plain(tree, tokens[0].start)
    return Body(
        query=query,
        offset=tokens[0].start,
        reads=_reads(tree) if tree is not None else _dotted(tokens),
        columns=_columns(tree) if tree is not None else None,
        comments=_comments(text, tokens, tree),
        parsed=tree is not None,
    )


def expression_columns(text: str) -> frozenset[str] | None:
    """The columns that a SQL expression (a mask, a row filter) names; None where sqlglot cannot parse it."""
    try:
        tree = sqlglot.parse_one(text, dialect="postgres", into=exp.Condition)
    except (SqlglotError, RecursionError, ValueError):
        return None
    return frozenset(
        folded(column.this) for column in tree.find_all(exp.Column) if isinstance(column.this, exp.Identifier)
    )


def names(text: str) -> frozenset[Name]:
    """Every `schema.name` that a statement may mean, aliases' columns included; nothing where it cannot be read."""
    try:
        return _dotted(Postgres().tokenize(text))
    except (SqlglotError, ValueError):
        return frozenset()


def _tokens(text: str) -> list[Token]:
    """The tokens of the only statement, without its `;`."""
    try:
        tokens: list[Token] = Postgres().tokenize(text)
    except (SqlglotError, ValueError) as error:
        raise Refused(
            len(text), f"the SQL cannot be read: {_first_line(error)}", "close every quote and comment"
        ) from None
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    if not tokens:
        raise Refused(0, "there is no SELECT in the file", "write one SELECT below the header")
    cut = next((token for token in tokens if token.token_type is TokenType.SEMICOLON), None)
    if cut is not None:
        raise Refused(cut.start, "a view is exactly one SELECT, and here a second statement follows", "remove the rest")
    first = next((token for token in tokens if token.token_type is not TokenType.L_PAREN), tokens[0])
    if first.token_type not in (TokenType.SELECT, TokenType.WITH):
        raise Refused(
            first.start, f"a view is a SELECT, not {first.text[:20].upper()}", "write SELECT ... or WITH ... SELECT"
        )
    return tokens


def modest(tokens: Sequence[Token]) -> bool:
    """Whether sqlglot, which recurses in native code, can be trusted with it."""
    if len(tokens) > MAX_TOKENS or max(depth for depth, _ in _depths(tokens)) > MAX_DEPTH:
        return False
    kinds = Counter(token.token_type for token in tokens)
    # It tries each JOIN without a condition as a nested one, too: twice the time for every further one.
    return kinds[TokenType.JOIN] - sum(kinds[kind] for kind in _CONDITIONS) <= MAX_OPEN_JOINS


def _parse(query: str) -> exp.Query | None:
    try:
        tree = sqlglot.parse_one(query, dialect="postgres")
    except (SqlglotError, RecursionError, ValueError):
        return None  # not an error: PostgreSQL decides what is SQL
    return tree if isinstance(tree, exp.Query) else None


def _plain(tree: exp.Query, start: int) -> None:
    for node in tree.find_all(*_FORBIDDEN):
        what = {exp.Into: "INTO", exp.Lock: "FOR UPDATE or FOR SHARE"}.get(type(node), type(node).__name__.upper())
        raise Refused(start, f"a view only reads: {what} is not allowed", "leave a plain SELECT")
    if any(node.name.isdigit() for node in tree.find_all(exp.Parameter)):
        raise Refused(start, "a view has no parameters: $1 stands for nothing", "filter in the queries over the view")


def _reads(tree: exp.Query) -> frozenset[Name]:
    tables = (table for table in tree.find_all(exp.Table) if isinstance(table.this, exp.Identifier))
    return frozenset((folded(table.args["db"]), folded(table.this)) for table in tables if table.args.get("db"))


def _dotted(tokens: Sequence[Token]) -> frozenset[Name]:
    """Every `a.b` of the text: more than what it reads, never less."""
    return frozenset(
        (_fold(left), _fold(right))
        for left, dot, right in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if dot.token_type is TokenType.DOT
    )


def _columns(tree: exp.Query) -> tuple[str, ...] | None:
    names = [_output(item) for item in tree.selects]
    return tuple(name for name in names if name) if names and all(names) else None


def _output(item: exp.Expr) -> str:
    """The name of a select-list item where the text fixes it, else ''."""
    named = (
        item.args.get("alias") if isinstance(item, exp.Alias) else item.this if isinstance(item, exp.Column) else None
    )
    return folded(named) if isinstance(named, exp.Identifier) else ""


def _comments(text: str, tokens: Sequence[Token], tree: exp.Query | None) -> dict[str, str]:
    items = _items(tokens)
    names = [_output(item) for item in tree.selects] if tree is not None else [_last_name(item) for item in items]
    if len(names) != len(items):
        return {}
    found = ((name, _COMMENT.match(text, item[-1].end + 1)) for name, item in zip(names, items, strict=True))
    return {name: match[1].strip() for name, match in found if name and match and match[1].strip()}


def _items(tokens: Sequence[Token]) -> list[list[Token]]:
    """The tokens of each item of the outermost select list (the first one, of a UNION)."""
    start = next((i for i, (depth, token) in enumerate(_depths(tokens)) if not depth and _is_select(token)), None)
    items: list[list[Token]] = [[]]
    for depth, token in _depths(tokens[start + 1 :] if start is not None else ()):
        if depth == 0 and token.token_type in _END:
            break
        if depth == 0 and token.token_type is TokenType.COMMA:
            items.append([])
        else:
            items[-1].append(token)
    return [item for item in items if item]


def _is_select(token: Token) -> bool:
    return token.token_type is TokenType.SELECT


def _depths(tokens: Sequence[Token]) -> list[tuple[int, Token]]:
    """Each token with the number of brackets around it."""
    depth, found = 0, []
    for token in tokens:
        depth -= token.token_type in CLOSE
        found.append((depth, token))
        depth += token.token_type in OPEN
    return found


def _last_name(item: Sequence[Token]) -> str:
    last = item[-1]
    return _fold(last) if last.token_type in (TokenType.VAR, TokenType.IDENTIFIER) else ""


def _fold(token: Token) -> str:
    return token.text if token.token_type is TokenType.IDENTIFIER else token.text.lower()


def folded(identifier: exp.Expr) -> str:
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]
