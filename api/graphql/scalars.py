"""PostgreSQL's types as GraphQL scalars: what goes out as text, what comes in as which Python value."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLError,
    GraphQLFloat,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLString,
    IntValueNode,
    StringValueNode,
    ValueNode,
)
from graphql.language import FloatValueNode

from connectors.types import BUILTIN, PgType

_INTEGER = re.compile(r"[+-]?\d{1,19}\Z", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?\Z", re.ASCII)
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?\Z", re.ASCII)
MAX_DIGITS = 2000


def _refuse(name: str, value: object, expected: str) -> GraphQLError:
    text = str(value)
    shown = text if len(text) <= 40 else text[:40] + "..."
    return GraphQLError(f"{name} cannot represent {shown!r}: {expected}")


def _big_int(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and _INTEGER.match(value):
        number = int(value)
    else:
        raise _refuse("BigInt", value, "send a whole number, best as a string")
    if not -(2**63) <= number < 2**63:
        raise _refuse("BigInt", value, "it has 64 bits")
    return number


def _decimal(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if (
        isinstance(value, str)
        and len(value) <= MAX_DIGITS
        and (_NUMBER.match(value) or value in ("NaN", "Infinity", "-Infinity"))
    ):
        return value
    if isinstance(value, float):
        raise _refuse("Decimal", value, "a JSON number has lost digits on its way; send a string")
    raise _refuse("Decimal", value, 'send a number as a string, such as "12.50"')


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _refuse(name, value, "send a string")
    return value


def _date(value: object) -> dt.date:
    try:
        return dt.date.fromisoformat(_text("Date", value))
    except ValueError:
        raise _refuse("Date", value, 'send an ISO date, such as "2024-02-29"') from None


def _timestamp(name: str, value: object, zoned: bool) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(_text(name, value))
    except ValueError:
        moment = None
    if moment is None or (moment.tzinfo is not None) != zoned:
        example = "2024-02-29T12:00:00+00:00" if zoned else "2024-02-29T12:00:00"
        raise _refuse(name, value, f'send an ISO timestamp with{"" if zoned else "out"} zone, such as "{example}"')
    return moment


def _date_time(value: object) -> dt.datetime:
    return _timestamp("DateTime", value, True)


def _local_date_time(value: object) -> dt.datetime:
    return _timestamp("LocalDateTime", value, False)


def _time(value: object) -> dt.time:
    text = _text("Time", value)
    try:
        if _TIME.match(text):
            return dt.time.fromisoformat(text)
    except ValueError:
        pass
    raise _refuse("Time", value, 'send a time without zone, such as "23:59:59"')


def _uuid(value: object) -> str:
    try:
        return str(uuid.UUID(_text("UUID", value)))
    except ValueError:
        raise _refuse("UUID", value, "send 32 hexadecimal digits, with or without hyphens") from None


def _bytes(value: object) -> bytes:
    text = _text("Bytes", value)
    try:
        return bytes.fromhex(text.removeprefix("\\x"))
    except ValueError:
        raise _refuse("Bytes", value, 'send hexadecimal digits, such as "\\\\x00ff"') from None


def _interval(value: object) -> str:
    return _text("Interval", value)


def _json(value: object) -> Any:
    return value


def _scalar(name: str, parse: Callable[[object], Any], description: str, url: str | None = None) -> GraphQLScalarType:
    def literal(node: ValueNode, _variables: object = None) -> Any:
        # Digits are read from the text: a literal must not pass through a float.
        if isinstance(node, IntValueNode | StringValueNode):
            return parse(node.value)
        if isinstance(node, FloatValueNode):
            return parse(node.value)
        raise GraphQLError(f"{name} cannot represent this literal: send a string", node)

    return GraphQLScalarType(
        name,
        description=description,
        specified_by_url=url,
        coerce_output_value=lambda value: value,
        coerce_input_value=parse,
        coerce_input_literal=literal,
    )


BIG_INT = _scalar("BigInt", _big_int, "A whole number of 64 bits, as a string.")
DECIMAL = _scalar("Decimal", _decimal, "An exact decimal number, as a string with all its digits.")
DATE = _scalar("Date", _date, 'A date, such as "2024-02-29"; also "infinity" and "-infinity".')
DATE_TIME = _scalar(
    "DateTime", _date_time, 'An instant in UTC, such as "2024-02-29T12:00:00.5+00:00"; also "infinity".'
)
LOCAL_DATE_TIME = _scalar("LocalDateTime", _local_date_time, 'A timestamp without zone, such as "2024-02-29T12:00:00".')
TIME = _scalar("Time", _time, 'A time of day without zone, such as "23:59:59".')
UUID = _scalar("UUID", _uuid, "A UUID in lower case.", "https://tools.ietf.org/html/rfc4122")
BYTES = _scalar("Bytes", _bytes, "Bytes in hexadecimal digits behind \\x.")
INTERVAL = _scalar("Interval", _interval, 'A span of time as PostgreSQL writes it, such as "1 day 02:00:00".')
JSON = _scalar("JSON", _json, "Any JSON value.")


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of one PostgreSQL type look in GraphQL.

    `text` is the type to which a value is cast so that JSON has it as text ("" where JSON's own form is right);
    `compare` the type of a filter's parameter, None where only `_is_null` makes sense; `native` tells that the
    Arrow form can be encoded without the canon.
    """

    scalar: GraphQLScalarType
    text: str = ""
    compare: PgType | None = None
    native: bool = True
    like: bool = False
    listed: bool = False
    finite: bool = False


def _kinds() -> dict[str, Kind]:
    def same(scalar: GraphQLScalarType, name: str, text: str = "", like: bool = False, finite: bool = False) -> Kind:
        return Kind(scalar, text, PgType(name), like=like, finite=finite)

    return {
        "bool": same(GraphQLBoolean, "bool"),
        "int2": Kind(GraphQLInt, compare=PgType("int4")),
        "int4": same(GraphQLInt, "int4"),
        "int8": same(BIG_INT, "int8", "text"),
        "oid": same(BIG_INT, "int8", "text"),
        "float4": same(GraphQLFloat, "float4", finite=True),
        "float8": same(GraphQLFloat, "float8", finite=True),
        "numeric": same(DECIMAL, "numeric", "text"),
        "text": same(GraphQLString, "text", like=True),
        "varchar": Kind(GraphQLString, compare=PgType("text"), like=True),
        "bpchar": same(GraphQLString, "bpchar", like=True),
        "name": same(GraphQLString, "name", like=True),
        "bytea": same(BYTES, "bytea"),
        "date": same(DATE, "date"),
        "time": same(TIME, "time"),
        "timestamp": same(LOCAL_DATE_TIME, "timestamp"),
        "timestamptz": same(DATE_TIME, "timestamptz"),
        "uuid": same(UUID, "uuid"),
        "interval": same(INTERVAL, "interval"),
        "json": Kind(JSON, native=False),
        "jsonb": Kind(JSON, native=False),
        "money": same(GraphQLString, "money", "text"),
        "xml": Kind(GraphQLString, "text"),
    }


KINDS = _kinds()


def kind(column: PgType) -> Kind:
    """How a column of that type looks; types without an entry are text, as PostgreSQL prints them."""
    if column.name.startswith("_"):
        item = kind(PgType(column.name[1:]))
        return Kind(item.scalar, "text[]" if item.text else "", native=False, listed=True)
    if column.name in KINDS:
        return KINDS[column.name]
    return Kind(GraphQLString, "text", column.bare if column.name in BUILTIN and column.name != "unknown" else None)
