"""Parameters of fragments, as EXPLAIN shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.base import Bound
from planner.plan import BoundaryRef, ComputedRef, KeysRef, ParamRef, Plan, Value


def _given(value: ParamRef, params: Sequence[Bound]) -> Bound | None:
    return params[value.index] if value.index < len(params) else None


def _boundary(value: BoundaryRef, plan: Plan) -> str:
    several = "" if value.sure else "; where it has several rows, the comparison is left to the merge"
    return f"the value of f{plan.boundaries[value.index]}, as {value.type.sql}, read once{several}"


def keys_text(value: KeysRef) -> str:
    """The columns and fragments that keys are taken of."""
    return " and ".join(f"{', '.join(f'c{column}' for column in columns)} of f{at}" for at, columns in value.keys)


def value_text(value: Value, plan: Plan, params: Sequence[Bound]) -> str:
    """A fragment's parameter for people: what it is, and its value where that is known."""
    if isinstance(value, KeysRef):
        own = f": c{value.column} of each" if value.columns and value.column >= 0 else ""
        return f"the keys in {keys_text(value)}{own}, as {value.type.sql}"
    if isinstance(value, ParamRef):
        given = _given(value, params)
        return f"the client's ${value.index + 1}, as {value.type.sql}" + (
            "" if given is None else f": {_literal(given)}"
        )
    if isinstance(value, BoundaryRef):
        return _boundary(value, plan)
    if isinstance(value, ComputedRef):
        return f"{plan.computed[value.index][0]}, as {value.type.sql}, computed once in the canon"
    return f"{_literal(value)}::{value.type.sql}"


def _literal(value: Bound) -> str:
    """A value as SQL has it."""
    plain = _plain(value.value)
    if plain is None or isinstance(plain, bool | int | float):
        return "NULL" if plain is None else str(plain).lower()
    return "'" + str(plain).replace("'", "''") + "'"


def value_json(value: Value, plan: Plan, params: Sequence[Bound]) -> dict[str, Any]:
    """The same for tools."""
    if isinstance(value, KeysRef):
        columns = list(value.keys[0][1])
        others = [{"keys_of": fragment, "column": column} for fragment, column in value.others]
        told = {"type": value.type.sql, "keys_of": value.fragment, "column": value.column, "columns": columns}
        return {**told, "others": others} if others else told
    if isinstance(value, ParamRef):
        given = _given(value, params)
        known = None if given is None else _plain(given.value)
        return {"type": value.type.sql, "param": value.index + 1, "value": known}
    if isinstance(value, BoundaryRef):
        return {"type": value.type.sql, "boundary": plan.boundaries[value.index]}
    if isinstance(value, ComputedRef):
        return {"type": value.type.sql, "computed": plan.computed[value.index][0]}
    return {"type": value.type.sql, "value": _plain(value.value)}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return [_plain(item) for item in value] if isinstance(value, list) else str(value)
