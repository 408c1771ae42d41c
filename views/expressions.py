"""SQL expressions in a project's file, before PostgreSQL has seen them: that each is one, what it names and joins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.dialects import Postgres
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from views.text import CLOSE, OPEN, Refused, folded, modest

_CLAUSES = frozenset(("select", "with", "values", "table"))  # what begins a query
_CLOCKS = {
    "current_timestamp": "{at}",
    "current_date": "({at}::date)",
    "current_time": "({at}::timetz)",
    "localtimestamp": "({at}::timestamp)",
    "localtime": "({at}::time)",
}
_CLOCK_CALLS = frozenset(("now", "transaction_timestamp", "statement_timestamp", "clock_timestamp"))
# What cannot fail, whatever its columns hold: each part of such a condition can be told by itself.
_SAFE = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Not, exp.And, exp.Or, exp.EQ,
    exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.Coalesce, exp.Sub,
    exp.Add, exp.Neg, exp.CurrentDate, exp.CurrentTimestamp, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Interval, exp.Var,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """One of the conditions that AND joins: its text, where that starts, and whether it can be evaluated by itself
    without a risk of failing where those before it protect it. `asked` is evaluated in its place."""

    text: str
    start: int
    safe: bool
    asked: str = ""

    @property
    def sql(self) -> str:
        return self.asked or self.text


@dataclass(frozen=True, slots=True)
class Expression:
    """`columns` that it names, None where they cannot be told; the `conditions` that it is the conjunction of."""

    text: str
    columns: frozenset[str] | None
    conditions: tuple[Condition, ...]


def read(text: str) -> Expression:
    """The expression; Refused, with the place, where the text is not exactly one, or asks relations of its own."""
    tokens = _tokens(text)
    _balanced(text, tokens)
    tree = _parse(text) if modest(tokens) else None
    spans = [(part[0].start, part[-1].end + 1) for part in _conjuncts(tokens) if part]
    conditions = tuple(Condition(text[a:b], a, _safe(text[a:b])) for a, b in spans)
    return Expression(text, _columns(tree), conditions)


def at_instant(text: str, instant: str) -> str:
    """The expression with `instant` (ISO text, with a zone) in place of the clock. Refused where it reads the clock in
    a way that cannot be replaced."""
    tokens, made, done = _tokens(text), [], 0
    value = f"('{instant}'::timestamptz)"
    for index, token in enumerate(tokens):
        word = token.text.lower()
        called = _called(tokens, index)
        if word in _CLOCKS and token.token_type is not TokenType.STRING:
            made += [text[done : token.start], _CLOCKS[word].format(at=value)]
            done = token.end + 1
        elif word in _CLOCK_CALLS and called == 0:
            made += [text[done : token.start], value]
            done = tokens[index + 2].end + 1
        elif word == "age" and called == 1:
            raise Refused(token.start, "age() of one value reads the clock unseen", "write age(current_date, value)")
    return "".join((*made, text[done:]))


def template(text: str) -> tuple[str | tuple[str, int], ...]:
    """A text with SQL expressions in braces, cut: plain texts, and each expression with the place where it starts.

    Doubled braces stand for themselves. Refused, with the place, where a brace is left over.

    >>> template("{orders} orders {{sic}}")
    (('orders', 1), ' orders {sic}')
    """
    made: list[str | tuple[str, int]] = []
    plain, at = "", 0
    while at < len(text):
        if text[at : at + 2] in ("{{", "}}"):
            plain, at = plain + text[at], at + 2
        elif text[at] == "{":
            end = _closing(text, at + 1)
            made += [plain] if plain else []
            made.append((text[at + 1 : end], at + 1))
            plain, at = "", end + 1
        elif text[at] == "}":
            raise Refused(at, "`}` closes nothing", "write }} for a brace of the text")
        else:
            plain, at = plain + text[at], at + 1
    return (*made, plain) if plain else tuple(made)


def _closing(text: str, start: int) -> int:
    """Where the brace that opened before `start` is closed, outside SQL's quotes."""
    quote = ""
    for at in range(start, len(text)):
        if quote:
            quote = "" if text[at] == quote else quote
        elif text[at] in "'\"":
            quote = text[at]
        elif text[at] == "}":
            return at
    raise Refused(start - 1, "`{` is never closed", "close the expression with }, or write {{ for a brace of the text")


def _called(tokens: Sequence[Token], index: int) -> int | None:
    """The number of arguments with which the name at `index` is called, None where it is not."""
    after = tokens[index + 1 : index + 3]
    if len(after) < 2 or after[0].token_type is not TokenType.L_PAREN:
        return None
    if after[1].token_type is TokenType.R_PAREN:
        return 0
    depth, commas = 0, 0
    for token in tokens[index + 1 :]:
        depth += (token.token_type in OPEN) - (token.token_type in CLOSE)
        commas += depth == 1 and token.token_type is TokenType.COMMA
        if not depth:
            break
    return commas + 1


def _tokens(text: str) -> list[Token]:
    try:
        tokens: list[Token] = Postgres().tokenize(text)
    except (SqlglotError, ValueError):
        raise Refused(0, "the SQL cannot be read", "close every quote and comment") from None
    if not tokens:
        raise Refused(0, "there is no SQL expression", "write one")
    return tokens


def _balanced(text: str, tokens: Sequence[Token]) -> None:
    """Refused for what would be more than one expression between two parentheses."""
    open_: list[TokenType] = []
    pairs = dict(zip(CLOSE, OPEN, strict=True))
    for token in tokens:
        kind = token.token_type
        if kind in OPEN:
            open_.append(kind)
        elif kind in CLOSE:
            if not open_ or open_.pop() is not pairs[kind]:
                raise Refused(token.start, f"`{token.text}` closes nothing", "balance the brackets")
        elif kind is TokenType.SEMICOLON or (kind is TokenType.COMMA and not open_):
            raise Refused(token.start, f"`{token.text}` ends the expression, and more follows", "write one expression")
        elif token.text.lower() in _CLAUSES and kind not in (TokenType.STRING, TokenType.IDENTIFIER):
            message = f"a rule asks nothing by itself: `{token.text}` begins a query"
            raise Refused(token.start, message, "bring the value into the subject's view as a column")
        elif kind is TokenType.PARAMETER:
            raise Refused(token.start, "a rule has no parameters", "name a column of the subject")
    if open_:
        raise Refused(len(text) - 1, "a bracket is never closed", "balance the brackets")


def _conjuncts(tokens: Sequence[Token]) -> list[list[Token]]:
    """The tokens on either side of each outermost AND; all of them where an outermost OR joins these."""
    parts: list[list[Token]] = [[]]
    for token, word, outermost in _levels(tokens):
        if outermost and word == "or":
            return [list(tokens)]
        if outermost and word == "and":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _levels(tokens: Sequence[Token]) -> Iterator[tuple[Token, str, bool]]:
    """Each token, its word, and whether it stands outside brackets and CASE and is not BETWEEN's own AND."""
    depth, between = 0, 0
    for token in tokens:
        word = "" if token.token_type in (TokenType.STRING, TokenType.IDENTIFIER) else token.text.lower()
        closes = token.token_type in CLOSE or word == "end"
        depth -= closes
        outermost = not depth and not (word == "and" and between)
        if not depth:
            between += (word == "between") - (word == "and" and between > 0)
        yield token, word, outermost
        depth += token.token_type in OPEN or word == "case"


def _parse(text: str) -> exp.Expr | None:
    try:
        return sqlglot.parse_one(text, dialect="postgres", into=exp.Condition)
    except (SqlglotError, RecursionError, ValueError):
        return None


def _columns(tree: exp.Expr | None) -> frozenset[str] | None:
    if tree is None:
        return None
    found = (column.this for column in tree.find_all(exp.Column))
    return frozenset(folded(name) for name in found if isinstance(name, exp.Identifier))


def _safe(text: str) -> bool:
    tree = _parse(text)
    return tree is not None and all(
        isinstance(node, _SAFE) or _constant(node) or isinstance(node.parent, exp.Cast) for node in tree.walk()
    )


def _constant(node: exp.Expr) -> bool:
    """A cast of a literal: PostgreSQL evaluates it when the view is made."""
    return isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal)
