"""The narrowest type that all texts of a column prove, and that prints each of them as it stands in the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from connectors.types import PgType, numeric

_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"
_DECIMAL = r"^-?(0|[1-9][0-9]*)\.[0-9]+$"
_DIGITS = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
_MINUS_ZERO = r"^-0(\.0+)?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_LOCAL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,5}[1-9])?$"
_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_FEW_DIGITS, _MOST_DIGITS = 18, 38  # of decimals that DuckDB computes with, and holds


def _cast(kind: pa.DataType) -> Callable[[pa.Array], bool]:
    def holds(values: pa.Array) -> bool:
        try:
            values.cast(kind)
        except pa.ArrowInvalid:
            return False
        return True

    return holds


def _of_form(pattern: str, holds: Callable[[pa.Array], bool] | None = None) -> Callable[[pa.Array], bool]:
    def test(values: pa.Array) -> bool:
        return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py()) and (holds is None or holds(values))

    return test


_TESTS: dict[str, Callable[[pa.Array], bool]] = {
    "bool": lambda values: bool(pc.all(pc.is_in(values, pa.array(["true", "false"]))).as_py()),
    "int8": _of_form(_INTEGER, _cast(pa.int64())),
    "date": _of_form(_DATE, _cast(pa.date32())),
    "timestamp": _of_form(_LOCAL, _cast(pa.timestamp("us"))),
    "uuid": _of_form(_UUID),
}
_ANY_NUMBER = _of_form(_DIGITS, lambda values: not pc.any(pc.match_substring_regex(values, _MINUS_ZERO)).as_py())


@dataclass
class Proof:
    """What the texts of one column have in common so far."""

    rows: int = 0
    nulls: int = 0
    possible: list[str] = field(default_factory=lambda: [*_TESTS, "decimal", "numeric"])
    scale: int | None = None
    whole: int = 0  # digits before the point, at most

    def add(self, values: pa.Array) -> None:
        """Look at further values."""
        self.rows += len(values)
        self.nulls += values.null_count
        present = values.drop_null()
        if not len(present):
            return
        distinct = present if len(present) < 100 else pc.unique(present)
        self.possible = [name for name in self.possible if self._holds(name, distinct)]

    def _holds(self, name: str, values: pa.Array) -> bool:
        if name == "decimal":
            return self._decimals(values)
        return _ANY_NUMBER(values) if name == "numeric" else _TESTS[name](values)

    def _decimals(self, values: pa.Array) -> bool:
        """Of one scale only: 1.5 and 1.50 would not both be printed as they are."""
        if not _of_form(_DECIMAL)(values) or pc.any(pc.match_substring_regex(values, _MINUS_ZERO)).as_py():
            return False
        points = pc.find_substring(values, ".")
        scales = pc.min_max(pc.subtract(pc.subtract(pc.utf8_length(values), points), 1)).as_py()
        self.scale = scales["min"] if self.scale is None else self.scale
        self.whole = max(self.whole, pc.max(points).as_py())
        same = scales["min"] == scales["max"] == self.scale
        return same and self.whole + (self.scale or 0) <= _MOST_DIGITS

    @property
    def type(self) -> PgType:
        """The type of now; text where nothing is proven."""
        name = self.possible[0] if self.possible and self.rows > self.nulls else "text"
        if name != "decimal":
            return PgType(name)
        scale = self.scale or 0
        return numeric(_FEW_DIGITS if self.whole + scale <= _FEW_DIGITS else _MOST_DIGITS, scale)
