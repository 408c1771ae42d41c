"""Values of a request's variables: markers that stand for them while SQL is compiled, and their binding afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from connectors.base import Bound
from connectors.types import PgType

MAX_ITEMS = 1000
MAX_DEPTH = 24
MAX_NODES = 2000

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Var:
    """Stands for the value at `path` within the variables."""

    path: Path


class NeedsValue(Exception):
    """The statement's text depends on this variable's value, so that it cannot be a parameter."""

    def __init__(self, var: Var) -> None:
        super().__init__(var.path)
        self.path = var.path


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter of a compiled statement: a constant, a `Var`, or a list that holds some."""

    type: PgType
    value: Any


def measure(variables: Mapping[str, Any]) -> None:
    """GraphQLError for variables that are deeper or have more objects and lists inside than any filter needs."""
    level: list[Any] = [variables]
    nodes = 0
    for _ in range(MAX_DEPTH):
        nodes += len(level)
        if not level or nodes > MAX_NODES:
            break
        items = (i for node in level for i in (node.values() if isinstance(node, Mapping) else node))
        level = [item for item in items if isinstance(item, Mapping | list)]
    if level:
        raise GraphQLError(f"the variables are too large: {MAX_NODES} objects and lists, {MAX_DEPTH} levels at most")


def skeleton(value: Any, structural: frozenset[Path], path: Path = ()) -> Any:
    """What of the variables decides the statement's text: their structure, and the values at `structural` paths.

    Null, booleans and the words of enumerations cannot be told from structure, so they count with their value.
    """
    if isinstance(value, Mapping):
        return tuple((key, skeleton(item, structural, (*path, key))) for key, item in value.items())
    if _branches(value):
        return ("list", *(skeleton(item, structural, (*path, i)) for i, item in enumerate(value)))
    return (type(value).__name__, value) if _fixed(value) or path in structural else "?"


def marked(value: Any, structural: frozenset[Path], path: Path = ()) -> Any:
    """The same variables with a `Var` in place of each value that the text does not depend on."""
    if isinstance(value, Mapping):
        return {key: marked(item, structural, (*path, key)) for key, item in value.items()}
    if _branches(value):
        return [marked(item, structural, (*path, i)) for i, item in enumerate(value)]
    return value if _fixed(value) or path in structural else Var(path)


def _branches(value: Any) -> bool:
    return isinstance(value, list) and (not value or isinstance(value[0], Mapping))


def _fixed(value: Any) -> bool:
    return value is None or isinstance(value, bool | Direction)


class Direction(str):
    """A word of an enumeration, told from text by its class."""

    __slots__ = ()


def bind(slot: Slot, variables: Mapping[str, Any]) -> Bound:
    """The parameter with its value from the variables; GraphQLError for a value that PostgreSQL cannot hold."""
    value = resolved(slot.value, variables)
    if isinstance(value, list) and len(value) > MAX_ITEMS:
        raise GraphQLError(f"a list in a filter has {len(value)} items: {MAX_ITEMS} at most")
    _check(value)
    return Bound(slot.type, value)


def resolved(value: Any, variables: Mapping[str, Any]) -> Any:
    """The value with every `Var` in it replaced."""
    if isinstance(value, Var):
        found: Any = variables
        for step in value.path:
            found = found[step]
        return found
    if isinstance(value, list):
        return [resolved(item, variables) for item in value]
    return value


def _check(value: Any) -> None:
    for item in _texts(value):
        if "\x00" in item:
            raise GraphQLError("a text in a filter holds a NUL character, which no text in PostgreSQL does")


def _texts(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else (value,):
        if isinstance(item, str):
            yield item
