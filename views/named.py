"""SQL with named parameters (`:customer_id`): as PostgreSQL wants it, and as a text that runs anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot.dialects import Postgres
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from views.text import Refused
from views.validate import did_you_mean


@dataclass(frozen=True, slots=True)
class Named:
    """A statement and the parameters that it uses, in their order as $1, $2 ...; `places` are (start, end, name)."""

    sql: str
    names: tuple[str, ...]
    places: tuple[tuple[int, int, str], ...]

    def positional(self, types: Mapping[str, str]) -> str:
        """The text with $1, $2 ..., each of its type.

        >>> named("select :a, x::int from t where y = :a", ["a"]).positional({"a": "int8"})
        'select $1::int8, x::int from t where y = $1::int8'
        """
        return self._with({name: f"${number}::{types[name]}" for number, name in enumerate(self.names, 1)})

    def literal(self, types: Mapping[str, str], values: Mapping[str, str | None]) -> str:
        """The text with the values in it, so that any client can run it."""
        return self._with({name: _literal(values.get(name), types[name]) for name in self.names})

    def _with(self, texts: Mapping[str, str]) -> str:
        sql = self.sql
        for start, end, name in reversed(self.places):
            sql = sql[:start] + texts[name] + sql[end:]
        return sql


def named(sql: str, known: list[str]) -> Named:
    """The parameters of a text; Refused (at its offset) for one that is not among `known`."""
    try:
        tokens: list[Token] = Postgres().tokenize(sql)
    except (SqlglotError, ValueError):
        return Named(sql, (), ())  # told by whoever reads it as a SELECT
    places = []
    for colon, name in itertools.pairwise(tokens):
        text = sql[name.start : name.end + 1]
        if colon.token_type is not TokenType.COLON or name.start != colon.end + 1 or not text.isidentifier():
            continue
        if text not in known:
            remedy = did_you_mean(text, known) if known else "add it to the dashboard's parameters"
            raise Refused(colon.start, f"there is no parameter `:{text}`", remedy)
        places.append((colon.start, name.end + 1, text))
    used = dict.fromkeys(name for _, _, name in places)
    return Named(sql, tuple(used), tuple(places))


def _literal(value: str | None, kind: str) -> str:
    if value is None:
        return f"NULL::{kind}"
    quoted = value.replace("'", "''")
    return f"'{quoted}'::{kind}"
