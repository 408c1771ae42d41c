"""Every claim of every engine's table, tried on that engine against the canon, over the values that engines disagree
about. A claim without a case fails, and so does one that hides an error of PostgreSQL's."""

from __future__ import annotations

import random
from collections.abc import Iterator

import psycopg
import pytest

from api.probe import traps
from api.probe.cases import cases
from api.probe.scalars import compared, same
from connectors.base import Collation
from connectors.capability.rules import V
from connectors.capability.signatures import Signature
from connectors.errors import Error
from connectors.types import PgType
from federation.duck import Unfit
from planner import ir
from planner.prove import prove
from planner.scalar import Call, Col, Lit, Scalar, columns
from planner.show import show
from tests.capability.sites import INT4, Site

pytestmark = pytest.mark.service
SITES = ("pg", "maria", "my", "lite", "duck", "merge")
BOOL = PgType("bool")
SHOWN = 3


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest) -> Site:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def test_scalars(site: Site) -> None:
    claims = [signature for signature in site.cap.scalars if signature != ("any", "rows")]  # bind joins' own tests
    wrong = [line for signature in claims for line in trial(site, signature)]
    assert not wrong, f"{len(wrong)} of {len(site.cap.scalars)} claims:\n" + "\n".join(wrong)


def test_texts_without_case(duck_loose: Site) -> None:
    """What DuckDB claims of texts that it compares loosely."""
    claims = [signature for signature in duck_loose.cap.scalars if "text" in signature]
    lines = [line for signature in claims for line in trial(duck_loose, signature)]
    untried = [line for line in lines if "no case proves it" in line]
    assert lines == untried
    assert not any(line.startswith(("= ", "in ", "any ")) for line in untried)


def trial(site: Site, signature: Signature) -> Iterator[str]:
    """What is wrong with a claim; nothing where it holds."""
    tried = 0
    reason = "no case of its families"
    seen: set[Collation] = set()
    for call in cases(site, signature):
        proof = prove(call, site.cap, site.facts)
        if proof.verdict is V.NO or call.type is None:
            reason = proof.reason or "no type"
            continue
        tried += 1
        seen.add(proof.collation)
        found = (superset if proof.verdict is V.SUPERSET else exact)(site, call)
        if found:
            yield f"{' '.join(signature)}: {show(call)} {call.type.sql}: {found}"
            return
    if not tried:
        yield f"{' '.join(signature)}: no case proves it ({reason})"


def exact(site: Site, call: Call) -> str:
    """'' where the engine's values are PostgreSQL's for every row, and it refuses what PostgreSQL refuses."""
    assert call.type is not None
    rel: ir.Project = ir.Project(_without(site, call, frozenset()), ((0, site_id(site)), (9999, call)))
    bad: frozenset[int] = frozenset()
    try:
        right = site.canon(rel, (0, 9999))
    except psycopg.Error:
        bad = site.refused(ir.Project(site.leaf, rel.items), (0, 9999), traps.enough(site.held, _names(site, call)))
        rel = ir.Project(_without(site, call, bad), rel.items)
        right = site.canon(rel, (0, 9999))
    try:
        got = answered(site, rel, call.type)
        if len(got) < len(right) and len(got) * 4 > len(right) and site.connector is None:
            kept = {row for row, _ in got}  # what DuckDB refuses, the canon merges
            right = [pair for pair in right if pair[0] in kept]
    except (Error, Unfit, TypeError) as error:
        return f"{type(error).__name__}: {error} {getattr(error, 'detail', '') or ''}"[:300]
    wanted: dict[str | None, str | None] = dict(right)  # type: ignore[arg-type]
    differing = [(row, value, wanted[row]) for row, value in got if not same(value, wanted[row], call.type)]
    if differing or len(got) != len(right):
        row, value, want = differing[0] if differing else ("rows", len(got), len(right))
        return f"{len(differing)} rows, for example {row}: {value!r}, PostgreSQL {want!r} of {_values(site, call, row)}"
    return _hidden(site, call, bad)


def answered(site: Site, rel: ir.Project, kind: PgType) -> list[tuple[str | None, ...]]:
    """(id, value) of the rows; of the merge engine, of those rows that it does not leave to the canon."""
    outputs = ((0, INT4), (9999, kind))
    if site.connector is not None:
        return site.ask(rel, outputs)

    def part(low: int, high: int) -> list[tuple[str | None, ...]]:
        between = (
            Call(">=", (site_id(site), Lit(str(low), INT4)), BOOL),
            Call("<", (site_id(site), Lit(str(high), INT4)), BOOL),
        )
        try:
            return site.ask(ir.Project(ir.Filter(rel.input, between), rel.items), outputs)
        except Unfit:
            if high - low <= 1:
                return []
            middle = (low + high) // 2
            return part(low, middle) + part(middle, high)

    try:
        return site.ask(rel, outputs)
    except Unfit:
        return part(0, traps.enough(site.held, _names(site, rel.items[1][1])))


def _hidden(site: Site, call: Call, bad: frozenset[int]) -> str:
    """'' where the engine, too, has an error for rows that PostgreSQL refuses; a handful is asked for."""
    for row in random.Random(1).sample(sorted(bad), min(len(bad), 6)):
        one = ir.Filter(site.leaf, (Call("=", (site_id(site), Lit(str(row), INT4)), BOOL),))
        rel = ir.Project(one, ((0, compared(call)),))
        try:
            got = site.ask(rel, ((0, compared(call).type or BOOL),))
        except (Error, Unfit):
            continue
        return f"PostgreSQL refuses row {row}, the engine says {got} of {_values(site, call, str(row))}"
    return ""


def superset(site: Site, call: Call) -> str:
    """'' where the engine finds every row for which PostgreSQL says true."""
    rel = ir.Project(ir.Filter(_without(site, call, frozenset()), (call,)), ((0, site_id(site)),))
    right = {row for (row,) in site.canon(rel, (0,))}
    got = {row for (row,) in site.ask(rel, ((0, INT4),))}
    missing = right - got
    return f"{len(missing)} rows are not found" if missing else ""


def site_id(site: Site) -> Scalar:
    return Col(site.ids["id"], INT4)


def _names(site: Site, call: Scalar) -> set[str]:
    at = {n: name for name, n in site.ids.items()}
    return {at[n] for n in columns(call)}


def _without(site: Site, call: Call, rows: frozenset[int]) -> ir.Rel:
    """As many rows as have all values that the call reads, save those."""
    most = traps.enough(site.held, _names(site, call))
    kept: list[Scalar] = [Call("<", (site_id(site), Lit(str(most), INT4)), BOOL)]
    if rows:
        listed = tuple(Lit(str(row), INT4) for row in sorted(rows))
        kept.append(Call("notin", (site_id(site), *listed), BOOL))
    return ir.Filter(site.leaf, tuple(kept))


def _values(site: Site, call: Call, row: object) -> str:
    read = sorted(columns(call))
    names = {n: name for name, n in site.ids.items()}
    site.oracle.connection.execute(f"SET search_path = {site.name}".encode())
    at = ", ".join(f"c{n}::text" for n in read) or "NULL"
    found = site.oracle.connection.execute(f"SELECT {at} FROM f0 WHERE c0 = {row}".encode()).fetchone()
    return str(dict(zip((names[n] for n in read), found or (), strict=False)))
