"""A table of the example: its declaration and its rows, before they stand in any database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """Rows and their declaration: types are int8, int4, float8, date, bool, timestamptz, text, varchar(n),
    numeric(p,s); a ! behind the type is NOT NULL."""

    name: str
    columns: dict[str, str]
    key: str
    rows: list[tuple[Any, ...]]
    indexes: tuple[str, ...] = ()
    references: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def types(self) -> list[str]:
        """The columns' types without their marks."""
        return [kind.rstrip("!") for kind in self.columns.values()]
