"""For each claim of a table, calls over the trap columns (and constants where a claim asks for them) that try it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Protocol

from api.probe.traps import Trap
from connectors.base import Bound
from connectors.capability.rules import FAMILIES, family
from connectors.capability.signatures import CASTS, OVERLOADS, Signature
from connectors.types import PgType, numeric, varchar
from planner.scalar import Call, Col, Lit, Param, Scalar
from planner.types import alike, of_call

BOOL, TEXT, INT4 = PgType("bool"), PgType("text"), PgType("int4")

# Arrays that stand as parameters, which is how keys come.
LISTS = tuple(
    Bound(PgType(f"_{name}"), values)
    for name, values in (
        ("int2", [7, 1]), ("int4", [7, 365]), ("int8", [7, 9007199254740993]), ("numeric", ["0.30", "77", "1.5"]),
        ("float8", [0.3, 2.5]), ("float4", [1.5]), ("text", ["a", "é", "a\\b", ""]), ("bpchar", ["a"]),
        ("date", [dt.date(2024, 2, 29)]), ("timestamp", [dt.datetime(2024, 1, 1, 0, 0, 0, 1)]),
        ("timestamptz", [dt.datetime(2024, 1, 1, tzinfo=dt.UTC)]), ("time", [dt.time(12, 30)]), ("bool", [True]),
        ("uuid", ["ffffffff-ffff-ffff-ffff-ffffffffffff"]), ("bytea", [b"\x00"]),
    )
)  # fmt: skip


class Site(Protocol):
    """An engine with columns of traps, two of each kind: `x_a` and `x_b`."""

    @property
    def held(self) -> Sequence[Trap]:
        """Its columns."""
        ...

    @property
    def ids(self) -> Mapping[str, int]:
        """Their column ids, by name."""
        ...

    def column(self, name: str) -> Col:
        """One of them."""
        ...


def _text(value: str | None) -> Lit:
    return Lit(value, TEXT)


def _int(value: int) -> Lit:
    return Lit(str(value), INT4)


def _number(value: str) -> Lit:
    return Lit(value, PgType("numeric"))


# Constants of each family to compare columns with, as clients do.
LITERALS: dict[str, tuple[Lit, ...]] = {
    "int": (_int(7), Lit("9007199254740993", PgType("int8"))),
    "numeric": (_number("0.30"), _number("77"), _number("-2.5")),
    "float": (Lit("0.3", PgType("float8")),),
    "text": (_text("a"), _text("é"), _text("")),
    "date": (Lit("2024-02-29", PgType("date")),),
    "timestamp": (Lit("2024-01-01 00:00:00.000001", PgType("timestamp")),),
    "timestamptz": (Lit("2024-01-01 00:00:00+00", PgType("timestamptz")),),
    "time": (Lit("12:30:00", PgType("time")),),
    "bool": (Lit("true", BOOL),),
    "float4": (Lit("1.5", PgType("float4")),),
    "bytea": (Lit("\\x00", PgType("bytea")),),
    "uuid": (Lit("ffffffff-ffff-ffff-ffff-ffffffffffff", PgType("uuid")),),
    "bpchar": (Lit("a", PgType("bpchar")),),
}
# Constants that stand as the later arguments of functions: rows of them, for (name, number of arguments).
CONSTANTS: dict[tuple[str, int], tuple[tuple[Scalar, ...], ...]] = {
    ("substring", 2): ((_int(1),), (_int(3),), (_int(100),)),
    ("substring", 3): ((_int(1), _int(2)), (_int(2), _int(0)), (_int(3), _int(100))),
    ("left", 2): ((_int(0),), (_int(2),), (_int(50),)),
    ("right", 2): ((_int(0),), (_int(2),), (_int(50),)),
    ("lpad", 2): ((_int(4),), (_int(0),)),
    ("rpad", 2): ((_int(4),), (_int(0),)),
    ("lpad", 3): ((_int(4), _text("xy")), (_int(1), _text("é"))),
    ("rpad", 3): ((_int(4), _text("xy")),),
    ("repeat", 2): ((_int(3),), (_int(0),)),
    ("split_part", 3): ((_text(","), _int(1)), (_text(","), _int(3)), (_text("b"), _int(2))),
    ("replace", 3): ((_text("a"), _text("xy")), (_text("é"), _text("")), (_text(""), _text("z"))),
    ("translate", 3): ((_text("aé"), _text("xy")), (_text("ab"), _text("z"))),
    ("strpos", 2): ((_text("a"),), (_text(""),), (_text("é"),)),
    ("starts_with", 2): ((_text("a"),), (_text(""),)),
    ("btrim", 2): ((_text("a"),), (_text(" b"),)),
    ("ltrim", 2): ((_text("a"),),),
    ("rtrim", 2): ((_text(" a"),),),
    ("round", 2): ((_int(1),), (_int(0),), (_int(5),), (_int(-2),)),
    ("trunc", 2): ((_int(1),), (_int(0),), (_int(5),), (_int(-2),)),
    ("/", 2): ((_int(7),), (_int(-3),), (_int(1),), (_number("3"),), (_number("-0.25"),)),
    ("%", 2): ((_int(7),), (_int(-3),), (_int(1),), (_number("3"),), (_number("0.25"),)),
    ("like", 2): tuple((_text(p),) for p in ("a%", "%b", "_", "a\\%b", "%é%", "", "a\\\\b", "%A%", "[a-z]")),
    ("notlike", 2): tuple((_text(p),) for p in ("a%", "_", "a\\%b", "%é%", "")),
    ("ilike", 2): tuple((_text(p),) for p in ("A%", "%É%")),
    ("notilike", 2): ((_text("A%"),),),
    ("to_char", 2): ((_text("YYYY-MM"),), (_text("YYYY-MM-DD HH24:MI:SS"),), (_text("Mon DD Day Q IW"),)),
    ("encode", 2): ((_text("hex"),), (_text("base64"),)),
    ("like_escape", 2): ((_text("!"),),),
    ("->", 2): ((_text("a"),), (_int(1),)),
    ("->>", 2): ((_text("a"),), (_text("b"),), (_int(1),)),
    ("?", 2): ((_text("a"),),),
    ("@>", 2): ((Lit('{"a": 1}', PgType("jsonb")),),),
    ("#>", 2): ((Lit("{a,b}", PgType("_text")),),),
    ("#>>", 2): ((Lit("{a,b}", PgType("_text")),),),
    ("date_bin", 3): (),
    ("+", 2): ((_int(1),), (_int(-400),), (_number("1"),), (_number("0.05"),)),
    ("-", 2): ((_int(1),), (_int(400),), (_number("1.5"),)),
    ("*", 2): ((_int(3),), (_number("0.2"),)),
}
INTERVALS = tuple(
    Lit(t, PgType("interval")) for t in ("1 day", "1 mon", "-90 days", "01:30:00", "1 year 2 mons 3 days")
)
TARGETS = {"numeric(n)": (numeric(12, 1), numeric(38, 2), numeric(20, 6)), "varchar(n)": (varchar(3),)}


def cases(site: Site, signature: Signature) -> Iterator[Call]:
    """Calls of that signature; none where this engine has no columns of its families."""
    op, *families = signature
    if op in ("and", "or", "not") and not columns(site, "bool"):
        yield from _logic(site, op)
    elif op == "cast":
        yield from _casts(site, families[0], families[1])
    elif families and families[-1] == "...":
        yield from _variadic(site, op, families[0])
    elif op == "any":
        yield from _any(site, families[0])
    elif op.startswith("is ") and len(families) == 1:
        # a NULL is one whatever its type is called
        first = site.ids["int4_a"] if "int4_a" in site.ids else site.ids[site.held[0].name]
        other = Col(first, PgType("json" if families[0] == "json" else "inet"))
        for column in columns(site, families[0]) or [other]:
            yield Call(op, (column,), BOOL)
    else:
        yield from _plain(site, op, families)


def columns(site: Site, wanted: str, side: str = "a") -> list[Col]:
    """The columns of a family that stand on one side."""
    return [site.column(t.name) for t in site.held if t.name.endswith(f"_{side}") and family(t.kind) == wanted]


def _typed(op: str, args: Sequence[Scalar]) -> Call | None:
    kind = of_call(op, tuple(a.type for a in args))
    return Call(op, tuple(args), kind) if kind is not None else None


def _plain(site: Site, op: str, families: list[str]) -> Iterator[Call]:
    sides = "ab" + "a" * len(families)
    pools: list[list[Scalar]] = [list(columns(site, f, sides[n])) for n, f in enumerate(families)]
    if families[1:] == ["interval"] and families[0] != "interval":
        pools[1] = list(INTERVALS)
    for args in product(*pools) if op not in ("lpad", "rpad", "repeat") else ():  # of any length, else
        if _same_text(args) and _near(args):
            made = _typed(op, args)
            if made is not None:
                yield made
    for constants in CONSTANTS.get((op, len(families)), ()):
        if len(constants) == len(families) - 1 and all(
            _fits(c, f) for c, f in zip(constants, families[1:], strict=True)
        ):
            for first in pools[0]:
                made = _typed(op, (first, *constants))
                if made is not None:
                    yield made
    if len(families) == 2 and families[0] == families[1] and (op, 2) not in CONSTANTS:
        for first, constant in product(pools[0], LITERALS.get(families[1], ())):
            made = _typed(op, (first, constant))
            if made is not None:
                yield made


def _fits(e: Scalar, family: str) -> bool:
    return e.type is not None and (FAMILIES.get(e.type.name) == family or family == f"array of {e.type.name[1:]}")


# Pairs of unlike kinds within one family that are tried; all of them would take minutes.
_PAIRS = {("int2", "int4"), ("int4", "int8"), ("money", "rate"), ("rate", "long"), ("free", "money")}

_SCALED = ({"int2", "int4", "int8"}, {"money", "rate", "long", "free"})


def _near(args: Sequence[Scalar]) -> bool:
    names = [_kind_of(a) for a in args[:2]]
    if len(names) < 2 or names[0] == names[1] or not any({*names} <= pool for pool in _SCALED):
        return True
    return tuple(names) in _PAIRS


def _kind_of(e: Scalar) -> str:
    if e.type is not None and e.type.name == "numeric":
        return {numeric(12, 2): "money", numeric(10, 3): "rate", numeric(38, 10): "long"}.get(e.type, "free")
    return e.type.name if e.type is not None else "?"


def _same_text(args: Sequence[Scalar]) -> bool:
    """Two texts of one collation: under two, no engine need know what to do."""
    return len({a.type.name for a in args if a.type and a.type.name == "text"}) < 2


def _variadic(site: Site, op: str, family: str) -> Iterator[Call]:
    constants = LITERALS.get(family, ())
    for a, b in zip(columns(site, family), columns(site, family, "b"), strict=True):
        if op in ("in", "notin"):
            yield Call(op, (a, *constants), BOOL)
            yield Call(op, (a, *constants, Lit(None, constants[0].type)), BOOL) if constants else Call(op, (a, a), BOOL)
        elif op in ("and", "or"):
            yield Call(op, (a, b), BOOL)
            yield Call(op, (a, b, Call("is null", (a,), BOOL)), BOOL)
        elif op == "case":
            when = Call("<", (_integer(site, "a"), _integer(site, "b")), BOOL)
            yield Call(op, (when, a, b), a.type.bare if a.type else None)
            yield Call(op, (when, a), a.type.bare if a.type else None)
            for constant in constants:
                yield Call(op, (when, a, constant), a.type.bare if a.type and alike(a.type, constant.type) else None)
        else:
            yield Call(op, (a, b), a.type.bare if a.type else None)
            for constant in constants:
                if alike(a.type, constant.type):
                    yield Call(op, (a, constant), a.type.bare if a.type else None)


def _logic(site: Site, op: str) -> Iterator[Call]:
    """AND, OR and NOT of conditions, where there are no columns of booleans."""
    a, b = _integer(site, "a"), _integer(site, "b")
    less, none = Call("<", (a, b), BOOL), Call("is null", (b,), BOOL)
    if op == "not":
        yield Call(op, (less,), BOOL)
    else:
        yield Call(op, (less, none), BOOL)
        yield Call(op, (less, none, Call("=", (a, b), BOOL)), BOOL)


def _integer(site: Site, side: str) -> Col:
    return site.column(f"int4_{side}") if f"int4_{side}" in site.ids else columns(site, "int", side)[0]


def _any(site: Site, family: str) -> Iterator[Call]:
    for column in columns(site, family):
        assert column.type is not None  # noqa: S101
        array = column.type.bare.array
        at = next(n for n, bound in enumerate(LISTS) if bound.type == array)
        yield Call("any", (column, Param(at, array)), BOOL)


def _casts(site: Site, source: str, target: str) -> Iterator[Call]:
    if not target.startswith("to "):
        for column in columns(site, source):
            assert column.type is not None  # noqa: S101
            yield Call("cast", (column,), column.type.bare)
        return
    name = target.removeprefix("to ")
    for column in columns(site, source):
        assert column.type is not None  # noqa: S101
        for kind in TARGETS.get(name, (PgType(name),)):
            if (column.type.name, kind.name.replace("varchar", "text")) in CASTS and column.type != kind:
                yield Call("cast", (column,), kind)


__all__ = ["LISTS", "OVERLOADS", "Site", "cases", "columns"]
