"""SQL texts without the values in them: for logs, receipts and lists of what runs."""

from __future__ import annotations

import re

LONGEST = 4_000  # characters that are kept of a text
_GAP = "?"
_STRING = re.compile(r"(?:\b[ebnx]|\bu&|\b_\w+\s*)?'(?:[^']|'')*'", re.IGNORECASE)
_DOLLAR = re.compile(r"\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*)?\$")
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_QUOTED = re.compile(r'("(?:[^"]|"")*"|`(?:[^`]|``)*`)')
_NUMBER = re.compile(r"(?<![\w$.])(?:0[xob][0-9a-f_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?!\w)", re.IGNORECASE)


def masked(sql: str) -> str:
    """The text with ? for each literal; names, keywords and parameters ($1 ...) stay. Where a text can be read in two
    ways (backslashes in strings, dollar quotes), all that might be a value goes. Comments go too.

    >>> masked("SELECT c1 FROM t WHERE a = 'it''s' AND b > 1.5e3 AND c = $1")
    'SELECT c1 FROM t WHERE a = ? AND b > ? AND c = $1'
    >>> masked(r"SELECT 'a\\', \\'secret', x FROM t")
    'SELECT ?, x FROM t'
    """
    text = sql[: 4 * LONGEST]
    if _DOLLAR.search(text) is not None:
        first, last = _span(text, _DOLLAR)
        text = text[:first] + _GAP + text[last:]
    if "\\" in text and "'" in text:
        text = text[: text.index("'")] + _GAP + text[text.rindex("'") + 1 :]
    pieces = _QUOTED.split(_STRING.sub(_GAP, _without_comments(text)))
    pieces[::2] = [_NUMBER.sub(_GAP, piece) for piece in pieces[::2]]
    open_ = next((at for at, piece in enumerate(pieces) if not at % 2 and "'" in piece), None)
    if open_ is not None:  # a literal without its end: the text was cut, or is none
        pieces[open_:] = [pieces[open_].partition("'")[0], _GAP]
    return " ".join("".join(pieces).split())[:LONGEST]


def _span(text: str, pattern: re.Pattern[str]) -> tuple[int, int]:
    found = list(pattern.finditer(text))
    return found[0].start(), found[-1].end() if len(found) > 1 else len(text)


def _without_comments(text: str) -> str:
    """Comments may hold values too. What looks like one inside of a string or a name is left alone."""
    pieces = re.split(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|/\*.*?\*/|--[^\n]*)""", text, flags=re.DOTALL)
    return "".join(" " if _COMMENT.fullmatch(piece) else piece for piece in pieces)
