"""GROUPING SETS, ROLLUP and CUBE as an Aggregate holds them: which keys every one of the sets has."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(r"ROLLUP \(|CUBE \(|GROUPING SETS \(|\(|\)")


def common_keys(sets: tuple[str | int, ...]) -> frozenset[int]:
    """Positions of the keys by which every grouping set groups; elements side by side multiply their sets.

    >>> sorted(common_keys(("GROUPING SETS (", "(", 0, ")", ", ", "(", "(", 0, ")", ", ", "(", 1, ")", ")", ")")))
    [0]
    """
    return _all(_tokens(sets))


def _tokens(sets: tuple[str | int, ...]) -> Iterator[str | int]:
    for part in sets:
        if isinstance(part, int):
            yield part
        else:
            yield from _TOKEN.findall(part)


def _all(tokens: Iterator[str | int]) -> frozenset[int]:
    """Keys of elements up to the closing parenthesis, all of which hold."""
    return frozenset().union(*_elements(tokens))


def _elements(tokens: Iterator[str | int]) -> list[frozenset[int]]:
    found: list[frozenset[int]] = []
    for token in tokens:
        if token == ")":  # noqa: S105 - a token of SQL
            break
        if isinstance(token, int):
            found.append(frozenset((token,)))
        elif token == "(":  # noqa: S105 - a token of SQL
            found.append(_all(tokens))
        else:
            inner = _elements(tokens)
            whole = token.startswith("GROUPING") and inner
            found.append(frozenset.intersection(*inner) if whole else frozenset())
    return found
