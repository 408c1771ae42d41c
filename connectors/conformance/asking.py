"""Short ways to ask a connector, for tests."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pyarrow as pa

from connectors import arrow
from connectors.base import Bound, Cancel, Connector, SourceQuery, Unfit
from connectors.types import PgType

INT8 = PgType("int8")


def ask(
    connector: Connector,
    *parts: str | Bound,
    columns: tuple[PgType, ...] = (INT8,),
    small: bool = False,
    timeout: float = 30,
    cancel: Cancel | None = None,
    unfit: tuple[tuple[int, Unfit], ...] = (),
) -> pa.Table:
    """Run a statement, its parameters in place, and gather the batches; their schema is checked."""
    query = replace(statement(*parts, columns=columns, small=small), unfit=unfit)
    batches = list(connector.execute(query, timeout=timeout, cancel=cancel or Cancel()))
    assert batches, "at least one batch is promised"
    left = sum((Counter(arrow.left_out(batch)) for batch in batches), Counter[int]())
    metadata = {arrow.LEFT_OUT: json.dumps(left)} if left else None
    plain = [batch.replace_schema_metadata(None) for batch in batches]
    return pa.Table.from_batches(plain, query.schema).replace_schema_metadata(metadata)


def statement(*parts: str | Bound, columns: tuple[PgType, ...] = (INT8,), small: bool = False) -> SourceQuery:
    """A SourceQuery with its parameters in place."""
    params = tuple(part for part in parts if isinstance(part, Bound))
    numbers = iter(range(len(params)))
    return SourceQuery(tuple(p if isinstance(p, str) else next(numbers) for p in parts), params, columns, small)


def stored(values: pa.ChunkedArray) -> list[Any]:
    """Values as Arrow stores them: dates and times as integers, decimals as text."""
    kind = values.type
    if pa.types.is_date32(kind):
        return values.combine_chunks().view(pa.int32()).to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind):
        return values.combine_chunks().view(pa.int64()).to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_decimal(kind):
        return [None if value is None else format(value, "f") for value in values.to_pylist()]
    return values.to_pylist()  # type: ignore[no-any-return]
