"""Who asks, and under which limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from views.max_age import MaxAge


@dataclass(frozen=True, slots=True)
class Session:
    """`user` is the principal; `settings` what changes an answer (TimeZone, DateStyle ...), `timeout` in seconds;
    `search_path` the schemas in which bare names are looked up; `protocol` is sql | graphql | http | cli; `max_age` how
    old an answer may be, None: as the owners of sources and views say; `trace` the caller's W3C traceparent, or ''."""

    user: str
    settings: Mapping[str, str] = field(default_factory=dict)
    search_path: tuple[str, ...] = ("public",)
    timeout: float = 60.0
    protocol: str = "sql"
    max_age: MaxAge | None = None
    trace: str = ""

    @property
    def standard_strings(self) -> bool:
        """Whether a backslash in a plain string constant is a backslash."""
        return self.settings.get("standard_conforming_strings", "on") == "on"
