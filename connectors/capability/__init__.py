"""Per engine: which typed signatures it computes exactly as PostgreSQL does."""

from __future__ import annotations

from connectors.base import Profile
from connectors.capability import duckdb, mariadb, postgresql, sqlite, trino
from connectors.capability.rules import Capability, Rule, V, family

_ENGINES = {
    "mariadb": mariadb.CAPABILITY,
    "mysql": mariadb.MYSQL,
    "sqlite": sqlite.CAPABILITY,
    "duckdb": duckdb.CAPABILITY,
    "trino": trino.CAPABILITY,
}


def capability(profile: Profile) -> Capability | None:
    """The table of an engine; None for an engine of which nothing is known, so that only scans go there."""
    return postgresql.of(profile) if profile.engine == "postgresql" else _ENGINES.get(profile.engine)


__all__ = ["Capability", "Rule", "V", "capability", "family"]
