"""What the suite has to know of a connector: its types with their extremes, and how to set up and watch its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import pytest

from connectors.types import PgType


class Printed(Enum):
    """Stands for a value in Arrow's form where what the engine prints is all that is known."""

    VALUE = "whatever the engine prints"


PRINTED = Printed.VALUE
Values = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Sample:
    """A column of the source's type `ddl`, which must be read as `type`; `values` pairs a literal in the
    source's SQL with what Arrow must hold (dates and times as the integers that store them), or PRINTED.

    `equal`: the source can compare the column with a parameter of `type`. `unfit`: literals of values that `type`
    cannot hold, each with the kind that the error names. `covers`: further names of the engine's catalog of types that
    this sample stands for.
    """

    ddl: str
    type: PgType
    values: Values
    equal: bool = True
    unfit: tuple[tuple[str, str], ...] = ()
    covers: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """A name for a column of the type."""
        return "v_" + "".join(char if char.isalnum() else "_" for char in self.ddl).lower()[:50]


class Server(Protocol):
    """A server that the suite may restart and stop for a while. `process` is None where it is not the suite's own."""

    process: Any

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as administrator; rows of the last."""
        ...

    def restart(self) -> None:
        """Stop it and start it on the same port."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """While inside, it answers nothing, though its sockets stay open."""
        ...


@dataclass(frozen=True)
class Site:
    """A source at work: what `connect` is given, how to write to it, and how to watch it."""

    options: dict[str, Any]
    run: Callable[..., list[tuple[Any, ...]]]  # statements, as somebody who may write
    server: Server | None = None


@dataclass(frozen=True)
class Printing:
    """How an engine prints: `text` makes SQL of a sample's column, `canonical` PostgreSQL's form of what it gives."""

    text: Callable[[Sample], str]
    canonical: Callable[[Sample, Any], str]
    prologue: tuple[str, ...] = ()  # statements ahead of those that print


@dataclass(frozen=True)
class Types:
    """The engine's own list of its types: `missing` is a query of those that no column of {table} has; `apart` are
    those that no column can have, each with the reason."""

    missing: str
    apart: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A connector under test. What is None does not exist there (an embedded engine has no server to watch)."""

    kind: str
    open: Callable[[pytest.FixtureRequest], AbstractContextManager[Site]]
    samples: tuple[Sample, ...]
    unfit: tuple[tuple[str, str, PgType], ...]  # ddl, literal, type that cannot hold it
    schema: str | None  # where tables made without a schema are
    numbers: str  # SELECT of one int8 column: 1 to {n}
    slow: str  # SELECT of one int8 column that takes very long
    writes: tuple[str, ...]
    active: str | None = None  # number of our statements that run at the server
    connected: str | None = None  # number of our connections
    wide: str = "repeat('x', {width})"
    marks: tuple[pytest.MarkDecorator, ...] = field(default=(pytest.mark.service,))
    number: str = "g"  # name of the column of `numbers`
    printing: Printing | None = None  # None: the engine has no SQL that prints, so what is written in `samples` counts
    types: Types | None = None
    holds: bool = False  # its driver takes an answer whole into memory before the first row is seen
    label: str = ""  # its name in the table, where `kind` stands for several engines

    @property
    def name(self) -> str:
        """Its name in tests and in the table."""
        return self.label or self.kind


@dataclass(frozen=True)
class Unproven:
    """An engine that does not run here: its types in the table, and why nothing is claimed of them."""

    name: str
    types: tuple[str, ...]
    reason: str


def nul(*values: tuple[str, Any]) -> Values:
    """The values, and NULL."""
    return (*values, ("NULL", None))


def printed(*literals: str) -> Values:
    """Literals, each to be read as the engine prints it, and NULL."""
    return nul(*((literal, PRINTED) for literal in literals))
