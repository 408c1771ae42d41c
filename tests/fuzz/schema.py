"""Random tables: columns of every type that sources support, keys and links among them, data full of traps."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connectors.types import PgType, bpchar, numeric, varchar
from tests.differential.data import DATES, INSTANTS, WORDS, Column, Link, Table

BARE = PgType("numeric")
_NAMES = ("k", "k2", "a", "b", "c", "d", "e", "g", "h", "Big Col", "order", "v")
_FAR = tuple(dt.datetime.fromisoformat(t + "+00:00") for t in ("1969-12-31 23:59:59.999999", "2100-02-28 12:00:00"))
_EDGES = ("infinity", "-infinity", "0044-03-15 BC")
# How often each type comes; those that keys are of, more often.
_KINDS: tuple[tuple[PgType, int], ...] = (
    (PgType("int4"), 9), (PgType("int8"), 7), (PgType("text"), 9), (PgType("int2"), 3), (varchar(12), 4),
    (bpchar(3), 4), (PgType("bool"), 3), (PgType("date"), 5), (PgType("timestamptz"), 4), (PgType("timestamp"), 3),
    (numeric(12, 2), 4), (numeric(38, 10), 2), (BARE, 2), (PgType("float8"), 3), (PgType("float4"), 1),
    (PgType("uuid"), 2), (PgType("time"), 1), (PgType("bytea"), 1), (PgType("jsonb"), 1), (PgType("interval"), 1),
    (PgType("_int4"), 1), (PgType("_text"), 1),
)  # fmt: skip


class Pools:
    """The values from which one round's columns draw: small, so that columns of a family meet each other."""

    def __init__(self, r: random.Random) -> None:
        self.r = r
        words = [*r.sample(WORDS, 14), "a", "A", "a ", "", "ß", "ss", "é", "e"]
        short = [w for w in words if len(w) <= 12 and "\n" not in w]
        small = [*range(r.randint(4, 12)), -1]
        days = [*r.sample(DATES, 6), dt.date(2024, 5, 1), dt.date(9999, 12, 31), dt.date(1582, 10, 15)]
        instants = [*r.sample(INSTANTS, 8), *_FAR, dt.datetime(2024, 5, 1, tzinfo=dt.UTC)]
        money = [Decimal(t) for t in ("0.00", "0.10", "0.20", "0.30", "1.00", "1.50", "2.00", "19.99", "-2.50", "3.00")]
        longs = [
            *("0.0000000000", "1.0000000000", "2.0000000000", "1.5000000000", "-0.0000000001"),
            *("9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999", "3.0000000000"),
        ]
        tame = [0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, -2.5, 100.75]
        wild = [*tame, -0.0, 0.1, 0.30000000000000004, 1e15, 1e-308, 123456.789, float("nan"), float("inf")]
        self.tame, self.wild = tame, wild
        self.of: dict[str, list[Any]] = {
            "int2": [*small, 32767, -32768],
            "int4": [*small, 2147483647, -2147483648],
            "int8": [*small, 9223372036854775807, -9223372036854775808, 9007199254740993, 2147483648],
            "text": words,
            "varchar": short,
            "bpchar": ["a", "A", "b", "ab", "é", "abc", "ABC", ""],
            "bool": [True, False],
            "date": days,
            "timestamptz": instants,
            "timestamp": [i.replace(tzinfo=None) for i in instants],
            "money": money,
            "long": [Decimal(t) for t in longs],
            "bare": ["0", "1", "1.0", "1.00", "2", "2.50", "-0.000", "1" * 45 + ".5", "0." + "3" * 40, "12"],
            "odd": ["NaN", "1", "1.0", "Infinity", "-Infinity", "3"],
            "uuid": [str(uuid.UUID(int=r.getrandbits(128), version=4)) for _ in range(6)],
            "time": [dt.time(0), dt.time(23, 59, 59, 999999), dt.time(12, 30), dt.time(1, 2, 3, 4)],
            "bytea": [b"", b"\x00", b"a", b"\xff\x00\\", b"A"],
            "jsonb": ['{"p": 1}', '{"p": 1.0}', '{"p": null}', "[]", '"x"', '{"p": "a", "q": [1, 2]}', "null"],
            "interval": ["1 mon", "30 days", "1 day", "24:00:00", "-1 days +02:03:00", "00:00:00.000001"],
            "_int4": ["{}", "{1,2,3}", "{NULL,1}", "{3,2,1}"],
            "_text": ['{a,A,"a ",NULL}', '{"",b}', "{}"],
        }

    def pool(self, kind: PgType) -> list[Any]:
        """The values of one column of that type."""
        r = self.r
        if kind.name == "numeric":
            which = "money" if kind.mod >= 0 and kind.precision_scale[0] == 12 else "long" if kind.mod >= 0 else "bare"
            return self.of["odd" if which == "bare" and r.random() < 0.3 else which]
        if kind.name in ("float4", "float8"):
            # float4 keeps what both widths have exactly
            return self.wild if kind.name == "float8" and r.random() < 0.4 else self.tame
        found = self.of[kind.name]
        if kind.name == "date" and r.random() < 0.15:
            return [*found, *_EDGES]
        # Traps at the edges of integers are not in every column: they would make all of them useless as keys.
        return found[: r.randint(3, len(found))] if kind.name.startswith("int") and r.random() < 0.6 else found


@dataclass(frozen=True, slots=True)
class _Draft:
    """One column before it has rows."""

    column: Column
    pool: list[Any]
    nulls: float
    skew: bool

    def value(self, r: random.Random) -> Any:
        if r.random() < self.nulls:
            return None
        return self.pool[0] if self.skew and r.random() < 0.5 else r.choice(self.pool)


def _draft(name: str, pools: Pools) -> _Draft:
    r = pools.r
    kind = r.choices([k for k, _ in _KINDS], [w for _, w in _KINDS])[0]
    return _Draft(Column(name, kind), pools.pool(kind), r.choice((0.0, 0.1, 0.1, 0.3)), r.random() < 0.25)


def _keys(kind: PgType, count: int, r: random.Random) -> list[Any]:
    """Distinct values for the key of `count` rows."""
    if kind.name == "text":
        return r.sample(WORDS, min(count, len(WORDS)))
    if kind.name == "uuid":
        return [str(uuid.UUID(int=r.getrandbits(128), version=4)) for _ in range(count)]
    if kind.name == "date":
        return [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(count)]
    first = 9007199254740900 if kind.name == "int8" and r.random() < 0.3 else 0
    return [first + n for n in range(count)]


_KEY_KINDS = ("int4", "int4", "int8", "int8", "text", "uuid", "date")
_SIZES = (0, 1, 6, 12, 25, 25, 40, 60, 260)


def _size(r: random.Random) -> int:
    return r.choice(_SIZES)


def _table(name: str, pools: Pools, parents: list[Table]) -> Table:
    r = pools.r
    names = r.sample(_NAMES, r.randint(2, 7))
    drafts = [_draft(n, pools) for n in names]
    count = _size(r)
    columns: list[Column] = []
    data: list[list[Any]] = []
    key: tuple[str, ...] = ()
    if r.random() < 0.7:
        kind = PgType(r.choice(_KEY_KINDS))
        values = _keys(kind, count, r)
        count = len(values)
        columns.append(Column("id", kind))
        data.append(values)
        key = ("id",)
    elif r.random() < 0.5:
        columns += [Column("id", PgType("int4")), Column("n", PgType("int2"))]
        data += [[i // 3 for i in range(count)], [i % 3 for i in range(count)]]
        key = ("id", "n")
    links = _links(r, count, parents, columns, data)
    unique = _unique(r, count, columns, data)
    columns += [d.column for d in drafts]
    data += [[d.value(r) for _ in range(count)] for d in drafts]
    rows = tuple(zip(*data, strict=True)) if count else ()
    indexes = tuple(c.name for c in columns if c.name not in key and c.type.name in _INDEXED and r.random() < 0.3)
    return Table(name, tuple(columns), rows, key, indexes, _boundary(r, drafts), unique, links)


_INDEXED = ("int4", "int8", "date", "timestamptz", "uuid", "varchar")


def _links(
    r: random.Random, count: int, parents: list[Table], columns: list[Column], data: list[list[Any]]
) -> tuple[Link, ...]:
    """Columns that reference parents, one each: declared where no row dangles, else only meant."""
    found = []
    for parent in parents:
        if len(parent.key) != 1 or r.random() < 0.4:
            continue
        column = Column(f"{parent.name}_id", parent.columns[0].type)
        known = [*parent.values("id")]
        dangling = r.random() < 0.4
        if dangling:
            known += _keys(column.type, 3, r) if column.type.name != "text" else ["nowhere", "A "]
        known += [None] * (1 + len(known) // 8)
        columns.append(column)
        data.append([r.choice(known) for _ in range(count)])
        if not dangling:
            found.append(Link((column.name,), parent.name, parent.key))
    return tuple(found)


def _unique(r: random.Random, count: int, columns: list[Column], data: list[list[Any]]) -> tuple[tuple[str, ...], ...]:
    """A column of its own whose values are distinct, some of them NULL."""
    if r.random() > 0.3:
        return ()
    columns.append(Column("u", PgType("int8")))
    data.append([None if r.random() < 0.2 else 3 * n for n in range(count)])
    return (("u",),)


def _boundary(r: random.Random, drafts: list[_Draft]) -> tuple[str, Any] | None:
    """Where the table could be cut in a hot and a cold part."""
    fit = [d for d in drafts if d.column.type.name in ("date", "timestamptz", "timestamp", "int4", "int8")]
    fit = [d for d in fit if not any(isinstance(v, str) for v in d.pool)]
    if not fit:
        return None
    chosen = r.choice(fit)
    values = sorted(chosen.pool)
    return chosen.column.name, values[len(values) // 2]


def tables(seed: int, count: int = 5) -> tuple[Table, ...]:
    """The tables of one round, parents before those that reference them; the same seed gives the same rows."""
    pools = Pools(random.Random(seed))
    made: list[Table] = []
    for number in range(count):
        made.append(_table(f"t{number + 1}", pools, made))
    return tuple(made)


def value_of(kind: PgType, text: str | None) -> Any:
    """The Python value that `data.Table` holds for PostgreSQL's text of it."""
    if text is None:
        return None
    read: Callable[[str], Any] | None = _READ.get(kind.name)
    if kind.name == "numeric" and kind.mod >= 0:
        return Decimal(text)
    if kind.name in ("date", "timestamp", "timestamptz") and (text in _EDGES or "BC" in text):
        return text
    return text if read is None else read(text)


_READ: dict[str, Callable[[str], Any]] = {
    "bool": lambda text: text == "t",
    "int2": int,
    "int4": int,
    "int8": int,
    "float4": float,
    "float8": float,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "timestamp": dt.datetime.fromisoformat,
    "timestamptz": dt.datetime.fromisoformat,
    "bytea": lambda text: bytes.fromhex(text.removeprefix("\\x")),
}
