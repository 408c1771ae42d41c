"""Values for a fragment's parameters: the client's, and the keys that other fragments found."""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.base import Bound, SourceQuery
from connectors.errors import Error, QueryError
from connectors.types import PgType
from planner.plan import (
    Absent,
    AllOf,
    AnyOf,
    Beyond,
    BoundaryRef,
    ComputedRef,
    Fragment,
    KeysRef,
    ParamRef,
    SourceText,
    Value,
)
from planner.values import compared

MOST_KEYS = 10_000  # beyond, the fragment is read without keys: the source scans rather than looks up anyway
KEYS_A_STATEMENT = 1_000
MOST_STATEMENTS = 10

FEW = 100  # rows
_PLAIN = frozenset({"int2", "int4", "int8", "oid", "text", "varchar"})

_INTEGERS = {"int2": 15, "int4": 31, "int8": 63, "oid": 32}
_TEXTS = frozenset({"text", "varchar", "bpchar", "unknown"})
# Two different keys of these types are different for every source, so a row answers to one of them only. Not so text
# ('a' and 'A' where case does not matter), numerics as text (1.0 and 1.00), floats (0 and -0): cut into several
# statements, a row would come once for each.
_DISTINCT = frozenset({"int2", "int4", "int8", "oid", "date", "timestamp", "timestamptz", "uuid"})


@dataclass(frozen=True, slots=True)
class Given:
    """What a query's parameters are made of: the client's, what the canon computed for this run, and the values of
    boundaries, None for one that has several rows."""

    params: Sequence[Bound] = ()
    computed: Sequence[Bound] = ()
    boundaries: Sequence[Bound | None] = ()


def queries(fragment: Fragment, given: Given, tables: Mapping[int, pa.Table]) -> tuple[SourceQuery, ...]:
    """The statements that answer `fragment`: none if no row can matter or it has no keys to ask for, several for many.

    `tables` are the rows of the fragments in `fragment.after`. The rows of several
    statements together are the fragment's rows.
    """
    if fragment.absent is not None and _absent(fragment.absent, given):
        return ()
    if fragment.full is not None and any(_several(value, given) for value in fragment.text.params):
        return (_query(fragment, fragment.full, given, {}),)
    if not fragment.after:
        return (_query(fragment, fragment.text, given, {}),)
    lists = {ref: _keys(tables[ref.fragment], ref) for ref in fragment.text.params if isinstance(ref, KeysRef)}
    if any(keys is not None and not keys for keys in lists.values()):
        return ()
    cuts = {ref: None if keys is None else _cut(ref, keys) for ref, keys in lists.items()}
    count = math.prod(1 if cut is None else len(cut) for cut in cuts.values())
    if fragment.full is not None and (None in cuts.values() or count > MOST_STATEMENTS):
        return (_query(fragment, fragment.full, given, {}),)
    if None in cuts.values():
        raise Error(f"fragment {fragment.id} for source {fragment.source} cannot be asked without its keys")
    refs = tuple(cuts)
    chosen = itertools.product(*(cut or [] for cut in cuts.values()))
    return tuple(_query(fragment, fragment.text, given, dict(zip(refs, keys, strict=True))) for keys in chosen)


def whole(fragment: Fragment, given: Given) -> SourceQuery:
    """The statement without keys."""
    return _query(fragment, fragment.full or fragment.text, given, {})


def text(source: SourceText) -> str:
    """The statement with $1, $2 ... for people."""
    return SourceQuery(source.parts, (), ()).sql


def cast(bound: Bound, kind: PgType) -> Bound:
    """A client's parameter as `kind`, where that keeps its value; QueryError 22003 for an integer out of range.

    >>> cast(Bound(PgType("int4"), 7), PgType("numeric")).value
    '7'
    """
    if bound.type == kind or bound.value is None:
        return replace(bound, type=kind)
    if kind.name.startswith("_") and isinstance(bound.value, list):
        element = PgType(kind.name[1:], kind.mod)
        given = PgType(bound.type.name.removeprefix("_"), bound.type.mod)
        return Bound(kind, [cast(Bound(given, value), element).value for value in bound.value])
    return Bound(kind, _converted(bound, kind))


def frozen(params: Sequence[Bound]) -> tuple[tuple[str, int, str], ...]:
    """The parameters as part of a cache key: equal only if type and value are the same to the last bit."""
    # repr tells 1 from 1.0 and True, 0.0 from -0.0, and time zones from each other; == does not.
    return tuple((bound.type.name, bound.type.mod, repr(bound.value)) for bound in params)


def _several(value: Value, given: Given) -> bool:
    """Whether it is a boundary of several rows."""
    return isinstance(value, BoundaryRef) and given.boundaries[value.index] is None


def _absent(test: Absent, given: Given) -> bool:
    """Whether, by these values, no row of a fragment can matter."""
    match test:
        case AnyOf():
            return any(_absent(part, given) for part in test.parts)
        case AllOf():
            return all(_absent(part, given) for part in test.parts)
        case Beyond():
            low = _given(test.low, given)
            high = None if test.high is None else _given(test.high, given)
            if low is None or low.value is None or high is None:
                return low is not None and low.value is None
            sign = compared(low, high)
            return high.value is None or (sign is not None and (sign > 0 or (sign == 0 and test.open)))


def _given(value: Value, given: Given) -> Bound | None:
    """The value as it was given, in its own type; None where it is none."""
    if isinstance(value, BoundaryRef):
        return given.boundaries[value.index]
    if isinstance(value, ParamRef):
        return given.params[value.index]
    if isinstance(value, ComputedRef):
        return given.computed[value.index]
    if isinstance(value, Bound):
        return value
    raise Error("keys are no bound of an interval")


def _query(fragment: Fragment, text: SourceText, given: Given, keys: Mapping[KeysRef, list[Any]]) -> SourceQuery:
    return SourceQuery(
        parts=text.parts,
        params=tuple(_bound(value, given, keys) for value in text.params),
        columns=tuple(kind for _, kind in fragment.columns),
        small=fragment.small and _few(fragment, text, keys),
    )


def _few(fragment: Fragment, text: SourceText, keys: Mapping[KeysRef, list[Any]]) -> bool:
    """Whether the keys, of which the plan knew nothing, let few rows be expected."""
    if text is fragment.full:
        return False
    return sum(map(len, keys.values())) <= FEW


def _bound(value: Value, given: Given, keys: Mapping[KeysRef, list[Any]]) -> Bound:
    if isinstance(value, Bound):
        return value
    if isinstance(value, ComputedRef):
        return cast(given.computed[value.index], value.type)
    if isinstance(value, KeysRef):
        return Bound(value.type, keys[value])
    if isinstance(value, BoundaryRef):
        found = given.boundaries[value.index]
        if found is None:
            raise Error("a boundary has several rows")
        return cast(found, value.type)
    return cast(given.params[value.index], value.type)


def _keys(table: pa.Table, ref: KeysRef) -> list[Any] | None:
    """The distinct keys, sorted, so that the same set makes the same statement; None: too many, or not bindable."""
    element = ref.type.name[1:]
    if table.num_rows <= FEW and element in _PLAIN:  # Arrow's kernels take longer to set up
        return sorted({key for key in table.column(ref.column).to_pylist() if key is not None})
    column = pc.unique(table.column(ref.column)).drop_null()
    if len(column) > MOST_KEYS:
        return None
    try:
        keys: list[Any] = column.take(pc.sort_indices(column)).to_pylist()
    except (OverflowError, ValueError):  # 'infinity' and years past 9999 have no Python value
        return None
    if element == "numeric":
        return [format(key, "f") if not isinstance(key, str) else key for key in keys]
    return keys


def _cut(ref: KeysRef, keys: list[Any]) -> list[list[Any]]:
    if ref.type.name[1:] not in _DISTINCT:
        return [keys]
    return [keys[start : start + KEYS_A_STATEMENT] for start in range(0, len(keys), KEYS_A_STATEMENT)]


def _converted(bound: Bound, kind: PgType) -> Any:
    value, given, wanted = bound.value, bound.type.name, kind.name
    if wanted in _INTEGERS and given in _INTEGERS:
        return _integer(value, kind)
    if kind.mod >= 0:
        raise _unplanned(bound, kind)  # a length or a scale may round or cut: the canon's to do
    if wanted == given:
        return value
    if wanted in _TEXTS and given in _TEXTS:
        return value.rstrip(" ") if given == "bpchar" else value
    if wanted == "numeric" and given in _INTEGERS:
        return str(value)
    if wanted == "float8" and (given in _INTEGERS or given == "float4"):
        return float(value)
    if wanted == "timestamp" and given == "date" and isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day)
    raise _unplanned(bound, kind)


def _integer(value: int, kind: PgType) -> int:
    bits = _INTEGERS[kind.name]
    least = 0 if kind.name == "oid" else -(1 << bits)
    if not least <= value < 1 << bits:
        raise QueryError(f"{kind.sql} out of range", sqlstate="22003")
    return value


def _unplanned(bound: Bound, kind: PgType) -> Error:
    return Error(f"the plan wants a parameter of type {bound.type.sql} as {kind.sql}, a cast that belongs in the canon")
