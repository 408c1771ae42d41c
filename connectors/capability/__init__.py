"""Per engine: which typed signatures it computes exactly as PostgreSQL does."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from sqlglot.dialects.dialect import Dialect

from connectors.base import Profile
from connectors.capability import duckdb, generic, mariadb, oracle, postgresql, rest, sqlite, trino, tsql
from connectors.capability.claims import cut
from connectors.capability.rules import Capability, Rule, V, family

_ENGINES = {
    "mariadb": mariadb.CAPABILITY,
    "mysql": mariadb.MYSQL,
    "sqlite": sqlite.CAPABILITY,
    "duckdb": duckdb.CAPABILITY,
    "trino": trino.CAPABILITY,
    "rest": rest.CAPABILITY,
}
_CANDIDATES = {"tsql": tsql.CANDIDATES, "oracle": oracle.CANDIDATES}


def capability(profile: Profile) -> Capability:
    """The table of an engine. One that has none of its own computes what was proven of its dialect's candidates: at
    first nothing, so that only scans go there."""
    if profile.engine == "postgresql":
        return postgresql.of(profile)
    if profile.engine == "mysql" and profile.version < mariadb.MYSQL_SINCE:
        return _cut(profile.engine, profile.dialect or "mysql", profile.claims)
    return _ENGINES.get(profile.engine) or _cut(profile.engine, profile.dialect, profile.claims)


def proven(engine: str) -> bool:
    """Whether an engine has a table of its own, which our own tests prove."""
    return engine == "postgresql" or engine in _ENGINES


@lru_cache(64)
def candidates(dialect: str) -> Capability:
    """What an engine of that dialect (sqlglot's name of it) may compute as PostgreSQL does: to be tried, not used."""
    known = dialect if Dialect.get(dialect) is not None else ""
    return _CANDIDATES.get(dialect) or generic.table(generic.said_in(known))


@lru_cache(64)
def _cut(engine: str, dialect: str, claims: tuple[str, ...]) -> Capability:
    return replace(cut(candidates(dialect), frozenset(claims)), engine=engine)


__all__ = ["Capability", "Rule", "V", "candidates", "capability", "family", "proven"]
