"""`vdw probe` on real engines in disguise: what it proves holds on their tables, and what is known wrong is refuted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
import sqlglot

from api.probe.probe import Asker, Outcome, probe
from connectors.base import Cancel, Profile, SourceQuery
from connectors.capability import candidates, capability, generic
from connectors.capability.generic import template
from connectors.capability.rules import Rule, V, binary
from federation.canon.server import Canon
from federation.profiles import doubted
from planner.prove import Fact
from tests.capability import test_claims
from tests.capability.sites import Site
from tests.capability.test_aggregates import aggregate_trial, key_trial, order_trial

DIALECTS = {"pg": "postgres", "maria": "mysql", "lite": "sqlite", "duck": "duckdb"}


@dataclass
class Probed:
    """An engine in disguise, and what the probe found."""

    site: Site
    profile: Profile
    outcome: Outcome

    @property
    def proven(self) -> Site:
        """The engine with what was proven, over its real table of traps."""
        assert self.site.connector is not None
        tables = doubted(self.site.connector.tables(), self.outcome.types)
        table = next(table for table in tables if table.name == "traps")
        exact = {column.name: column.exact for column in table.columns}
        facts = {
            n: Fact(self.site.facts[n].exact and exact[name], self.site.facts[n].collation)
            for name, n in self.site.ids.items()
        }
        profile = replace(self.profile, claims=self.outcome.proven)
        return replace(self.site, cap=capability(profile), facts=facts)


def probing(site: Site, canon: Canon, dialect: str, **given: Any) -> Probed:
    """The probe of an engine that says nothing of itself but a dialect."""
    connector = site.connector
    assert connector is not None
    profile = Profile("other", connector.profile().version, {}, dialect)

    def send(query: SourceQuery) -> Any:
        return list(connector.execute(query, timeout=30, cancel=Cancel()))

    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        outcome = probe(profile, connector.tables(), connection, Asker(send), **given)
    return Probed(site, profile, outcome)


@pytest.fixture(
    scope="session",
    params=[
        "lite",
        *(pytest.param(name, marks=(pytest.mark.service, pytest.mark.slow)) for name in ("pg", "maria", "duck")),
    ],
)
def probed(request: pytest.FixtureRequest, canon: Canon) -> Iterator[Probed]:
    site = request.getfixturevalue(request.param)
    yield probing(site, canon, DIALECTS[request.param])


def test_what_is_proven_holds_on_tables(probed: Probed) -> None:
    site = probed.proven
    claims = list(site.cap.scalars)
    lines = [line for signature in claims for line in test_claims.trial(site, signature)]
    assert not [line for line in lines if "no case proves it" not in line]
    assert len(claims) - len(lines) > 80


def test_sets_that_are_proven_hold_on_tables(probed: Probed) -> None:
    site = probed.proven
    lines = [line for signature in site.cap.aggregates for line in aggregate_trial(site, signature)]
    lines += [line for kind in site.cap.keys for line in key_trial(site, kind)]
    lines += [line for kind in site.cap.order for line in order_trial(site, kind)]
    assert not [line for line in lines if "no case proves it" not in line]
    assert len(site.cap.aggregates) >= 10 and len(site.cap.keys) >= 2 and len(site.cap.order) >= 2


KNOWN = {
    "lite": ["+(int, int)", "aggregate sum(int8)"],
    "maria": ["-(int, int)"],
    "pg": [],
    "duck": ["-(date, date)", "extract year(date)"],
}


def test_known_differences_are_refuted(probed: Probed) -> None:
    name = probed.site.name
    assert [claim for claim in KNOWN[name] if claim not in probed.outcome.refuted] == []


def test_what_was_not_tried_is_not_proven(probed: Probed) -> None:
    outcome = probed.outcome
    every = [*outcome.proven, *outcome.refuted, *outcome.untried]
    assert len(every) == len({*every}) and outcome.statements < 1000
    held = {"loose", *(fact.collation.value for fact in probed.site.facts.values())}
    assert not [claim for claim in outcome.proven if " at " in claim and claim.rpartition(" at ")[2] not in held]


# What engines do otherwise (semantics.md), claimed as if they did not.
PLANTED: dict[str, dict[tuple[str, ...], Rule]] = {
    "lite": {
        ("like", "text", "text"): Rule(template("{0} LIKE {1}", "sqlite")),  # no escape
        ("/", "int", "int"): Rule(binary("/")),  # by zero: NULL
        ("upper", "text"): Rule(template("upper({0})", "sqlite")),  # of ASCII alone
        ("substring", "text", "int", "int"): Rule(template("substr({0}, {1} - 1, {2})", "sqlite")),
        ("=", "text", "text"): Rule(binary("="), (V.EXACT, V.EXACT, V.EXACT)),  # NOCASE
        ("<", "text", "text"): Rule(binary("<"), (V.EXACT, V.EXACT, V.EXACT)),
        ("length", "text"): Rule(template("length(CAST({0} AS BLOB))", "sqlite")),
        ("cast", "int", "to int4"): Rule(template("{0}", "sqlite")),  # no overflow
    },
    "maria": {
        ("/", "int", "int"): Rule(binary("/")),  # a decimal
        ("=", "text", "text"): Rule(binary("="), (V.EXACT, V.EXACT, V.EXACT)),
        ("||", "text", "text"): Rule(template("{0} OR {1}", "mysql")),
        ("length", "text"): Rule(template("LENGTH({0})", "mysql")),  # bytes
        ("-", "date", "date"): Rule(template("{0} - {1}", "mysql")),
        ("greatest", "int", "..."): Rule(template("GREATEST({0}, {1})", "mysql")),  # NULL where one is
        ("extract dow", "date"): Rule(template("DAYOFWEEK({0})", "mysql")),
        ("/", "numeric", "numeric"): Rule(binary("/")),  # four digits
    },
}


@pytest.mark.parametrize("name", ["lite", pytest.param("maria", marks=(pytest.mark.service, pytest.mark.slow))])
def test_wrong_candidates_are_refuted(name: str, request: pytest.FixtureRequest, canon: Canon) -> None:
    """A table of nothing but what is wrong, besides what the trials are made of."""
    planted = PLANTED[name]
    plain = candidates(DIALECTS[name])
    needed = {s: r for s, r in plain.scalars.items() if s[0] in ("is null", "<", "<>") and "text" not in s}
    table = replace(plain, scalars=needed | planted, aggregates={}, keys={}, order={}, features=frozenset())
    found = probing(request.getfixturevalue(name), canon, DIALECTS[name], table=table)
    wrong = {f"{s[0]}({', '.join(s[1:])})" for s in planted}
    proven = {claim.partition(" at ")[0] for claim in found.outcome.proven} & wrong
    refuted = {claim.partition(" at ")[0] for claim in found.outcome.refuted}
    by_bytes = {"=(text, text)", "<(text, text)"}  # of columns that compare so these are right
    assert wrong <= refuted | by_bytes, (wrong - refuted, found.outcome.untried)
    assert proven <= by_bytes
    assert all(claim.endswith("at bytes") for claim in found.outcome.proven if claim.partition(" at ")[0] in proven)


def test_nothing_is_used_unproven() -> None:
    """Without claims an engine's table is empty, in its own dialect."""
    for dialect in ("tsql", "oracle", "mysql", "snowflake", "nonsense", ""):
        cap = capability(Profile("other", (1,), {}, dialect))
        assert not (cap.scalars or cap.aggregates or cap.keys or cap.order)
        assert not cap.features & {"limit", "join", "half join", "distinct", "union all"}
    assert capability(Profile("other", (1,), {}, "tsql")).dialect == "tsql"
    assert capability(Profile("other", (1,), {}, "nonsense")).dialect == ""
    assert generic.table(generic.said_in("mysql")).dialect == "mysql"


@pytest.mark.parametrize("dialect", ["tsql", "oracle", "db2", "snowflake"])
def test_a_dry_run_in_any_dialect(dialect: str, canon: Canon) -> None:
    """What is asked of servers that no test has: it reads as that dialect's SQL, and stays within limits."""
    asked: list[SourceQuery] = []
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        asker = Asker(None, told=lambda _, query: asked.append(query))
        outcome = probe(Profile("other", (1,), {}, dialect), (), connection, asker)
    assert not outcome.refuted and len(outcome.proven) > 100
    assert len(asked) == outcome.statements < 600
    known = dialect if dialect != "db2" else ""
    for query in asked[::7]:
        text = "".join(part if isinstance(part, str) else f"{part}" for part in query.parts)
        if dialect != "snowflake" or "ESCAPE" not in text:  # a backslash there is written twice
            assert isinstance(sqlglot.parse_one(text, dialect=known), sqlglot.exp.Query)
        assert len(query.params) < 2000
    texts = [query.sql for query in asked]
    assert any("CASE WHEN (" in text for text in texts) is (dialect in ("tsql", "oracle"))
    assert not [text for text in texts if dialect == "oracle" and "FROM DUAL" not in text]
