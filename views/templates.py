"""Texts with placeholders such as {token}: names of columns only, so that no text can reach anything else."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Annotated

from pydantic import AfterValidator

from views.values import fault

_REMEDY = "write {column}, and {{ and }} for braces themselves"


def placeholders(text: str) -> tuple[str, ...]:
    """The names that stand in braces, in their order; PydanticCustomError where the text is no template.

    >>> placeholders("{token} is late by {hours} h, {{really}}")
    ('token', 'hours')
    """
    found = []
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise fault(f"not a text with placeholders: {error}", _REMEDY) from None
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if form or conversion:
            raise fault(f'the placeholder "{name}" has a format', "write {column}, and form the value in the query")
        if not name or not name.replace("_", "a").isalnum():
            raise fault(f'"{{{name}}}" is not the name of a column', _REMEDY)
        found.append(name)
    return tuple(found)


def filled(text: str, values: Mapping[str, str | None]) -> str:
    """The text with each placeholder's value; NULL is empty. KeyError for a name that has none.

    >>> filled("{token}: {remark}", {"token": "T7", "remark": None})
    'T7: '
    """
    return "".join(
        literal + ("" if name is None else values[name] or "") for literal, name, _, _ in Formatter().parse(text)
    )


def literal(text: str) -> str:
    """What of it is there whatever the values."""
    return "".join(part for part, _, _, _ in Formatter().parse(text))


def _template(value: str) -> str:
    placeholders(value)
    return value


Template = Annotated[str, AfterValidator(_template)]
