"""A project folder as read: its files, its views, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from connectors.errors import ConfigError
from connectors.registry import options_model
from connectors.secrets import secret_at
from connectors.tls import placed
from connectors.types import PgType
from views.catalog import View
from views.files import ProjectFile, ViewHeader
from views.source_file import SourceFile
from views.values import resolve
from views.watch_file import WatchFile

if TYPE_CHECKING:
    from views.dashboards import Dashboard
    from views.profile_file import ProfileFile

KeyPath = tuple[str | int, ...]
Places = Mapping[KeyPath, tuple[int, int]]  # path of a key -> its line and column, both from 1


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something to tell about a file: `file` is relative to the project folder, `line` and `column` count from 1
    (column 0: the line as a whole)."""

    severity: Literal["error", "warning"]
    file: str
    line: int
    message: str
    remedy: str = ""
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"
        return f"{place}: {self.severity}: {self.message}" + (f" ({self.remedy})" if self.remedy else "")


def place_of(places: Places, path: KeyPath) -> tuple[int, int]:
    """Line and column of the key at `path`, or of the nearest key above it that stands in the file."""
    while path and path not in places:
        path = path[:-1]
    return places.get(path, (1, 0))


@dataclass(frozen=True, slots=True)
class ViewDraft:
    """A view as written, before the canon has analysed it.

    `query` is its one SELECT, without the `;`; `line` that of `file` at which it starts. `column_comments` are the
    inline comments of the select list, overridden by `columns.<name>.description`; `reads` the relations that its
    text names; `columns` its output columns where the text alone tells them, else None; `certain` is false where
    the text could not be parsed, so that `reads` may hold more than it reads.
    """

    schema: str
    name: str
    header: ViewHeader
    query: str
    file: str
    line: int
    column_comments: Mapping[str, str] = field(default_factory=dict)
    reads: frozenset[tuple[str, str]] = frozenset()
    columns: tuple[str, ...] | None = None
    certain: bool = True
    places: Places = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return self.schema, self.name

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    def diagnostic(
        self, severity: Literal["error", "warning"], path: KeyPath, message: str, remedy: str = ""
    ) -> Diagnostic:
        """A diagnostic at the header's key `path`."""
        line, column = place_of(self.places, path)
        return Diagnostic(severity, self.file, line, message, remedy, column)

    def place(self, position: int | None) -> tuple[int, int]:
        """The file's line and column (0: the line as a whole) of a 1-based character position in `query`, as
        PostgreSQL reports it."""
        return self.line + self.query[: max(0, (position or 1) - 1)].count("\n"), 0

    def view(self, columns: tuple[tuple[str, PgType], ...], text: str, depends: tuple[tuple[str, str], ...]) -> View:
        """The catalog's view of it, given what the canon found: columns with types, canonical text, what it reads."""
        header = self.header
        return View(
            schema=self.schema,
            name=self.name,
            columns=columns,
            comment=header.description,
            query=self.query,
            text=text,
            file=self.file,
            line=self.line,
            key_columns=header.key or (),
            ttl=header.freshness.ttl,
            timeout=header.guard.timeout,
            max_rows=header.guard.max_rows,
            require_any_filter=header.guard.require_any_filter or (),
            links=header.links(),
            column_comments=dict(self.column_comments),
            depends=depends,
            header=header.written(),
            freshness_class=header.freshness.class_ or "",
            stale_while_revalidate=header.freshness.stale_while_revalidate,
            stale_if_error=header.freshness.stale_if_error,
            on_source_down=header.on_source_down,
        )


@dataclass(frozen=True, slots=True)
class Written:
    """A SELECT that stands in a file of the project and is asked as it stands: a watch's, a panel's.

    `what` names its owner in messages, `path` is the key under which it stands; parameters are $1, $2 ... as in a
    prepared statement. The canon checks it when the catalog is built; where the one of the file's key `after` is at
    fault, not even then, as this one holds it.
    """

    what: str
    file: str
    path: KeyPath
    line: int
    sql: str
    after: KeyPath | None = None

    @property
    def key(self) -> tuple[str, KeyPath]:
        return self.file, self.path

    @classmethod
    def at(cls, what: str, file: str, path: KeyPath, sql: str, places: Places) -> Written:
        """The text of the key at `path`; a block (`|`) begins in the line below its key."""
        line, _ = place_of(places, path)
        return cls(what, file, path, line + sql.endswith("\n"), sql)

    def diagnostic(self, message: str, remedy: str = "", position: int | None = None) -> Diagnostic:
        """An error at a 1-based character position of the text, as PostgreSQL reports it."""
        line = self.line + self.sql[: max(0, (position or 1) - 1)].count("\n")
        return Diagnostic("error", self.file, line, f"{self.what}: {message}", remedy)


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder. `sources`, `views`, `watches` hold only what has no error; views stand behind what they read.

    `statements` are those of its other files. `places` has per file (relative path) the place of each key, so that a
    later error can point at it.
    """

    folder: Path
    file: ProjectFile
    sources: Mapping[str, SourceFile] = field(default_factory=dict)
    views: tuple[ViewDraft, ...] = ()
    watches: Mapping[str, WatchFile] = field(default_factory=dict)
    statements: tuple[Written, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    places: Mapping[str, Places] = field(default_factory=dict)
    dashboards: Mapping[str, Dashboard] = field(default_factory=dict)
    profiles: Mapping[str, ProfileFile] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong that would keep a part from serving."""
        return not any(diagnostic.severity == "error" for diagnostic in self.diagnostics)

    def options(self, source: str, environment: Mapping[str, str]) -> dict[str, Any]:
        """The `connection` of a source for its connector: secrets resolved (a LiveSecret where its model has a
        SecretStr and the value may change), files of `tls` placed, and `base_folder` (from which the connector finds
        relative paths) where the kind has files.

        ConfigError, placed at the key, names the variable or file that is missing, never a value.
        """
        file = f"sources/{source}.yml"
        resolved: dict[str, Any] = {}
        model = options_model(self.sources[source].kind)
        for key, value in self.sources[source].connection.items():
            given = placed(value, self.folder) if key == "tls" and isinstance(value, Mapping) else value
            try:
                resolved[key] = resolve(given, self.folder, environment, partial(secret_at, model), (key,))
            except ConfigError as error:
                line, _ = place_of(self.places.get(file, {}), ("connection", key))
                raise ConfigError(error.message, place=f"{file}:{line}", hint=error.hint) from None
        if model is not None and "base_folder" in model.model_fields:
            resolved["base_folder"] = str(self.folder.resolve())
        return resolved
