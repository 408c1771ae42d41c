"""Arrow values that PostgreSQL has no type for, as text that loses nothing: JSON for what is nested."""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa

from connectors import decimals
from connectors.types import PgType


def printed(values: pa.Array, kind: PgType) -> pa.Array:
    """Each value as text: decimals digit by digit, nested ones as JSON, bytes in JSON as hexadecimal digits."""
    if pa.types.is_decimal(values.type):
        return decimals.printed(values)
    if kind.name == "json" or pa.types.is_nested(values.type):
        return _each(values, _document)
    if pa.types.is_duration(values.type) or pa.types.is_interval(values.type):
        return _durations(values)
    if kind.name == "uuid":
        return _each(values, lambda value: str(value if isinstance(value, uuid.UUID) else uuid.UUID(bytes=value)))
    return _each(values, _scalar)


def _each(values: pa.Array, tell: Any) -> pa.Array:
    return pa.array([None if value is None else tell(value) for value in values.to_pylist()], pa.string())


def _durations(values: pa.Array) -> pa.Array:
    """As ISO 8601 has them; months, days and nanoseconds are apart."""
    if pa.types.is_duration(values.type):
        scale = {"s": 0, "ms": 3, "us": 6, "ns": 9}[values.type.unit]
        counts = values.cast(pa.int64())
        return _each(counts, lambda count: f"PT{format(Decimal(count).scaleb(-scale).normalize(), 'f')}S")
    return _each(values, lambda v: f"P{v[0]}M{v[1]}DT{format(Decimal(v[2]).scaleb(-9).normalize(), 'f')}S")


def _document(value: Any) -> str:
    """JSON, written here as json.dumps would make doubles of decimals."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(str(key))}: {_document(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_document, value)) + "]"
    if value is None:
        return "null"
    told = _scalar(value)
    bare = isinstance(value, bool | int | Decimal) or (isinstance(value, float) and math.isfinite(value))
    return told if bare else _text(told)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Decimal):
        return decimals.plain(value)
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)
