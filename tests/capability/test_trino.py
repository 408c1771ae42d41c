"""Every claim of Trino's table, tried on a real Trino server against the canon, as a value and as a filter."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby
from uuid import UUID

import psycopg
import pytest

from api.probe import traps
from api.probe.cases import cases
from api.probe.oracle import Oracle
from api.probe.scalars import same
from connectors.base import Bound
from connectors.capability.rules import V
from connectors.capability.signatures import Signature
from connectors.conformance.texts import float_text, python_text
from connectors.errors import Error
from connectors.trino.sql import TYPES, literal
from connectors.types import PgType
from planner import ir
from planner.prove import prove, prove_aggregate
from planner.scalar import Agg, Call, Col, Lit
from planner.show import show
from planner.types import of_aggregate
from tests.capability import test_aggregates, test_claims, trino_site
from tests.capability.sites import INT4
from tests.capability.trino_site import REFUSED, Answer, Refused, TrinoSite, shown
from tests.trino_server import TrinoServer

pytestmark = [pytest.mark.service, pytest.mark.slow]
BATCH = 40  # calls in one statement


@pytest.fixture(scope="module")
def site(trino_server: TrinoServer, oracle: Oracle) -> Iterator[TrinoSite]:
    with trino_site.site(trino_server, oracle) as made:
        yield made


@dataclass
class Trial:
    """One call, how many rows have all that it reads, and PostgreSQL's values: REFUSED where it has an error."""

    signature: Signature
    call: Call
    rows: int
    wanted: dict[str, Answer] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{' '.join(self.signature)}: {show(self.call)}"


@pytest.fixture(scope="module")
def trials(site: TrinoSite) -> list[Trial]:
    """The cases of all claims that are made of the trap columns, in the order of their numbers of rows."""
    made = []
    for signature in site.cap.scalars:
        for call in cases(site, signature):
            if call.type is not None and prove(call, site.cap, site.facts).verdict is V.EXACT:
                trial = Trial(signature, call, traps.enough(site.held, test_claims._names(site, call)))
                trial.wanted = wanted(site, trial)
                made.append(trial)
    return sorted(made, key=lambda t: t.rows)


def test_every_claim_has_a_case(site: TrinoSite, trials: list[Trial]) -> None:
    tried = {trial.signature for trial in trials}
    assert not [" ".join(signature) for signature in site.cap.scalars if signature not in tried]
    assert all(rule.verdicts[0] is V.EXACT for rule in site.cap.scalars.values())  # else it wants a trial of its own


def test_values(site: TrinoSite, trials: list[Trial]) -> None:
    wrong = [line for rows, batch in batches(trials) for line in compared(site, rows, batch)]
    assert not wrong, f"{len(wrong)} of {len(trials)} calls:\n" + "\n".join(wrong)


def test_filters(site: TrinoSite, trials: list[Trial]) -> None:
    """Filters are planned otherwise than values: ranges are taken out of them, casts are moved. Of each claim one call,
    with a constant if there is one."""
    kept = {t.signature: t for t in sorted(trials, key=lambda t: any(isinstance(a, Lit) for a in t.call.args))}
    predicates = [t for t in trials if kept[t.signature] is t and t.call.type == test_claims.BOOL]
    wrong = []
    for rows, batch in batches(predicates):
        for trial, got in zip(batch, site.chosen(first(site, rows), [t.call for t in batch]), strict=True):
            right = {row for row, value in trial.wanted.items() if value == "t"}
            if got != right:
                wrong.append(f"{trial}: missing {sorted(right - got)[:3]}, more {sorted(got - right)[:3]}")
    assert not wrong, "\n".join(wrong)


def test_aggregates_of_trino(site: TrinoSite) -> None:
    """All of them in a few statements: by groups, of all rows, of none; each also filtered."""
    aggs = [(signature, agg) for signature in site.cap.aggregates for agg in aggregates(site, signature)]
    assert {signature for signature, _ in aggs} == {*site.cap.aggregates}
    nothing = ir.Filter(site.leaf, (Call("is null", (site.id,), test_claims.BOOL),))
    group = (9000, site.column("int2_b"))
    wrong = []
    for at in range(0, len(aggs), BATCH // 2):
        batch = [agg for _, agg in aggs[at : at + BATCH // 2]]
        for rows, keys in ((site.leaf, (group,)), (site.leaf, ()), (nothing, ())):
            made = ir.Aggregate(rows, keys, tuple((9001 + n, agg) for n, agg in enumerate(batch)))
            outputs = [(9000, PgType("int2"))] if keys else []
            outputs += [(9001 + n, agg.type) for n, agg in enumerate(batch) if agg.type is not None]
            right = site.canon(made, [i for i, _ in outputs])
            got = {row[0] if keys else "": row for row in site.ask(made, outputs)}
            for row in right:
                other = got.get(row[0] if keys else "", ())
                pairs = zip(batch, row[len(keys) :], other[len(keys) :], strict=True)
                wrong += [f"{agg}: {b!r}, PostgreSQL {a!r}" for agg, a, b in pairs if a != b]
            assert len(got) == len(right)
    assert not wrong, "\n".join(wrong)


def aggregates(site: TrinoSite, signature: Signature) -> Iterator[Agg]:
    """The claim over each column of its family, and with a filter."""
    name, _, distinct = signature[0].partition(" ")
    where = Call("<", (site.column("int4_a"), site.column("int4_b")), test_claims.BOOL)
    for args in [(c,) for c in test_aggregates.columns(site, signature[1])] if len(signature) > 1 else [()]:
        kind = of_aggregate(name, tuple(a.type for a in args))
        plain = Agg(name, args, kind, bool(distinct))
        if kind is not None and prove_aggregate(plain, site.cap, site.facts).verdict is V.EXACT:
            yield from (plain, replace(plain, where=where))


def test_keys_and_orders_of_trino(site: TrinoSite) -> None:
    wrong = [*(line for kind in site.cap.keys for line in test_aggregates.key_trial(site, kind)),
             *(line for kind in site.cap.order for line in test_aggregates.order_trial(site, kind))]  # fmt: skip
    assert not wrong, "\n".join(wrong)


LITERALS = (
    *(("text", v) for v in ("", "a'b", 'a"b', "a\\b", "a\nb", "😀", "-- x", "{0}")),
    *((kind, v) for kind, bits in (("int2", 15), ("int4", 31), ("int8", 63)) for v in (-(2**bits), 2**bits - 1, 0)),
    *(("numeric", v) for v in ("-0.30", "0.00", "1E+3", "9" * 38, "-0." + "9" * 38, "12345678901234567.8901234567")),
    *(("float8", v) for v in (math.nan, math.inf, -math.inf, -0.0, 1e-300, 0.1, 1.7976931348623157e308)),
    ("bool", True), ("bool", False), ("bytea", b""), ("bytea", b"\x00'\xff"), ("uuid", str(UUID(int=7))),
    ("date", dt.date(1, 1, 1)), ("date", dt.date(9999, 12, 31)), ("time", dt.time(23, 59, 59, 999999)),
    ("timestamp", dt.datetime(1, 1, 1)), ("timestamp", dt.datetime(2024, 2, 29, 12, 34, 56, 789012)),
    ("timestamptz", dt.datetime(2024, 1, 1, 3, 0, 0, 1, dt.timezone(dt.timedelta(hours=5, minutes=30)))),
    *((kind, None) for kind in TYPES),
)  # fmt: skip


def test_literals(site: TrinoSite) -> None:
    """Each constant comes back as PostgreSQL prints it, and is of the type that it has there."""
    bounds = [Bound(PgType(name), value) for name, value in LITERALS]
    (row,) = site.run(f"SELECT {', '.join(map(literal, bounds))}")
    for bound, value in zip(bounds, row, strict=True):
        text, want = shown(value, bound.type), python_text(bound.value, bound.type)
        if bound.type.name == "float8" and text is not None:
            text = float_text(float(text))
        assert text == (f"{Decimal(bound.value):f}" if bound.type.name == "numeric" else want), bound
    (kinds,) = site.run("SELECT " + ", ".join(f"typeof({literal(bound)})" for bound in bounds))
    for bound, kind in zip(bounds, kinds, strict=True):
        expected = TYPES.get(bound.type.name, "DECIMAL")
        sized = expected in ("DECIMAL", "VARCHAR")
        assert (kind.partition("(")[0] if sized else kind).upper() == expected, bound


def test_lists(site: TrinoSite) -> None:
    """An array stands between the parentheses of IN, an empty one too."""
    array = PgType("_int4")
    texts = [f"7 IN ({literal(Bound(array, values))})" for values in ([7, 1], [1], [None, 7], [1, None], [], None)]
    assert site.run(f"SELECT {', '.join(texts)}") == [[True, False, True, None, False, False]]
    for value in ("NaN", "Infinity", "1" * 39, "0." + "0" * 38 + "1"):
        with pytest.raises(ValueError, match="Trino's decimals"):
            literal(Bound(PgType("numeric"), value))
    with pytest.raises(ValueError, match="interval"):
        literal(Bound(PgType("interval"), dt.timedelta(1)))


def test_joins_and_set_operations_of_trino(site: TrinoSite) -> None:
    """What `features` says; columns of each kind that groups are joined."""
    shift = 1000
    second = ir.Project(site.leaf, tuple((n + shift, ir.col((n, kind))) for n, kind in ir.output(site.leaf)))
    bags = {f for f in site.cap.features if f.split()[0] in ("union", "intersect", "except")}
    assert bags and site.cap.features == bags | {
        "join",
        "half join",
        "full join",
        "distinct",
        "filter",
        "limit",
        "typed",
    }
    low = ir.Filter(site.leaf, (Call("<", (site.id, Lit("40", INT4)), test_claims.BOOL),))
    high = ir.Filter(second, (Call("<", (Col(shift, INT4), Lit("25", INT4)), test_claims.BOOL),))
    for column in (c for kind in site.cap.keys for c in test_aggregates.columns(site, kind)):
        assert column.type is not None
        other = Col(column.id + shift, column.type)
        some = column in (site.column("text_bytes_a"), site.column("timestamptz_a"))
        rels: list[ir.Rel] = [ir.Distinct(ir.Project(low, ((9000, column),)))] if some else []
        for name in sorted(bags) if some else ():
            kind, _, rest = name.partition(" ")
            rels.append(ir.SetOp(kind, bool(rest), ((low, (column.id,)), (high, (other.id,))), ((9000, column.type),)))
        for rel in rels:
            assert not test_aggregates.compared(site, rel, [(9000, column.type)]), (rel, column)
        for kind in ("left", "full", "semi", "anti") if some else ("inner",):
            on = Call("=", (column, other), test_claims.BOOL)
            ids = [0] if kind in ("semi", "anti") else [0, shift]
            joined = ir.Join(kind, low, high, (on,))
            assert not test_aggregates.compared(site, joined, [(i, INT4) for i in ids]), (kind, column)


def wanted(site: TrinoSite, trial: Trial) -> dict[str, Answer]:
    """PostgreSQL's value by row."""
    items = ((0, site.id), (9999, trial.call))
    rows = first(site, trial.rows)
    try:
        return dict(site.canon(ir.Project(rows, items), (0, 9999)))  # type: ignore[arg-type]
    except psycopg.Error:
        bad = site.refused(ir.Project(site.leaf, items), (0, 9999), trial.rows)
    rest = ir.Filter(rows, (Call("notin", (site.id, *(Lit(str(row), INT4) for row in bad)), test_claims.BOOL),))
    found: dict[str, Answer] = dict(site.canon(ir.Project(rest, items), (0, 9999)))  # type: ignore[arg-type]
    return found | {str(row): REFUSED for row in bad}


def first(site: TrinoSite, rows: int) -> ir.Rel:
    """So many of the first rows."""
    return ir.Filter(site.leaf, (Call("<", (site.id, Lit(str(rows), INT4)), test_claims.BOOL),))


def batches(trials: list[Trial]) -> Iterator[tuple[int, list[Trial]]]:
    """Trials over equally many rows, as many as go into a statement."""
    for rows, group in groupby(trials, key=lambda t: t.rows):
        alike = list(group)
        for at in range(0, len(alike), BATCH):
            yield rows, alike[at : at + BATCH]


def compared(site: TrinoSite, rows: int, batch: list[Trial]) -> Iterator[str]:
    """What differs; where a statement has an error, each of its calls by itself."""
    try:
        answers = site.tried(first(site, rows), [t.call for t in batch])
    except Error as error:
        if len(batch) == 1:
            yield f"{batch[0]}: {error} {error.detail}"[:600]
            return
        middle = len(batch) // 2
        yield from compared(site, rows, batch[:middle])
        yield from compared(site, rows, batch[middle:])
        return
    for trial, got in zip(batch, answers, strict=True):
        differing = [(row, value) for row, value in got if not alike(trial, value, trial.wanted[row])]
        if differing or len(got) != len(trial.wanted):
            row, value = differing[0] if differing else ("rows", len(got))
            given = test_claims._values(site, trial.call, row) if differing else ""
            want = trial.wanted.get(row)
            yield f"{trial}: {len(differing)} rows, as {row}: {value!r}, PostgreSQL {want!r} of {given}"


def alike(trial: Trial, got: Answer, want: Answer) -> bool:
    """The same text, or the same double; or an error of both."""
    if isinstance(got, Refused) or isinstance(want, Refused) or trial.call.type is None:
        return got is want
    return same(got, want, trial.call.type)
