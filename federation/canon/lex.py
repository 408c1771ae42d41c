"""PostgreSQL's lexical rules, exactly: where statements end and where parameters stand, without a parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Token(NamedTuple):
    """`kind`: word | quoted (an identifier) | string | number | param | op | punct | error; `start` and `end` count
    characters from 0. An unterminated string, identifier or comment is an error that reaches to the end."""

    kind: str
    text: str
    start: int
    end: int


# Each alternative is one rule of scan.l; their order is its precedence.
_IDENT = r"[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*"
_PLAIN = r"'(?:[^']|'')*'"
_ESCAPED = r"'(?:[^'\\]|''|\\[\s\S])*'"
_RULES = r"""
  (?P<space>[ \t\n\r\f\v]+|--[^\n\r]*)
| (?P<comment>/\*)
| (?P<string>[eE]{escaped}|[bBxXnN]{plain}|[uU]&{plain}|{quote})
| (?P<dollar>\$(?P<tag>(?:[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)?)\$)
| (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*")
| (?P<word>{ident})
| (?P<param>\$[0-9]+)
| (?P<number>0[xX](?:_?[0-9A-Fa-f])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+
    |(?:[0-9](?:_?[0-9])*\.(?!\.)(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*|[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9](?:_?[0-9])*)?)
| (?P<punct>::|:=|\.\.|[,()\[\].;:])
| (?P<op>[-+*/<>=~!@#%^&|`?]+)
| (?P<error>[\s\S])
"""


def _rules(quote: str) -> re.Pattern[str]:
    return re.compile(_RULES.format(escaped=_ESCAPED, plain=_PLAIN, quote=quote, ident=_IDENT), re.VERBOSE)


_STANDARD, _LEGACY = _rules(_PLAIN), _rules(_ESCAPED)
_EDGE = re.compile(r"/\*|\*/")
_CONTINUED = re.compile(r"(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*(?=')")
_STICKY = frozenset("~!@#%^&|`?")  # an operator may end in + or - only if it has one of these


def words(text: str, standard: bool = True, spaces: bool = False) -> Iterator[Token]:
    """The tokens of `text` without space and comments (but where `spaces`); `standard` is
    standard_conforming_strings."""
    rules, at, length = _STANDARD if standard else _LEGACY, 0, len(text)
    while at < length:
        match = rules.match(text, at)
        assert match is not None  # noqa: S101 (the last rule takes anything)
        kind, end = match.lastgroup or "error", match.end()
        if match["tag"] is not None:
            kind, end = _dollar(text, match)
        elif kind == "comment":
            end = _comment(text, at)
            kind = "error" if end < 0 else "space"
            end = length if end < 0 else end
        elif kind == "op":
            end = _operator(text, at, end)
        elif kind == "string":
            end = _continued(text, match, standard)
        elif kind == "error" and match[0] in "'\"":
            end = length
        if kind != "space" or spaces:
            yield Token(kind, text[at:end], at, end)
        at = end


def comments(text: str, standard: bool = True) -> Iterator[str]:
    """What the comments of `text` say, of either form, without their marks."""
    for token in words(text, standard, spaces=True):
        if token.kind == "space" and token.text.startswith(("--", "/*")):
            yield token.text[2:-2] if token.text[0] == "/" else token.text[2:]


def statements(text: str, standard: bool = True) -> list[tuple[int, int]]:
    """Where each statement of `text` stands, from its first token to its last, without the semicolon."""
    found: list[tuple[int, int]] = []
    start, end, depth = -1, -1, 0
    body = _Body()
    for token in words(text, standard):
        if token.text == ";" and depth <= 0 and not body.open:
            if start >= 0:
                found.append((start, end))
            start, depth, body = -1, 0, _Body()
            continue
        if token.kind == "punct" and token.text in "()":
            depth += 1 if token.text == "(" else -1
        elif token.kind == "word" and depth <= 0:
            body.see(token.text.lower())
        start, end = (token.start if start < 0 else start), token.end
    if start >= 0:
        found.append((start, end))
    return found


def params(text: str, standard: bool = True) -> list[tuple[int, int, int]]:
    """Where each `$n` of `text` stands, and its n."""
    if "$" not in text:
        return []
    return [(t.start, t.end, int(t.text[1:])) for t in words(text, standard) if t.kind == "param"]


class _Body:
    """Follows CREATE FUNCTION ... BEGIN ATOMIC ... END, the one statement that has semicolons inside."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.open = 0

    def see(self, word: str) -> None:
        if self.open:
            self.open += {"case": 1, "begin": 1, "end": -1}.get(word, 0)
        elif len(self.seen) < 4:
            self.seen.append(word)
        if not self.open and word == "atomic" and self.last == "begin" and self._routine():
            self.open = 1
        self.last = word

    last = ""

    def _routine(self) -> bool:
        return self.seen[:1] == ["create"] and bool({"function", "procedure"} & set(self.seen))


def _dollar(text: str, match: re.Match[str]) -> tuple[str, int]:
    close = text.find(match[0], match.end()) if match["dollar"] else -1
    return ("error", len(text)) if close < 0 else ("string", close + len(match["dollar"]))


def _comment(text: str, at: int) -> int:
    """Where the comment that starts at `at` ends, nested ones included; -1 where it does not."""
    depth = 0
    for edge in _EDGE.finditer(text, at):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return -1


def _operator(text: str, at: int, end: int) -> int:
    """The end of the operator: before a comment, and without a trailing + or - that belongs to what follows."""
    for mark in ("--", "/*"):
        cut = text.find(mark, at + 1, end)
        end = cut if cut >= 0 else end
    if not _STICKY & set(text[at:end]):
        while end - at > 1 and text[end - 1] in "+-":
            end -= 1
    return end


def _continued(text: str, match: re.Match[str], standard: bool) -> int:
    """The end of a string that goes on, after a line break, in further quotes."""
    rest = re.compile(_ESCAPED if match[0][0] in "eE" or (match[0][0] == "'" and not standard) else _PLAIN)
    end = match.end()
    while gap := _CONTINUED.match(text, end):
        more = rest.match(text, gap.end())
        if more is None:
            return len(text)
        end = more.end()
    return end
