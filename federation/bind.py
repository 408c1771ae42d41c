"""Values for a fragment's parameters: the client's, and the keys that other fragments found."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.base import Bound, SourceQuery
from connectors.errors import Error, QueryError, SourceError
from connectors.types import PgType
from planner.plan import (
    Absent,
    AllOf,
    AnyOf,
    Beyond,
    BoundaryRef,
    ComputedRef,
    Fragment,
    KeySet,
    KeysRef,
    ParamRef,
    SourceText,
    Value,
)
from planner.values import compared

MOST_KEYS = 10_000  # whatever a plan says
KEYS_A_STATEMENT = 1_000

FEW = 100  # rows
_PLAIN = frozenset({"int2", "int4", "int8", "oid", "text", "varchar"})

_INTEGERS = {"int2": 15, "int4": 31, "int8": 63, "oid": 32}
_TEXTS = frozenset({"text", "varchar", "bpchar", "unknown"})


Keys = Mapping[KeySet, list[tuple[Any, ...]]]  # by fragments and columns


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
    refs = drivers(fragment)
    found = {ref.keys: _all_keys(tables, ref) for ref in refs}
    _held(refs, found)
    if any(keys is not None and not keys for keys in found.values()):
        return ()
    used = {at: keys for at, keys in found.items() if keys is not None}
    sent = without(fragment.text, lambda value: isinstance(value, KeysRef) and value.keys not in used, given)
    return tuple(_query(fragment, sent, given, batch) for batch in _batches(refs, used))


def drivers(fragment: Fragment) -> tuple[KeysRef, ...]:
    """The keys that a fragment takes, each combination once: as many as all its predicates over them may have, cut if
    all of these may."""
    found: dict[KeySet, KeysRef] = {}
    for ref in fragment.text.params:
        if isinstance(ref, KeysRef):
            other = found.get(ref.keys, ref)
            most, must = min(ref.most, other.most), ref.must or other.must
            found[ref.keys] = replace(ref, most=most, cut=ref.cut and other.cut, must=must)
    return tuple(found.values())


def must(fragment: Fragment) -> bool:
    """Whether it cannot be asked without its keys."""
    return any(isinstance(ref, KeysRef) and ref.must for ref in fragment.text.params)


def _held(refs: Sequence[KeysRef], found: Mapping[KeySet, list[tuple[Any, ...]] | None]) -> None:
    """SourceError where keys that must be sent are of no value that can be."""
    if any(ref.must and found[ref.keys] is None for ref in refs):
        raise SourceError(
            "a table that can only be read by given values would have to be given infinity, or a year past 9999",
            sqlstate="22008",
            hint="Leave such rows out of those that it is joined to, with a filter.",
        )


def without(
    source: SourceText, dropped: Callable[[Value], bool] = lambda _: True, given: Given | None = None
) -> SourceText:
    """The statement without the predicates that hold one of the `dropped` values, or by `given` several values."""

    def goes(first: int, last: int) -> bool:
        values = [source.params[part] for part in source.parts[first:last] if isinstance(part, int)]
        return any(dropped(value) or (given is not None and _several(value, given)) for value in values)

    optional = {first: last for first, last in source.optional if goes(first, last)}
    if not optional:
        return source
    parts: list[str | int] = []
    params: dict[int, int] = {}
    at = 0
    while at < len(source.parts):
        part = source.parts[at]
        if at in optional:
            parts.append("TRUE")
            at = optional[at]
            continue
        parts.append(params.setdefault(part, len(params)) if isinstance(part, int) else part)
        at += 1
    return SourceText(tuple(parts), tuple(source.params[index] for index in params))


def _batches(refs: Sequence[KeysRef], used: Keys) -> list[Keys]:
    """The keys of each statement: the shortest list that may be cut is, the others are the same for all of them; where
    keys must be sent, the longest of those."""
    lists = [used[ref.keys] for ref in refs if ref.cut and ref.keys in used]
    shortest = min(lists, key=len, default=[])
    needed = [used[ref.keys] for ref in refs if ref.cut and ref.must and ref.keys in used]
    if any(len(keys) > KEYS_A_STATEMENT for keys in needed):
        shortest = max(needed, key=len)
    if len(shortest) <= KEYS_A_STATEMENT:
        return [used]
    starts = range(0, len(shortest), KEYS_A_STATEMENT)
    at = next(at for at, keys in used.items() if keys is shortest)
    return [{**used, at: shortest[start : start + KEYS_A_STATEMENT]} for start in starts]


def whole(fragment: Fragment, given: Given) -> SourceQuery:
    """The statement without keys."""
    return _query(fragment, without(fragment.text, lambda value: isinstance(value, KeysRef), given), given, {})


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


def _query(fragment: Fragment, text: SourceText, given: Given, keys: Keys) -> SourceQuery:
    return SourceQuery(
        parts=text.parts,
        params=tuple(_listed(_bound(value, given, keys)) for value in text.params),
        columns=tuple(kind for _, kind in fragment.columns),
        small=fragment.small and _few(fragment, keys),
        unfit=tuple((at, policy) for at, policy, _ in fragment.unfit),
        stored=tuple(column for _, _, column in fragment.unfit),
    )


def _few(fragment: Fragment, keys: Keys) -> bool:
    """Whether the keys, of which the plan knew nothing, let few rows be expected."""
    return sum(map(len, keys.values())) <= FEW and bool(keys or not fragment.after)


def _bound(value: Value, given: Given, keys: Keys) -> Bound:
    if isinstance(value, Bound):
        return value
    if isinstance(value, ComputedRef):
        return cast(given.computed[value.index], value.type)
    if isinstance(value, KeysRef):
        return Bound(value.type, _values(value, keys[value.keys]))
    if isinstance(value, BoundaryRef):
        found = given.boundaries[value.index]
        if found is None:
            raise Error("a boundary has several rows")
        return cast(found, value.type)
    return cast(given.params[value.index], value.type)


def _listed(bound: Bound) -> Bound:
    """An array as the list that sources look values up in, where = ANY of no array is unknown as IN (NULL) is."""
    return Bound(bound.type, [None]) if bound.value is None and bound.type.name.startswith("_") else bound


def _values(ref: KeysRef, keys: list[tuple[Any, ...]]) -> Any:
    """What a parameter carries of the keys: the values of its column, or all of them as JSON."""
    if ref.column < 0:
        return json.dumps([[_json(value) for value in key] for key in keys], ensure_ascii=False)
    at = ref.keys[0][1].index(ref.column)
    return [key[at] for key in keys]


def _json(value: Any) -> Any:
    return value if isinstance(value, int | str) else value.isoformat()


def _all_keys(tables: Mapping[int, pa.Table], ref: KeysRef) -> list[tuple[Any, ...]] | None:
    """The distinct keys, sorted, so that the same set makes the same statement; None: too many, or not bindable."""
    parts = [_keys(tables[fragment], columns, ref) for fragment, columns in ref.keys]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or len(known) == 1:
        return known[0] if len(known) == len(parts) else None
    keys = sorted({key for part in known for key in part})
    return keys if len(keys) <= _most(ref) else None


def _most(ref: KeysRef) -> int:
    return ref.most if ref.must else min(ref.most, MOST_KEYS)


def _keys(table: pa.Table, columns: tuple[int, ...], ref: KeysRef) -> list[tuple[Any, ...]] | None:
    """The keys in one fragment's rows."""
    most = _most(ref)
    element = ref.type.name[1:]
    if len(columns) > 1:
        return _combinations(table, columns, most)
    if table.num_rows <= min(FEW, most) and element in _PLAIN:  # Arrow's kernels take longer to set up
        return [(key,) for key in sorted({key for key in table.column(columns[0]).to_pylist() if key is not None})]
    column = pc.unique(table.column(columns[0])).drop_null()
    if len(column) > most:
        return None
    try:
        keys: list[Any] = column.take(pc.sort_indices(column)).to_pylist()
    except (OverflowError, ValueError):  # 'infinity' and years past 9999 have no Python value
        return None
    if element == "numeric":
        keys = [format(key, "f") if not isinstance(key, str) else key for key in keys]
    return [(key,) for key in keys]


def _combinations(table: pa.Table, columns: tuple[int, ...], most: int) -> list[tuple[Any, ...]] | None:
    """The distinct combinations without any NULL in them, sorted."""
    names = [f"k{at}" for at in range(len(columns))]
    chosen = pa.table([table.column(column) for column in columns], names).drop_null()
    distinct = chosen.group_by(names).aggregate([])
    if distinct.num_rows > most:
        return None
    try:
        rows = distinct.select(names).sort_by([(name, "ascending") for name in names]).to_pydict()
    except (OverflowError, ValueError):
        return None
    return list(zip(*rows.values(), strict=True))


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
