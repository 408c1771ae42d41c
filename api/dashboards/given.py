"""Parameters of a dashboard out of an address: texts, checked and typed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import GraphQLError

from api.graphql.scalars import kind as scalar_kind
from connectors.base import Bound
from connectors.errors import QueryError
from connectors.types import PgType
from views.dashboard_file import Parameter
from views.dashboards import Dashboard

LONGEST = 1_000  # characters of a value
_BOOL = {"true": True, "false": False}
_WHOLE = re.compile(r"[+-]?\d{1,19}\Z", re.ASCII)
_FORMS = {
    "int4": "a whole number of 32 bits",
    "int8": "a whole number of 64 bits",
    "numeric": "a number, such as 12.50",
    "date": "a date, such as 2026-02-28",
    "timestamptz": "an instant with its zone, such as 2026-02-28T12:00:00+00:00",
    "bool": "true or false",
}
Values = Mapping[str, str | None]


def values(dashboard: Dashboard, given: Mapping[str, str]) -> dict[str, str | None]:
    """The value of each parameter: the address's, else its default, else None; QueryError 22xxx for a bad one."""
    known = dashboard.file.parameters
    for name in given:
        if name not in known:
            hint = f"known: {', '.join(known)}" if known else "it has none"
            message = f'dashboard "{dashboard.name}" has no parameter "{name[:63]}"'
            raise QueryError(message, sqlstate="22023", hint=hint)
    return {name: _value(name, facts, given.get(name)) for name, facts in known.items()}


def _value(name: str, facts: Parameter, text: str | None) -> str | None:
    if text is None or (text == "" and not facts.optional):
        return facts.default
    if text == "":
        return None
    if "\0" in text or len(text) > LONGEST:
        raise QueryError(f"`{name}` is no value: it is too long or holds a NUL character", sqlstate="22021")
    if isinstance(facts.choices, tuple) and facts.choices and text not in facts.choices:
        hint = f"choose one of: {', '.join(facts.choices)}"
        raise QueryError(f'`{name}` cannot be "{text[:40]}"', sqlstate="22023", hint=hint)
    typed(name, PgType(facts.type), text)
    return text


def bound(names: Sequence[str], kinds: Sequence[PgType], found: Values) -> tuple[Bound, ...]:
    """The values of $1, $2 ... by the parameters' names."""
    return tuple(Bound(kind, typed(name, kind, found[name])) for name, kind in zip(names, kinds, strict=True))


def typed(name: str, kind: PgType, text: str | None) -> Any:
    """A text as a value of that type; QueryError 22P02 with the form that is wanted."""
    if text is None:
        return None
    try:
        return scalar_kind(kind).scalar.coerce_input_value(_plain(kind, text.strip() if kind.name != "text" else text))
    except GraphQLError:
        message = f'`{name}` cannot be "{text[:40]}": it is {_FORMS.get(kind.name, kind.name)}'
        raise QueryError(message, sqlstate="22P02") from None


def _plain(kind: PgType, text: str) -> Any:
    """What JSON has natively, of a text."""
    if kind.name == "bool":
        return _BOOL.get(text, text)
    return int(text) if kind.name == "int4" and _WHOLE.match(text) else text
