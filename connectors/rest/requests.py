"""Which requests answer a statement over an endpoint: inputs filled from the filter's comparisons, lists cut up."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from connectors.asked import Asked, values
from connectors.base import SourceQuery
from connectors.errors import LimitExceeded
from connectors.rest.options import Input, RestTable, filled, inputs_of, places

MOST_SINGLE = 100  # requests that are made for values of an input which may be left out; else the table is scanned

_SERVES = {"=": ("=",), ">=": (">=", ">", "="), ">": (">",), "<=": ("<=", "<", "="), "<": ("<",)}


@dataclass(frozen=True, slots=True)
class Call:
    """One request: where it goes, and what its rows must be: `equal` to one of these values, column by column;
    `given` are the values of columns that only the request has."""

    path: str
    params: tuple[tuple[str, str], ...]
    body: Any
    equal: Mapping[str, tuple[Any, ...]]
    given: Mapping[str, Any]


def calls(name: str, table: RestTable, asked: Asked, query: SourceQuery) -> Iterator[Call]:
    """The requests, each row of the answer being in one of them; none where the filter lets no row in.

    LimitExceeded 53400 where the endpoint must be given something that the filter does not say.
    """
    if _nothing(asked, query):
        return
    bound, rows = _bound(table, asked, query)
    known = {*bound, *(column for row in rows[:1] for column in row)}
    demands = table.demands
    if demands and not any(set(one) <= known for one in demands):
        wanted = " or ".join(" and ".join(one) for one in demands)
        raise LimitExceeded(f"table {name} can only be read by given values of {wanted}", hint=f"Add {wanted} = ...")
    fixed = _ranges(table, asked, query)
    needed = {column for one in demands if set(one) <= known for column in one}
    for row, packs in _combinations(table, bound, rows, needed):
        yield _call(table, {**packs, **{column: (value,) for column, value in row.items()}}, fixed)


def _nothing(asked: Asked, query: SourceQuery) -> bool:
    """Whether a comparison with NULL, or with nothing, lets no row in."""
    for one in asked.conditions:
        if one.op in ("true", "false"):
            continue
        if one.op in ("in", "any", "=") and not values(query, one):
            return True
        if one.op not in ("in", "any") and query.params[one.params[0]].value is None:
            return True
    return False


def _bound(
    table: RestTable, asked: Asked, query: SourceQuery
) -> tuple[dict[str, tuple[Any, ...]], list[dict[str, Any]]]:
    """Columns that inputs can ask for by equality, with their values; and combinations of several such columns."""
    askable = {one.column or name for name, one in table.inputs.items() if one.op == "="}
    bound: dict[str, tuple[Any, ...]] = {}
    rows: list[dict[str, Any]] = [{}]
    for one in asked.conditions:
        if one.op not in ("=", "in", "any", "true", "false"):
            continue
        found = values(query, one)
        places = [at for at, column in enumerate(one.columns) if column in askable]
        if len(places) == 1:
            column, mine = one.columns[places[0]], dict.fromkeys(row[places[0]] for row in found)
            before = bound.get(column)
            bound[column] = tuple(v for v in mine if before is None or v in before)
        elif places and rows == [{}]:
            made = ({one.columns[at]: row[at] for at in places} for row in found)
            rows = [dict(each) for each in dict.fromkeys(tuple(row.items()) for row in made)]
    joined = {column for row in rows[:1] for column in row}
    rows = [row for row in rows if all(value in bound.get(column, (value,)) for column, value in row.items())]
    return {column: found for column, found in bound.items() if column not in joined}, rows


def _combinations(
    table: RestTable, bound: Mapping[str, tuple[Any, ...]], rows: Sequence[dict[str, Any]], needed: set[str]
) -> Iterator[tuple[dict[str, Any], dict[str, tuple[Any, ...]]]]:
    """Values of each request: those that it takes at once, column by column."""
    packs: dict[str, list[tuple[Any, ...]]] = {}
    for column, found in bound.items():
        several = [one.most if one.many != "one" else 1 for _, one in inputs_of(table, column) if one.op == "="]
        most = min(several) if column in table.columns else 1  # whose row it is stands in the request alone
        cut = [found[at : at + most] for at in range(0, len(found), most)]
        if column in needed or len(cut) <= MOST_SINGLE:
            packs[column] = cut
    if len(rows) > MOST_SINGLE and not needed & rows[0].keys():
        rows = [{}]
    for row in rows:
        for chosen in itertools.product(*packs.values()):
            yield row, dict(zip(packs, chosen, strict=True))


def _ranges(table: RestTable, asked: Asked, query: SourceQuery) -> dict[str, Any]:
    """Values of inputs that bound a column from one side."""
    found: dict[str, Any] = {}
    for name, one in table.inputs.items():
        for condition in asked.conditions if one.op != "=" else ():
            if condition.columns == (one.column or name,) and condition.op in _SERVES[one.op]:
                found[name] = query.params[condition.params[0]].value
    return found


def _call(table: RestTable, chosen: Mapping[str, tuple[Any, ...]], fixed: Mapping[str, Any]) -> Call:
    inside: dict[str, str] = {}
    params: list[tuple[str, str]] = list(table.parameters.items())
    body: dict[str, Any] = dict(table.body)
    for name, one in table.inputs.items():
        given = (fixed[name],) if name in fixed else chosen.get(one.column or name, ()) if one.op == "=" else ()
        if given:
            _place(name, one, [written(value) for value in given], given, (inside, params, body))
    path = filled(table.path, {name: inside[name] for name in places(table.path)})
    own = {column: found[0] for column, found in chosen.items() if column not in table.columns and len(found) == 1}
    return Call(path, tuple(params), body if table.method == "POST" else None, dict(chosen), own)


def _place(
    name: str,
    one: Input,
    texts: list[str],
    given: Sequence[Any],
    into: tuple[dict[str, str], list[tuple[str, str]], dict[str, Any]],
) -> None:
    inside, params, body = into
    called = one.name or name
    if one.in_ == "path":
        inside[name] = ",".join(quote(text, safe="") for text in texts)
    elif one.in_ == "query":
        params.extend((called, text) for text in (texts if one.many == "repeat" else [",".join(texts)]))
    else:
        plain = [value if isinstance(value, bool | int) else text for value, text in zip(given, texts, strict=True)]
        body[called] = plain if one.many != "one" else plain[0]


def written(value: Any) -> str:
    """A value as it stands in a request: ISO 8601, a point in numbers, true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    return format(value, "f") if isinstance(value, Decimal) else str(value)
