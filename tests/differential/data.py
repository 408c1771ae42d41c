"""Adversarial CRM-like tables, seeded: what makes engines disagree is in them on purpose."""

from __future__ import annotations

import datetime as dt
import json
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from connectors.types import PgType, bpchar, numeric, varchar

T = TypeVar("T")
TEXT, INT2, INT4, INT8 = PgType("text"), PgType("int2"), PgType("int4"), PgType("int8")
FLOAT4, FLOAT8, BOOL = PgType("float4"), PgType("float8"), PgType("bool")
DATE, TIME, TS, TSTZ = PgType("date"), PgType("time"), PgType("timestamp"), PgType("timestamptz")
UUID, JSONB, BYTEA = PgType("uuid"), PgType("jsonb"), PgType("bytea")
MONEY, LONG = numeric(12, 2), numeric(38, 10)

WORDS = (
    *("a", "A", "á", "Á", "ä", "Ä", "a ", "a  ", " a", "", " ", "ab", "AB", "Ab", "aB", "b", "B", "ba", "Z", "z"),
    *("ß", "ss", "SS", "ẞ", "straße", "STRASSE", "strasse", "é", "e\u0301", "e", "E", "É", "ñ", "n", "Ñ", "œ", "oe"),
    *("_", "%", "a%b", "a_b", "a\\b", "a\\%b", "axb", "100%", "a'b", 'a"b', "a\nb", "\t", "a\tb", "O'Brien", "o'brien"),
    *("1", "10", "2", "02", "1e3", " 1", "-1", "0", "00", "null", "NULL", "true", "TRUE", "t", "NaN", "2024-02-30"),
    *("😀", "😁", "\uffee", "\ue000", "İ", "ı", "i", "I", "ﬁ", "fi", "Σ", "σ", "ς", "Ж", "ж", "日本", "日", "ａ", "~"),
    *("a\u00a0", "a\u200b", "co-op", "coop", "co op", "Zoë", "zoe", "ZOE", "hello", "Hello World", "hello  world"),
    *("x" * 300, "abcdefghijklmnop", "2024-02-29", "[a-z]", "a.c", "abc", "ABC", "aBc", "gold", "GOLD", "s"),
)
STATUSES = ("open", "Open", "OPEN", "open ", "closed", "Closed", "paid", "PAID", "", None, "öpen", "returned")
COUNTRIES = ("DE", "de", "FR", "US", "us", "ES", "N", None, "CH")
CITIES = ("Zürich", "Zurich", "zürich", "München", "Munchen", "MÜNCHEN", "Köln", "Koln", "Paris", "paris", "", None)
CHANNELS = ("web", "Web", "WEB", "shop", "phone", "phone ", "e-mail", "email", None)
CATEGORIES = ("Books", "books", "BOOKS", "Toys", "toys ", "Café", "Cafe", "cafe", "", None)
KINDS = ("login", "Login", "click", "CLICK", "view", "view ", "purchase", "logout", None)
SUBJECTS = ("Login broken", "login broken", "LOGIN BROKEN ", "Größe falsch", "grosse falsch", "50% off", "50_off", "")
CURRENCIES = ("EUR", "USD", "CHF", "eur", "JPY")

_UTC = dt.UTC
BOUNDARY = dt.datetime(2024, 5, 1, tzinfo=_UTC)


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=_UTC)


# Around both changes of clocks of New York and Berlin in 2024, the turn of years, ISO week 53, a leap day.
INSTANTS = tuple(
    _instant(text)
    for text in (
        *("2024-03-10 06:59:59.999999", "2024-03-10 07:00:00", "2024-03-10 07:30:00", "2024-03-09 23:30:00"),
        *("2024-11-03 05:30:00", "2024-11-03 06:30:00", "2024-11-03 04:00:00", "2024-11-03 05:59:59.999999"),
        *("2024-03-31 00:59:59.999999", "2024-03-31 01:00:00", "2024-03-31 00:30:00", "2024-03-30 23:00:00"),
        *("2024-10-27 00:30:00", "2024-10-27 01:30:00", "2024-10-27 00:59:59.5", "2024-10-26 22:00:00"),
        *("2023-12-31 23:59:59.999999", "2024-01-01 00:00:00", "2024-01-01 00:00:00.000001", "2024-12-30 12:00:00"),
        *("2021-01-01 00:00:00", "2021-01-03 23:59:59", "2020-12-31 23:00:00", "2024-02-29 12:34:56.789012"),
        *("2024-02-29 00:00:00", "2024-02-28 23:59:59.999999", "2024-03-01 00:00:00", "2000-02-29 05:00:00"),
    )
)
DATES = tuple(
    dt.date.fromisoformat(text)
    for text in (
        *(
            "2024-02-29",
            "2024-02-28",
            "2024-03-01",
            "2023-02-28",
            "2000-02-29",
            "2023-12-31",
            "2024-01-01",
            "2021-01-01",
        ),
        *(
            "2021-01-03",
            "2021-01-04",
            "2024-12-30",
            "2024-12-29",
            "2024-01-31",
            "2024-03-31",
            "2024-05-31",
            "1970-01-01",
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the canonical table."""

    name: str
    type: PgType


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key: `columns` reference the key of `table`."""

    columns: tuple[str, ...]
    table: str
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A canonical table: Python values row by row (text forms for uuid, jsonb and what Python has no type for).

    `boundary` (a column, a value) is where a hot and a cold part meet, if it is split so. `key` and `unique` hold of
    the rows; NULL may stand in a unique column, not in a key.
    """

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    key: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    boundary: tuple[str, Any] | None = None
    unique: tuple[tuple[str, ...], ...] = ()
    links: tuple[Link, ...] = ()

    def position(self, name: str) -> int:
        """Where the column stands."""
        return [column.name for column in self.columns].index(name)

    def values(self, name: str) -> list[Any]:
        """All values of one column."""
        at = self.position(name)
        return [row[at] for row in self.rows]


def _columns(**types: PgType) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in types.items())


class _Draw:
    """One stream of random choices; nulls come in the share that is asked for."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def maybe(self, value: T, share: float = 0.12) -> T | None:
        return None if self.random.random() < share else value

    def pick(self, values: Sequence[T]) -> T:
        return self.random.choice(values)

    def skewed(self, count: int) -> int:
        """1..count, the first few far more often."""
        return (
            min(count, 1 + int(self.random.paretovariate(0.7)) - 1)
            if self.random.random() < 0.5
            else self.random.randint(1, count)
        )

    def decimal(self, whole: int, scale: int) -> Decimal:
        """Up to `whole` digits before the point and exactly `scale` after it, either sign."""
        digits = self.random.randint(0, whole)
        number = self.pick((1, 1, 1, -1)) * self.random.randrange(10 ** (digits + scale))
        return Decimal(f"{number}e-{scale}")

    def instant(self) -> dt.datetime:
        if self.random.random() < 0.35:
            return self.pick(INSTANTS)
        start = dt.datetime(2023, 6, 1, tzinfo=_UTC)
        fine = self.pick((0, 0, 500000, 123456, 999999))
        return start + dt.timedelta(seconds=self.random.randrange(86400 * 560), microseconds=fine)

    def day(self) -> dt.date:
        if self.random.random() < 0.35:
            return self.pick(DATES)
        return dt.date(2023, 1, 1) + dt.timedelta(days=self.random.randrange(800))


def _code(draw: _Draw, number: int) -> str:
    """Customer code in one of the spellings that a loose collation merges."""
    base = f"K{number % 40:02d}é" if number % 7 == 0 else f"K{number % 40:02d}"
    return draw.pick((base, base, base.lower(), base + " ", base.replace("é", "e"), base.upper()))


def _words(draw: _Draw) -> Table:
    pool = [*WORDS, *(draw.pick(WORDS) for _ in range(40)), *([None] * 8)]
    draw.random.shuffle(pool)
    short = [w for w in WORDS if len(w) <= 8]
    rows = tuple(
        (
            number,
            s,
            draw.maybe(draw.pick(short)),
            draw.maybe(draw.pick([w for w in WORDS if len(w) <= 12])),
            draw.maybe(s if number % 9 == 0 else draw.pick(WORDS)),
            draw.maybe(bytes(draw.random.randrange(256) for _ in range(draw.random.randrange(5)))),
        )
        for number, s in enumerate(pool, 1)
    )
    return Table("words", _columns(id=INT4, s=TEXT, c=bpchar(8), v=varchar(12), w=TEXT, b=BYTEA), rows, ("id",), ("s",))


def _nums(draw: _Draw) -> Table:
    i2 = (0, 1, -1, 2, 3, 7, -7, 32767, -32768, 100)
    i4 = (0, 1, -1, 2, 3, 7, -7, 2147483647, -2147483648, 1000000, 16)
    i8 = (0, 1, -1, 9223372036854775807, -9223372036854775808, 9007199254740993, 9007199254740992, 2147483648, 7)
    f8 = (
        0.0,
        -0.0,
        0.1,
        0.2,
        0.3,
        0.30000000000000004,
        1.5,
        2.5,
        0.5,
        -2.5,
        1e308,
        1e-308,
        1.1,
        1e15,
        1e16,
        123456.789,
    )
    f4 = (0.0, 0.1, 1.1, 1.5, -2.25, 16777216.0, 3.4e38, 0.3)
    d = tuple(
        Decimal(text)
        for text in (
            *("0.0000000000", "0.1000000000", "0.2000000000", "0.3000000000", "-0.0000000001", "1.5000000000"),
            *("2.5000000000", "-2.5000000000", "9999999999999999999999999999.9999999999", "3.3333333333"),
            *("-9999999999999999999999999999.9999999999", "1234567890123456789012345678.0123456789", "100.0000000000"),
            *("12345678901234567.8901234567", "12345678901234567.8901234568", "0.0000000001", "7.0000000000"),
        )
    )
    rows = tuple(
        (
            number,
            draw.maybe(draw.pick(i2)),
            draw.maybe(draw.pick(i4)),
            draw.maybe(draw.pick(i8)),
            draw.maybe(draw.pick(f8)),
            draw.maybe(draw.pick(f4)),
            draw.maybe(draw.pick(d)),
            draw.maybe(
                draw.pick((draw.decimal(6, 2), Decimal("0.10"), Decimal("0.20"), Decimal("0.30"), Decimal("77.00")))
            ),
            draw.maybe(draw.pick((True, False))),
        )
        for number in range(1, 91)
    )
    columns = _columns(id=INT4, i2=INT2, i4=INT4, i8=INT8, f8=FLOAT8, f4=FLOAT4, d=LONG, e=numeric(10, 2), b=BOOL)
    return Table("nums", columns, rows, ("id",))


def _moments(draw: _Draw) -> Table:
    far = tuple(_instant(text) for text in ("1969-12-31 23:59:59.999999", "1900-01-01 00:00:00", "2100-02-28 12:00:00"))
    times = (dt.time(0), dt.time(23, 59, 59, 999999), dt.time(12, 30), dt.time(1, 2, 3, 4), dt.time(2, 30))
    pool = [*INSTANTS, *far, *(draw.instant() for _ in range(60))]
    rows = tuple(
        (
            number,
            draw.maybe(tz),
            draw.maybe(draw.pick(pool).replace(tzinfo=None)),
            draw.maybe(draw.pick((*DATES, dt.date(1582, 10, 15), dt.date(9999, 12, 31), draw.day()))),
            draw.maybe(draw.pick(times)),
        )
        for number, tz in enumerate(pool, 1)
    )
    return Table("moments", _columns(id=INT4, tz=TSTZ, ts=TS, d=DATE, tod=TIME), rows, ("id",))


def _customers(draw: _Draw) -> Table:
    names = [w for w in WORDS if len(w) <= 40]
    rows = tuple(
        (
            number,
            draw.maybe(_code(draw, number), 0.06),
            draw.maybe(draw.pick(names), 0.08),
            draw.maybe(
                f"{draw.pick(('Ann', 'ann', 'Bob', 'bob ', 'Zoë', 'zoe'))}{number % 30}@{draw.pick(('x.com', 'X.com'))}"
            ),
            draw.pick(CITIES),
            draw.pick(COUNTRIES),
            draw.maybe(draw.pick((True, False))),
            draw.maybe(draw.pick((0.0, -0.0, 0.1, 1.5, 2.5, 99.99, -3.25, draw.random.uniform(-10, 10)))),
            draw.maybe(draw.decimal(7, 2)),
            draw.maybe(draw.decimal(28, 10)),
            draw.maybe(draw.day()),
            draw.maybe(draw.instant(), 0.08),
            draw.maybe(draw.instant().replace(tzinfo=None), 0.15),
            draw.maybe(str(uuid.UUID(int=draw.random.getrandbits(128), version=4))),
            draw.maybe(draw.random.randint(-5, 12)),
            draw.maybe(draw.random.randint(1, 30), 0.3),
        )
        for number in range(1, 151)
    )
    columns = _columns(
        id=INT4, code=TEXT, name=varchar(40), email=TEXT, city=TEXT, country=bpchar(2), vip=BOOL, score=FLOAT8,
        credit=MONEY, balance=LONG, born=DATE, created=TSTZ, updated=TS, ref=UUID, rank=INT2, manager_id=INT4,
    )  # fmt: skip
    return Table("customers", columns, rows, ("id",), ("code",))


def _accounts(draw: _Draw) -> Table:
    rows = tuple(
        (
            9007199254740900 + number * 3 if number % 5 else -number,
            draw.maybe(draw.random.randint(1, 170), 0.08),
            draw.maybe(f"{draw.pick(('de', 'DE', 'Fr'))}{draw.random.randrange(60):04d}"),
            draw.pick(("gold", "GOLD", "silver", "s", "basic", None)),
            draw.maybe(draw.decimal(28, 10)),
            draw.maybe(draw.random.uniform(-0.5, 0.5)),
            draw.maybe(draw.day()),
            draw.maybe(draw.day(), 0.6),
            draw.maybe(draw.pick((True, False))),
            draw.pick((*CURRENCIES, None)),
        )
        for number in range(1, 91)
    )
    columns = _columns(
        id=INT8, customer_id=INT4, number=varchar(34), kind=bpchar(6), balance=LONG, rate=FLOAT8, opened=DATE,
        closed=DATE, active=BOOL, currency=bpchar(3),
    )  # fmt: skip
    return Table("accounts", columns, rows, ("id",), ("customer_id",))


SKUS = (
    *(f"{prefix}-{n}" for n in range(12) for prefix in ("ab", "AB", "Ab", "äb", "ab ")),
    *("ß-1", "ss-1", "_-%", "😀-1"),
)


def _products(draw: _Draw) -> Table:
    rows = tuple(
        (
            sku,
            draw.maybe(draw.pick(WORDS), 0.1),
            draw.maybe(abs(draw.decimal(4, 2)), 0.1),
            draw.maybe(draw.pick((0.1, 1.5, 2.25, 0.3, 1000.5))),
            draw.pick(CATEGORIES),
            draw.maybe(draw.pick((0, 0, 1, 5, 17, 32767, -3))),
            draw.maybe(draw.day()),
            draw.maybe(draw.pick((True, False))),
            draw.maybe(",".join(draw.pick(("red", "Red", "blue", "", "x y")) for _ in range(draw.random.randrange(4)))),
        )
        for sku in SKUS
    )
    columns = _columns(
        sku=TEXT, title=TEXT, price=numeric(10, 2), weight=FLOAT4, category=TEXT, stock=INT2, launched=DATE,
        discontinued=BOOL, tags=TEXT,
    )  # fmt: skip
    return Table("products", columns, rows, (), ("sku",))


def _orders(draw: _Draw) -> Table:
    rows = tuple(
        (
            1000 + number if number % 50 else 9007199254740992 + number,
            draw.maybe(draw.skewed(165), 0.05),
            draw.maybe(_code(draw, draw.random.randint(1, 60)), 0.1),
            draw.pick(STATUSES),
            draw.maybe(draw.pick((draw.decimal(6, 2), Decimal("100.00"), Decimal("0.00"), Decimal("19.99"))), 0.08),
            draw.maybe(draw.decimal(20, 10)),
            draw.maybe(draw.pick((1.0, 1.1, 0.9, 0.0, draw.random.uniform(0.5, 2)))),
            draw.maybe(draw.instant(), 0.05),
            draw.maybe(draw.instant().replace(tzinfo=None), 0.3),
            draw.maybe(draw.day()),
            draw.pick(CHANNELS),
            draw.maybe(draw.random.randint(0, 4)),
            draw.maybe(draw.pick((True, False))),
        )
        for number in range(1, 381)
    )
    columns = _columns(
        id=INT8, customer_id=INT4, customer_code=TEXT, status=TEXT, amount=MONEY, tax=LONG, fx=FLOAT8, placed=TSTZ,
        shipped=TS, due=DATE, channel=varchar(10), priority=INT2, paid=BOOL,
    )  # fmt: skip
    return Table("orders", columns, rows, ("id",), ("customer_id", "placed"), ("placed", BOUNDARY))


def _order_lines(draw: _Draw, orders: Table) -> Table:
    ids = orders.values("id")
    rows = []
    for order in draw.random.sample(ids, 230):
        for line in range(1, draw.pick((1, 1, 2, 3)) + 1):
            sku = draw.maybe(draw.pick((*SKUS, "missing", "AB-3 ")), 0.05)
            qty = draw.maybe(draw.pick((0, 1, 1, 2, 3, -1, 12)), 0.07)
            price = draw.maybe(abs(draw.decimal(4, 2)), 0.07)
            note = draw.maybe(draw.pick(WORDS[:60]), 0.5)
            rows.append((order, line, sku, qty, price, draw.maybe(abs(draw.decimal(0, 4)), 0.3), note))
    columns = _columns(
        order_id=INT8, line_no=INT2, sku=TEXT, qty=INT4, unit_price=numeric(10, 2), discount=numeric(5, 4), note=TEXT
    )
    return Table("order_lines", columns, tuple(rows), ("order_id", "line_no"), ("sku",))


def _tickets(draw: _Draw) -> Table:
    def meta() -> str:
        part = {
            "p": draw.pick((1, 1.0, 2, "2", None, True)),
            "é": draw.pick(("x", "X", "")),
            "l": [1, draw.pick((2, "a", None))],
        }
        return json.dumps(part, ensure_ascii=draw.pick((True, False)))

    rows = []
    for number in range(1, 191):
        opened = draw.maybe(draw.instant(), 0.05)
        closed = draw.maybe(opened + dt.timedelta(hours=draw.random.randrange(900)), 0.4) if opened else None
        rows.append(
            (
                number,
                draw.maybe(draw.skewed(165), 0.06),
                draw.maybe(draw.pick(SUBJECTS)),
                draw.maybe(draw.random.randint(1, 5)),
                opened,
                closed,
                draw.pick(("open", "OPEN", "closed", "wait", None)),
                draw.maybe(draw.pick(("ann", "Ann", "bob", "bob ", "Zoë", "zoe", "")), 0.2),
                draw.maybe(meta(), 0.2),
            )
        )  # fmt: skip
    columns = _columns(
        id=INT4, customer_id=INT4, **{"Subject Line": TEXT}, severity=INT2, opened=TSTZ, closed=TSTZ, state=bpchar(8),
        assignee=varchar(20), meta=TEXT,
    )  # fmt: skip
    return Table("tickets", columns, tuple(rows), ("id",), ("customer_id",), ("opened", BOUNDARY))


def _events(draw: _Draw) -> Table:
    def payload() -> str:
        part: dict[str, Any] = {"k": draw.pick((1, 1.5, "a", "A", None, [1, 2], {"n": 1}, False))}
        if draw.random.random() < 0.5:
            part["z"] = draw.pick(("ü", 10, 9, None))
        return json.dumps(part, separators=draw.pick(((",", ":"), (", ", ": "))))

    rows = tuple(
        (
            number * 7,
            draw.maybe(draw.skewed(165), 0.05),
            draw.pick(KINDS),
            draw.maybe(draw.instant(), 0.04),
            draw.maybe(draw.instant().replace(tzinfo=None), 0.1),
            draw.maybe(payload(), 0.1),
            draw.maybe(draw.pick((0, 1, 2, 3, 32767, -32768))),
            draw.maybe(draw.random.randint(-1000, 1000)),
            draw.maybe(draw.random.randint(-(10**15), 10**15)),
            draw.maybe(draw.pick(("ann", "Ann", "ANN", "bob", "")), 0.2),
        )
        for number in range(1, 301)
    )
    columns = _columns(
        id=INT8, customer_id=INT4, kind=TEXT, at=TSTZ, local_at=TS, payload=JSONB, n2=INT2, n4=INT4, n8=INT8, user=TEXT
    )
    return Table("events", columns, rows, ("id",), ("customer_id",), ("at", BOUNDARY))


def _rates(draw: _Draw) -> Table:
    odd = (float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1e-300, 0.1, 1.1)
    rows = tuple(
        (
            dt.date(2024, 1, 1) + dt.timedelta(days=number // 4 * 9),
            CURRENCIES[number % 4],
            draw.maybe(draw.pick((*odd, draw.random.uniform(0.5, 150)))),
            draw.pick(("ecb", "ECB", "Ecb ", None)),
        )
        for number in range(64)
    )
    return Table("rates", _columns(day=DATE, currency=bpchar(3), rate=FLOAT8, src=TEXT), rows)


def _exotic(draw: _Draw) -> Table:
    many = ("NaN", "1" * 60 + ".5", "-0.000", "1.0", "1.00", "1.000", "0." + "3" * 45, "Infinity", "12", None)
    spans = ("1 mon", "30 days", "1 day", "24:00:00", "-1 days +02:03:00", "1 year 2 mons", "00:00:00.000001", None)
    days = ("infinity", "-infinity", "0044-03-15 BC", "2024-02-29", "9999-12-31", None)
    lists = ("{}", "{1,2,3}", "{NULL,1}", "{3,2,1}", "{7}", None)
    texts = ('{a,A,"a ",NULL}', '{"",b}', "{}", '{"x,y","q\\"z"}', None)
    rows = tuple(
        (number, draw.pick(many), draw.pick(spans), draw.pick(days), draw.pick(lists), draw.pick(texts))
        for number in range(1, 41)
    )
    kinds = {
        "n": PgType("numeric"),
        "span": PgType("interval"),
        "d": DATE,
        "ints": PgType("_int4"),
        "tags": PgType("_text"),
    }
    return Table("exotic", (Column("id", INT4), *_columns(**kinds)), rows, ("id",))


def tables(seed: int = 1) -> tuple[Table, ...]:
    """All canonical tables; the same seed gives the same rows."""
    draw = _Draw(seed)
    orders = _orders(draw)
    return (
        _customers(draw), _accounts(draw), _products(draw), orders, _order_lines(draw, orders), _tickets(draw),
        _events(draw), _rates(draw), _words(draw), _nums(draw), _moments(draw), _exotic(draw),
    )  # fmt: skip
