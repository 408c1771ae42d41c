"""Statements for MariaDB and MySQL: parameters as literals (their drivers inline them too), floats fetched exactly."""

from __future__ import annotations

import datetime
import math
import re
import struct
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from connectors.base import Bound, SourceQuery
from connectors.errors import SourceError
from connectors.types import PgType

NO_ROWS = "SELECT NULL FROM DUAL WHERE FALSE"  # IN (NULL) would be NULL, which NOT IN must not be
_ALL_ROWS = " LIMIT 18446744073709551615"
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`""")
_INTEGERS = frozenset(("int2", "int4", "int8", "oid"))
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def inlined(query: SourceQuery, *, exact: bool = True) -> str:
    """The statement with its parameters as literals; an array becomes the list that IN takes. `exact`: as below."""
    text = "".join(part if isinstance(part, str) else literal(query.params[part]) for part in query.parts)
    return exact_floats(text, query.columns) if exact else text


def literal(bound: Bound) -> str:
    """A value as a literal of its type; SourceError HV004 for one that MySQL has not (NaN, infinities, BC)."""
    kind, value = bound.type, bound.value
    if kind.name.startswith("_"):
        element = PgType(kind.name[1:])
        return ", ".join(literal(Bound(element, item)) for item in value or ()) or NO_ROWS
    if value is None:
        return "NULL"
    try:
        return _literal(kind.name, value)
    except (ValueError, InvalidOperation, OverflowError):
        raise SourceError(
            f"a parameter of type {kind.sql} has a value that MariaDB and MySQL cannot hold",
            sqlstate="HV004",
            hint="they have no NaN, no infinity and no year outside 0001 to 9999",
        ) from None


def exact_floats(text: str, columns: Sequence[PgType]) -> str:
    """The statement with its FLOAT columns widened: the server prints but six digits of a FLOAT."""
    if all(column.name != "float4" for column in columns):
        return text
    outputs = [f"c{i} + 0e0 AS c{i}" if column.name == "float4" else f"c{i}" for i, column in enumerate(columns)]
    return derived(text, outputs, len(columns))


def derived(text: str, outputs: Sequence[str], count: int) -> str:
    """A statement that makes `outputs` of the columns c0, c1 ... of another, in its order."""
    bare = _top_level(text)
    if re.search(r"\bORDER\s+BY\b", bare, re.I) and not re.search(r"\b(LIMIT|FETCH)\b", bare, re.I):
        text += _ALL_ROWS  # an order without a limit is dropped from a derived table
    names = ", ".join(f"c{i}" for i in range(count))
    return f"WITH q({names}) AS ({text}) SELECT {', '.join(outputs)} FROM q"  # noqa: S608 - names are c0, c1, ...


def _literal(kind: str, value: Any) -> str:
    if kind == "bool":
        return "TRUE" if value in (True, "t", "true") else "FALSE"
    if kind in _INTEGERS:
        return str(int(value))
    if kind == "numeric":
        return _decimal(value)
    if kind in ("float4", "float8"):
        return _float(kind, float(value))
    if kind == "bytea":
        return f"X'{bytes(value).hex()}'"
    if kind in ("date", "time", "timestamp", "timestamptz"):
        return _instant(kind, value)
    # a stored char(n) has no trailing blanks, and blanks at its end mean nothing
    return _string(str(value).rstrip(" ") if kind == "bpchar" else str(value))


def _decimal(value: Any) -> str:
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("not finite")
    text = format(number, "f")
    return text if "." in text else f"{text}."  # without a point it would be a BIGINT, and so would sums of it


def _float(kind: str, value: float) -> str:
    if not math.isfinite(value):
        raise ValueError("not finite")
    text = repr(struct.unpack("f", struct.pack("f", value))[0] if kind == "float4" else value)
    return text if "e" in text else f"{text}e0"


def _instant(kind: str, value: Any) -> str:
    if isinstance(value, str) and not _ISO_DATE.match(value) and kind != "time":
        raise ValueError("an infinity or a year out of range")
    if kind == "date":
        day = value if isinstance(value, datetime.date) else datetime.date.fromisoformat(value)
        return f"DATE'{day.isoformat()}'"
    if kind == "time":
        return f"TIME'{value if isinstance(value, str) else value.isoformat()}'"
    moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(value)
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return f"TIMESTAMP'{moment.isoformat(' ')}'"


def _string(text: str) -> str:
    if "\\" in text or "\0" in text:
        # right whatever sql_mode says of backslashes
        return f"_utf8mb4 X'{text.encode().hex()}'"
    return "'" + text.replace("'", "''") + "'"


def _top_level(text: str) -> str:
    """The words of a statement that stand outside quotes and parentheses."""
    depth, kept = 0, []
    for char in _QUOTED.sub("''", text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            kept.append(char)
    return "".join(kept)
