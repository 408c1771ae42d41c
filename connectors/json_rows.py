"""Rows of a JSON answer as Arrow, digit by digit: numbers are never made floats on the way, what is absent is NULL.

A column holds what PostgreSQL's `->>` gives of its place, as its type: a string's characters, a number's own digits,
the text of an object or array. What the type cannot hold is an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from connectors import arrow, json_values
from connectors.base import SourceQuery, Unfit
from connectors.errors import SourceError
from connectors.types import PgType

Path = tuple[str, ...]
MARK = "vdw unfit "  # ahead of a column's name: where its values are at fault
_MISSING = msgspec.UNSET


def segments(pointer: str) -> Path:
    """The names in a JSON pointer (RFC 6901).

    >>> segments("/data/a~1b"), segments("")
    (('data', 'a/b'), ())
    """
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


@dataclass(frozen=True, slots=True)
class Field:
    """A column: where each row has it, as which type, and how it is written there ('' as JSON does)."""

    name: str
    at: Path
    type: PgType
    format: str = ""
    nullable: bool = True
    unfit: Unfit = "error"
    label: str = ""  # what errors call it: by the place that it has in the answer, where it has one


@dataclass(slots=True)
class _Tree:
    """Names below an object, and whether the value itself is wanted."""

    wanted: bool = False
    below: dict[str, _Tree] = field(default_factory=dict)
    rows: Any = None  # the type of a row, where the rows are

    def at(self, path: Path) -> _Tree:
        node = self
        for name in path:
            node = node.below.setdefault(name, _Tree())
        return node

    def add(self, path: Path) -> None:
        self.at(path).wanted = True


class Layout:
    """How to read one kind of answer: its rows at `rows`, of each the `fields`, and of the answer what is at `extras`.

    Only what is wanted is decoded.
    """

    def __init__(
        self,
        rows: Path,
        fields: Sequence[Field],
        extras: Mapping[str, Path] | None = None,
        left: Counter[str] | None = None,
        faults: dict[str, SourceError] | None = None,
    ) -> None:
        self.fields, self._rows = tuple(fields), rows
        self.faults = {} if faults is None else faults  # by column: raised where the filter lets such a row through
        self.left = Counter() if left is None else left  # values that are NULL because they did not fit, by column
        tree = _Tree()
        for one in fields:
            tree.add(one.at)
        outer = _Tree()
        for path in (extras or {}).values():
            outer.add(path)
        outer.at(rows).rows = _struct(tree)
        self._decoder = msgspec.json.Decoder(_leaf(outer) if outer.rows else _struct(outer))
        self._getters = [_getter(tree, one.at) for one in fields]
        self._extras = {name: _getter(outer, path) for name, path in (extras or {}).items()}
        self._rows_of = _getter(outer, rows)

    def read(self, body: bytes) -> Page:
        """One answer; SourceError HV000 where it is no JSON, or not of this layout."""
        try:
            answer = self._decoder.decode(body)
        except msgspec.ValidationError as error:  # says types and places, no values
            raise SourceError(
                f"the answer is not as the source's file describes it: {error}",
                hint="compare rows: and the columns' at: with what the service answers",
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SourceError("the answer is not valid JSON", hint="ask the service's owner what it means") from None
        (rows,) = self._rows_of([answer])
        if rows is _MISSING:
            raise SourceError(
                f"the answer has nothing at /{'/'.join(self._rows)}",
                hint="compare rows: in the source's file with what the service answers",
            )
        extras = {name: json_values.plain(get([answer])[0]) for name, get in self._extras.items()}
        return Page(self, rows if isinstance(rows, list) else [] if rows is None else [rows], extras)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer, not converted yet; `extras` are texts, None where there is nothing."""

    layout: Layout
    rows: list[Any]
    extras: Mapping[str, str | None]

    def column(self, at: int) -> pa.Array:
        """The column number `at` of the layout; SourceError HV004 where a value does not fit, unless it may be NULL:
        then `left` counts it."""
        one = self.layout.fields[at]
        values = [None if raw is _MISSING else bytes(raw) for raw in self.layout._getters[at](self.rows)]
        label = one.label or one.name
        if one.unfit != "null":
            return json_values.column(values, one.type, one.format, label)
        query = SourceQuery((), (), (one.type,), unfit=((0, "null"),))
        made = arrow.assembled(
            query, [values], lambda _, part: json_values.column(part, one.type, one.format, one.name)
        )
        self.layout.left[one.name] += arrow.left_out(made).get(0, 0)
        return made.column(0)

    def columns(self, spared: Collection[str] = (), unread: Collection[str] = ()) -> dict[str, pa.Array]:
        """All columns, as `column` has them. Of those `spared`, values that are at fault are NULL, and the boolean
        column `marked(name)` beside it is true there: what stops the statement if the filter lets such a row through
        is `layout.faults[name]`. Of those `unread` they are NULL, and nothing more is said."""
        made: dict[str, pa.Array] = {}
        for at, one in enumerate(self.layout.fields):
            try:
                made[one.name] = self._checked(at)
            except SourceError as error:
                if error.sqlstate != "HV004" or not (one.name in spared or one.name in unread):
                    raise
                made[one.name], faulty = self._one_by_one(at)
                if one.name in spared:
                    self.layout.faults[one.name] = error
                    made[marked(one.name)] = faulty
        return made

    def _checked(self, at: int) -> pa.Array:
        one, column = self.layout.fields[at], self.column(at)
        if not one.nullable and column.null_count:
            raise SourceError(
                f"column {one.label or one.name} is declared without NULL, and has one",
                sqlstate="HV004",
                hint="take nullable: false out of the source's file",
            )
        return column

    def _one_by_one(self, at: int) -> tuple[pa.Array, pa.Array]:
        """The column with NULL for what is at fault, and where that is."""
        parts, faulty = [], []
        for row in self.rows:
            try:
                parts.append(Page(self.layout, [row], {})._checked(at))
            except SourceError:
                parts.append(pa.nulls(1, self.layout.fields[at].type.arrow))
                faulty.append(True)
            else:
                faulty.append(False)
        return pa.concat_arrays(parts), pa.array(faulty, pa.bool_())


def marked(name: str) -> str:
    """The name of the column that tells where `name` has a value that is at fault."""
    return f"{MARK}{name}"


Getter = Callable[[list[Any]], list[Any]]


def _struct(tree: _Tree) -> Any:
    """The type of an object with these names; any order, others ignored, each may be absent or null."""
    names = {f"f{at}": name for at, name in enumerate(tree.below)}
    fields = [(alias, _leaf(tree.below[name]), _MISSING) for alias, name in names.items()]
    return msgspec.defstruct("Row", fields, rename=names, gc=False, frozen=True)


def _leaf(tree: _Tree) -> Any:
    row: Any = tree.rows
    if row is not None:
        return _list_of(row) | row | None | msgspec.UnsetType
    if tree.wanted or not tree.below:
        return msgspec.Raw | msgspec.UnsetType
    return _struct(tree) | None | msgspec.UnsetType


def _list_of(row: Any) -> Any:
    return list.__class_getitem__(row)


def _getter(tree: _Tree, path: Path) -> Getter:
    """From rows to the raw values at a path."""
    steps: list[Getter] = []
    for name in path:
        if tree.wanted:  # the whole is a column as well: its text is read again for its parts
            steps.append(_again(_struct(_Tree(below=tree.below))))
        steps.append(_step(f"f{list(tree.below).index(name)}"))
        tree = tree.below[name]

    def get(rows: list[Any]) -> list[Any]:
        for step in steps:
            rows = step(rows)
        return rows

    return get


def _step(alias: str) -> Getter:
    take = attrgetter(alias)

    def step(rows: list[Any]) -> list[Any]:
        try:
            return list(map(take, rows))
        except AttributeError:
            return [_MISSING if row is None or row is _MISSING else take(row) for row in rows]

    return step


def _again(kind: Any) -> Getter:
    decode = msgspec.json.Decoder(kind | None).decode
    return lambda rows: [_MISSING if raw is _MISSING else decode(raw) for raw in rows]
