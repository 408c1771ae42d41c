"""Per engine: which typed signatures it computes exactly as PostgreSQL does."""

from __future__ import annotations

from connectors.base import Profile
from connectors.capability import duckdb, mariadb, postgresql, sqlite
from connectors.capability.rules import Capability, Rule, V, family

_ENGINES = {
    "postgresql": postgresql.CAPABILITY,
    "mariadb": mariadb.CAPABILITY,
    "mysql": mariadb.CAPABILITY,
    "sqlite": sqlite.CAPABILITY,
    "duckdb": duckdb.CAPABILITY,
}


def capability(profile: Profile) -> Capability | None:
    """The table of an engine; None for an engine of which nothing is known, so that only scans go there."""
    return _ENGINES.get(profile.engine)


__all__ = ["Capability", "Rule", "V", "capability", "family"]
