"""The values that engines disagree about, by type, in one table for each engine; semantics.md says why each is here.

Values are PostgreSQL's texts. Row r has value r % n of a type in its column `a`, and value r // n % n in `b`, so that
over all rows each meets each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.types import PgType, bpchar, numeric

ROWS = 1_850
TEXT, DATE, TS = PgType("text"), PgType("date"), PgType("timestamp")

_TEXTS = (
    *("a", "A", "á", "Á", "a ", " a", "", " ", "ab", "AB", "aB", "b", "B", "ß", "ss", "SS", "é", "e\u0301", "_", "%"),
    *(
        "a%b",
        "a\\b",
        "axb",
        "a'b",
        'a"b',
        "a\nb",
        "\t",
        "10",
        "9",
        "1e3",
        "-1",
        "NaN",
        "😀",
        "\uffee",
        "日本",
        "İ",
        "Σ",
    ),
    *("a,b,,c", "abcdefghijklmnop", "[a-z]", "2024-02-29", "NULL"),
)
_DATES = (
    *("2024-02-29", "2024-02-28", "2024-03-01", "2023-12-31", "2024-01-01", "2021-01-03", "2021-01-04", "2024-12-30"),
    *("2024-03-31", "2024-05-31", "1970-01-01", "1969-12-31", "2000-02-29", "1900-03-01", "1582-10-15", "2100-02-28"),
    *("9999-12-31", "1000-01-01", "2020-12-31", "2000-01-01", "2001-01-01"),
)
_FAR_DATES = ("infinity", "-infinity", "0001-01-01", "0044-03-15 BC", "0099-12-31")
_TIMES = (
    *("2024-02-29 12:34:56.789012", "2024-02-29 00:00:00", "2023-12-31 23:59:59.999999", "2024-01-01 00:00:00"),
    *("2024-01-01 00:00:00.000001", "2021-01-03 23:59:59", "2024-03-10 07:30:00", "2024-11-03 05:30:00.5"),
    *("1970-01-01 00:00:01", "2020-12-31 23:00:00", "2024-12-30 12:00:00", "2024-05-31 01:02:03.000004"),
    *(
        "2000-02-29 05:00:00",
        "2037-12-31 00:00:00",
        "2001-01-01 00:00:00",
        "2024-04-01 00:00:00",
        "2024-07-01 09:08:07",
    ),
)
_OLD_TIMES = ("1969-12-31 23:59:59.999999", "1900-01-01 00:00:00.1", "2100-02-28 12:00:00", "9999-12-31 23:59:59")
_FAR_TIMES = ("infinity", "-infinity", "0001-01-01 00:00:00", "0044-03-15 11:00:00 BC")

VALUES: Mapping[str, tuple[str, ...]] = {
    "int2": ("0", "1", "-1", "2", "3", "7", "-7", "32767", "-32768", "100"),
    "int4": ("0", "1", "-1", "2", "3", "7", "-7", "2147483647", "-2147483648", "1000000", "16", "365"),
    "int8": ("0", "1", "-1", "9223372036854775807", "-9223372036854775808", "9007199254740993", "9007199254740992",
             "2147483648", "7", "-7", "3"),
    "money": ("0.00", "0.10", "0.20", "0.30", "-0.01", "1.50", "2.50", "-2.50", "9999999999.99", "-9999999999.99",
              "77.00", "0.05", "3.00"),
    "rate": ("0.000", "0.100", "0.200", "0.300", "-0.001", "1.005", "2.500", "9999999.999", "77.000", "0.050"),
    "long": ("0.0000000000", "0.1000000000", "9999999999999999999999999999.9999999999", "3.3333333333",
             "-9999999999999999999999999999.9999999999", "12345678901234567.8901234567", "0.0000000001"),
    "free": ("0", "0.0", "1.5", "1.50", "NaN", "Infinity", "-Infinity", "1e-30", "12345678901234567890123456789.5",
             "-7", "3", "100", "0.1"),
    "float8": ("0", "0.1", "0.2", "0.3", "0.30000000000000004", "1.5", "2.5", "0.5", "-2.5", "1e308", "1e-300",
               "1e15", "1e16", "123456.789", "-7", "3"),
    "float4": ("0", "0.1", "1.1", "1.5", "-2.25", "16777216", "3.4e+38", "0.3"),
    "text": _TEXTS,
    "bpchar": ("a", "A", "ab", "", "b", "é", "a b", "12345", "ä"),
    "date": _DATES,
    "timestamp": (*_TIMES, *_OLD_TIMES),
    "timestamptz": tuple(f"{text}+00" for text in (*_TIMES, *_OLD_TIMES)),
    "time": ("00:00:00", "23:59:59.999999", "12:30:00", "01:02:03.000004", "02:30:00"),
    "bool": ("t", "f"),
    "uuid": ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
             "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "0a0eebc9-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "bytea": ("\\x", "\\x00", "\\xff", "\\x61", "\\x6100", "\\x5c27"),
    "interval": ("00:00:00", "1 mon", "30 days", "720:00:00", "1 day", "24:00:00", "-1 days", "1 year", "12 mons"),
    "jsonb": ('{"a": 1, "b": null}', '{"a": "x", "b": [1, 2.50, "y"]}', "[1, 2]", '"s"', "null",
              '{"a": {"b": 1.0}, "ä": true}', "{}"),
}  # fmt: skip
# What only some engines can hold.
FAR: Mapping[str, tuple[str, ...]] = {
    "date": _FAR_DATES,
    "timestamp": _FAR_TIMES,
    "timestamptz": ("infinity", "-infinity", "0001-01-01 00:00:00+00", "0044-03-15 11:00:00+00 BC"),
    "float8": ("NaN", "Infinity", "-Infinity", "-0"),
    "float4": ("NaN", "Infinity", "-Infinity", "-0"),
    "time": ("24:00:00",),
}

KINDS: Mapping[str, PgType] = {
    "money": numeric(12, 2), "rate": numeric(10, 3), "long": numeric(38, 10), "free": PgType("numeric"),
    "bpchar": bpchar(5), **{f"text_{c}": TEXT for c in ("bytes", "equal", "loose")},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trap:
    """A column of the table: `value` names its values, `kind` is its type."""

    name: str
    value: str
    kind: PgType


def columns(held: Mapping[str, str]) -> list[Trap]:
    """Two columns, `x_a` and `x_b`, for each kind of values x that an engine holds; `held` are their declarations."""
    made = []
    for value in held:
        kind = KINDS.get(value) or PgType(value)
        made += [Trap(f"{value}_{side}", value, kind) for side in "ab"]
    return made


def rows(
    traps: list[Trap], far: bool, fits: Callable[[str, str], bool] = lambda *_: True
) -> list[tuple[str | None, ...]]:
    """The rows, `id` first; every type also has NULL. `far`: with what is beyond an ordinary engine's range."""
    pools: dict[str, list[str | None]] = {}
    for trap in traps:
        name = "text" if trap.value.startswith("text_") else trap.value
        every = (*VALUES[name], *(FAR.get(name, ()) if far else ()))
        pools[trap.value] = [None, *(v for v in every if fits(name, v))]
    return [(str(r), *(_pick(pools[t.value], r, t.name.endswith("_b")) for t in traps)) for r in range(ROWS)]


def enough(traps: list[Trap], names: set[str]) -> int:
    """How many of the first rows have all combinations of the values of these columns."""
    used = [t for t in traps if t.name in names]
    kinds = {t.value for t in used}
    if len(kinds) != 1:
        return ROWS
    name = next(iter(kinds))
    most = 1 + len(VALUES["text" if name.startswith("text_") else name]) + len(FAR.get(name, ()))
    return min(ROWS, most * (most if any(t.name.endswith("_b") for t in used) else 1))


def _pick(pool: list[str | None], row: int, second: bool) -> str | None:
    return pool[(row // len(pool) if second else row) % len(pool)]
