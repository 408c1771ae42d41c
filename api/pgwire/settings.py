"""What is known of a session's settings: those that the canon reports, and those that have to be asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from api.pgwire.encodings import codec
from federation.session import Session
from views.max_age import MaxAge

# Settings that change an answer but are not reported; asked for again when a text may have changed them.
MAX_AGE = "vdw.max_age"  # of ours: how old an answer may be, as views.max_age reads it
ASKED = ("extra_float_digits", "bytea_output", "statement_timeout", "client_min_messages", MAX_AGE)
_TOUCHED = re.compile(
    rb"extra_float_digits|bytea_output|statement_timeout|client_min_messages|max_age|set_config|\breset\b|\bdiscard\b"
    rb"|u&\"",
    re.IGNORECASE,
)
# Settings that an answer depends on; whoever has the same may share it.
ENGINE = (
    "TimeZone", "DateStyle", "IntervalStyle", "standard_conforming_strings", "extra_float_digits", "bytea_output",
)  # fmt: skip
# The canon reports what has changed at ReadyForQuery; a statement that comes before it has to ask.
REPORTED = ("search_path", "TimeZone", "DateStyle", "IntervalStyle", "standard_conforming_strings", "client_encoding")
_SETS = re.compile(rb"\b(?:set|reset|discard|rollback|set_config)\b", re.IGNORECASE)
DEFAULTS = {
    "extra_float_digits": "1", "bytea_output": "hex", "statement_timeout": "0", "client_min_messages": "notice",
    MAX_AGE: "",
}  # fmt: skip
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,"]*))\s*(?:,|$)')


class Settings:
    """Follows one session's settings; `session()` gives them as the engine takes them."""

    def __init__(self, timeout: float) -> None:
        self.values: dict[str, str] = dict(DEFAULTS)
        self.doubtful = False  # what is not reported may have changed
        self.unreported = False  # what is reported may have changed since the last ReadyForQuery
        self._told: dict[str, str] = {}
        self.user = ""
        self._timeout = timeout
        self._session: Session | None = None
        self._path: tuple[str, ...] | None = None

    def started(self, user: str, options: Mapping[str, str]) -> None:
        """The session stands; what the client asked for at its start may be more than is reported."""
        self.user = user
        self.doubtful = any(name in options for name in ("options", *ASKED))
        self._session = self._path = None

    def reported(self, name: str, value: str) -> None:
        """A ParameterStatus has come."""
        self.values[name] = self._told[name] = value
        self._session = self._path = None

    def ready(self) -> None:
        """ReadyForQuery: what was reported holds, whatever was asked for in between and undone since."""
        if self.unreported:
            self.unreported = False
            self.values.update(self._told)
            self._session = self._path = None

    @staticmethod
    def changes(text: bytes) -> bool:
        """Whether a text may change settings."""
        return _SETS.search(text) is not None or _TOUCHED.search(text) is not None

    def doubt(self) -> None:
        """Something that may change settings is run, of which the text came earlier."""
        self.doubtful = self.unreported = True

    def watch(self, text: bytes) -> None:
        """The client sends `text`."""
        if not self.unreported and _SETS.search(text):
            self.unreported = True
        if not self.doubtful and _TOUCHED.search(text):
            self.doubtful = True

    def question(self) -> str:
        """A SELECT of the settings that are in doubt."""
        names = (*ASKED, *REPORTED) if self.unreported else ASKED
        return "SELECT " + ", ".join(f"pg_catalog.current_setting('{name}', true)" for name in names)

    def answered(self, cells: list[bytes | None], lasting: bool) -> None:
        """The answer to the question; what is read inside a transaction may be undone with it."""
        for name, cell in zip((*ASKED, *REPORTED), cells, strict=False):
            self.values[name] = (cell or b"").decode()
        self.doubtful = not lasting
        self._session = self._path = None

    @property
    def standard_strings(self) -> bool:
        return self.values.get("standard_conforming_strings", "on") == "on"

    @property
    def encoding(self) -> str:
        """Python's name of the client's encoding."""
        return codec(self.values)

    @property
    def search_path(self) -> tuple[str, ...]:
        if self._path is None:
            self._path = schemas(self.values.get("search_path", '"$user", public'), self.user)
        return self._path

    def session(self) -> Session:
        """The session as the engine takes it; QueryError 22023 where it asks for what is no age."""
        if self._session is None:
            limit = duration(self.values["statement_timeout"])
            timeout = limit or self._timeout  # a client may ask for more time: sources' and views' own limits stand
            given = {name: self.values[name] for name in ENGINE if name in self.values}
            max_age = MaxAge.parse(self.values[MAX_AGE])
            self._session = Session(self.user, given, self.search_path, timeout, max_age=max_age)
        return self._session


def schemas(path: str, user: str) -> tuple[str, ...]:
    """The schemas of a search_path as `SHOW search_path` prints it, `$user` replaced."""
    found, at = [], 0
    while at < len(path):
        match = _PART.match(path, at)
        if match is None or match.end() == at:
            break
        quoted, bare = match.groups()
        name = quoted.replace('""', '"') if quoted is not None else bare.strip().lower()
        if name:
            found.append(user if name == "$user" else name)
        at = match.end()
    return tuple(found)


def duration(text: str) -> float:
    """Seconds of a setting such as 30s, 500ms or 2min; a bare number is milliseconds."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*", text)
    return float(match[1]) * _UNITS[match[2] or "ms"] if match else 0.0
