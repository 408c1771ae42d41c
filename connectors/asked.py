"""What a fragment's statement asks of one table, for sources that are no SQL engines: read out of its text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp

from connectors.base import SourceQuery, Unfit
from connectors.errors import SourceError

Parts = tuple[str | int, ...]
_COMPARED: dict[type[exp.Expr], str] = {exp.EQ: "=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_PARAMETER = re.compile(r"\$vdw_parameter_(\d+)\b")
_TURNED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Condition:
    """A conjunct of the filter: `columns` compared by `op` (= < <= > >=, `in`: any of the parameters, `any`: of the
    elements of one array for each column, side by side; `true` and `false`: of themselves) with parameters, by their
    numbers in the query."""

    columns: tuple[str, ...]
    op: str
    params: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One SELECT over one table. `columns`: all that are read; `output`: the plain columns that it gives, None where it
    computes; `filtered`: whether it has a filter, `whole`: whether `conditions` are all of it. `limit` and `offset` are
    parameters' numbers. `rowwise`: what it gives for some rows does not depend on the others, but for limit and offset;
    `order`: columns as (name, DESC, NULLS FIRST), None where it orders by something else."""

    table: str
    columns: tuple[str, ...]
    output: tuple[str, ...] | None
    conditions: tuple[Condition, ...]
    filtered: bool
    whole: bool
    rowwise: bool
    tested: tuple[str, ...] = ()  # columns that the filter reads
    order: tuple[tuple[str, bool, bool], ...] | None = ()
    limit: int | None = None
    offset: int | None = None


@lru_cache(1024)
def asked(parts: Parts, dialect: str = "duckdb") -> Asked:
    """What a statement asks; its parameters are known by their numbers. SourceError where it is over several tables."""
    text = "".join(part if isinstance(part, str) else f":p{part}" for part in parts)
    tree = sqlglot.parse_one(text, read=dialect)
    tables = list(tree.find_all(exp.Table))
    if len(tables) != 1:
        raise SourceError(f"a statement over {len(tables)} tables, of which this source reads one at a time")
    inner = tables[0].find_ancestor(exp.Select)
    if not isinstance(inner, exp.Select):
        raise SourceError("a statement that is no SELECT")
    conditions, whole = _conditions(inner)
    columns = tuple(dict.fromkeys(c.name for c in inner.find_all(exp.Column) if c.find_ancestor(exp.Select) is inner))
    simple = inner is tree and not any(inner.args.get(key) for key in ("group", "having", "distinct", "qualify"))
    order, ordered = _order(inner), bool(inner.args.get("order"))
    return Asked(
        tables[0].name,
        columns,
        _output(inner) if simple else None,
        conditions,
        bool(inner.args.get("where")),
        whole,
        simple and not ordered,
        _tested(inner),
        order if simple else None,
        _number(inner, "limit") if simple else None,
        _number(inner, "offset") if simple else None,
    )


def values(query: SourceQuery, condition: Condition) -> list[tuple[object, ...]]:
    """What a condition by equality lets its columns be: distinct combinations, without NULL, in their order."""
    if condition.op in ("true", "false"):
        return [(condition.op == "true",)]
    given = [query.params[number].value for number in condition.params]
    if condition.op == "any":
        rows = list(zip(*(each or () for each in given), strict=True))
    else:
        rows = [(value,) for value in given]
    return list(dict.fromkeys(row for row in rows if None not in row))


def label(shape: Asked, column: str) -> str:
    """What errors call a column, so that who asked can tell its own name for it; '' where the answer has it not."""
    return f"c{shape.output.index(column)}" if shape.output is not None and column in shape.output else ""


def policies(shape: Asked, query: SourceQuery) -> dict[str, Unfit]:
    """What becomes of values that do not fit, by the table's columns: those that the statement gives as they are."""
    return {shape.output[at]: policy for at, policy in query.unfit} if shape.output is not None else {}


def sparing(shape: Asked, equal: Iterable[str], read: Iterable[str]) -> tuple[set[str], set[str]]:
    """Of the columns that are `read`: those of which only the rows that pass the filter matter, and those of which no
    value matters (a key that pages are checked by). `equal`: columns by which the connector itself leaves rows out."""
    needed = {*shape.columns}
    kept = needed - {*shape.tested, *equal} if shape.filtered else set()
    return kept, {*read} - needed - {*equal}


def filtering(parts: Parts, columns: tuple[str, ...], dialect: str = "duckdb") -> Parts | None:
    """The statement that tells, of each of these boolean columns, whether it is true in any row that passes the
    filter; None where it cannot be written."""
    text = "".join(part if isinstance(part, str) else f":p{part}" for part in parts)
    tree = sqlglot.parse_one(text, read=dialect)
    inner = next(tree.find_all(exp.Table)).find_ancestor(exp.Select)
    if inner is None or not inner.args.get("where"):
        return None
    asks = [exp.func("coalesce", exp.func("bool_or", exp.column(name, quoted=True)), exp.false()) for name in columns]
    made = exp.Select(expressions=asks, from_=inner.args["from_"].copy(), where=inner.args["where"].copy())
    numbers = list(made.find_all(exp.Placeholder))
    for one in numbers:
        one.set("this", f"vdw_parameter_{one.name.removeprefix('p')}")
    pieces = _PARAMETER.split(made.sql(dialect))
    if len(pieces) != 2 * len(numbers) + 1:  # a text in the statement looks like a parameter
        return None
    return tuple(int(piece) if at % 2 else piece for at, piece in enumerate(pieces))


def _output(select: exp.Select) -> tuple[str, ...] | None:
    items = [item.unalias() for item in select.expressions]
    return tuple(item.name for item in items) if all(isinstance(item, exp.Column) for item in items) else None


def _conditions(select: exp.Select) -> tuple[tuple[Condition, ...], bool]:
    where = select.args.get("where")
    if where is None:
        return (), True
    parts = list(_conjuncts(where.this))
    found = [_condition(part) for part in parts]
    return tuple(each for each in found if each is not None), None not in found


def _tested(select: exp.Select) -> tuple[str, ...]:
    where = select.args.get("where")
    return () if where is None else tuple(dict.fromkeys(column.name for column in where.find_all(exp.Column)))


def _conjuncts(e: exp.Expr) -> Iterator[exp.Expr]:
    e = e.unnest()
    if isinstance(e, exp.And):
        yield from _conjuncts(e.left)
        yield from _conjuncts(e.right)
    else:
        yield e


def _condition(e: exp.Expr) -> Condition | None:
    if type(e) in _COMPARED:
        return _comparison(_COMPARED[type(e)], e.this.unnest(), e.expression.unnest())
    if isinstance(e, exp.In):
        return _membership(e)
    if isinstance(e, exp.Column):
        return Condition((e.name,), "true", ())
    if isinstance(e, exp.Not) and isinstance(e.this.unnest(), exp.Column):
        return Condition((e.this.unnest().name,), "false", ())
    if isinstance(e, exp.Or):
        sides = [_condition(side.unnest()) for side in (e.left, e.right)]
        if all(side is not None and side.op in ("=", "in") for side in sides):
            a, b = (side for side in sides if side is not None)
            return Condition(a.columns, "in", (*a.params, *b.params)) if a.columns == b.columns else None
    return None


def _comparison(op: str, left: exp.Expr, right: exp.Expr) -> Condition | None:
    if not isinstance(left, exp.Column):
        left, right, op = right, left, _TURNED[op]
    number = _param(right)
    return Condition((left.name,), op, (number,)) if isinstance(left, exp.Column) and number is not None else None


def _membership(e: exp.In) -> Condition | None:
    columns = [e.this] if isinstance(e.this, exp.Column) else e.this.expressions
    if not columns or not all(isinstance(c, exp.Column) for c in columns):
        return None
    names = tuple(c.name for c in columns)
    query = e.args.get("query")
    if query is None:
        items = [_param(item.unnest()) for item in e.expressions]
        fits = len(names) == 1 and items and None not in items
        return Condition(names, "in", tuple(n for n in items if n is not None)) if fits else None
    inner = query.unnest()
    if not isinstance(inner, exp.Select) or inner.args.get("from_") or len(inner.expressions) != len(names):
        return None
    arrays = [_param(item.this) for item in inner.expressions if isinstance(item, exp.Explode | exp.Unnest)]
    whole = len(arrays) == len(names) and None not in arrays
    return Condition(names, "any", tuple(n for n in arrays if n is not None)) if whole else None


def _param(e: exp.Expr) -> int | None:
    if isinstance(e, exp.Cast):
        e = e.this
    return int(e.name.removeprefix("p")) if isinstance(e, exp.Placeholder) else None


def _number(select: exp.Select, key: str) -> int | None:
    clause = select.args.get(key)
    return None if clause is None else _param(clause.expression.unnest())


def _order(select: exp.Select) -> tuple[tuple[str, bool, bool], ...] | None:
    clause = select.args.get("order")
    terms = clause.expressions if clause is not None else []
    if not all(isinstance(term, exp.Ordered) and isinstance(term.this, exp.Column) for term in terms):
        return None
    return tuple((t.this.name, bool(t.args.get("desc")), bool(t.args.get("nulls_first"))) for t in terms)
