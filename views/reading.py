"""Reads the files of a project folder: text and YAML with places; what is wrong becomes diagnostics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from views import marks
from views.catalog import SEGMENTS, UPLOADS
from views.project import Diagnostic, KeyPath, Places
from views.validate import validate
from views.values import NAME

MAX_BYTES = 1024 * 1024
RESERVED = re.compile(rf"pg_.*|information_schema|vdw|{UPLOADS}|{SEGMENTS}")
_PLAIN = "use lower-case letters, digits and _, 63 at most, no digit first"
Model = TypeVar("Model", bound=BaseModel)


@dataclass(slots=True)
class Reading:
    """A folder as it is being read: what has been found so far. Nothing here raises for what stands in a file."""

    folder: Path
    diagnostics: list[Diagnostic] = field(default_factory=list)
    places: dict[str, Places] = field(default_factory=dict)
    broken: dict[tuple[str, str], str] = field(default_factory=dict)  # see check.check

    def error(self, file: str, line: int, message: str, remedy: str = "", column: int = 0) -> None:
        message = message.encode("utf-8", "backslashreplace").decode()
        self.diagnostics.append(Diagnostic("error", file, line, message, remedy, column))

    def relative(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix().encode("utf-8", "backslashreplace").decode()

    def text(self, path: Path) -> str | None:
        """The file's text with plain newlines; None, and an error, where it is none."""
        file = self.relative(path)
        try:
            with path.open("rb") as stream:
                raw = stream.read(MAX_BYTES + 1)
        except OSError as error:
            self.error(file, 1, f"cannot be read: {error.strerror or error}", "check that it is a file and its mode")
            return None
        if len(raw) > MAX_BYTES:
            self.error(file, 1, f"larger than {MAX_BYTES // 1024} kB", "move data out of the project's files")
            return None
        try:
            content = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self.error(file, raw[: error.start].count(b"\n") + 1, "not UTF-8 text", "save the file as UTF-8")
            return None
        if "\0" in content:
            self.error(file, content[: content.index("\0")].count("\n") + 1, "holds a NUL character", "remove it")
            return None
        return content.replace("\r\n", "\n").replace("\r", "\n")

    def document(self, model: type[Model], content: str, file: str, first_line: int = 1) -> Model | None:
        """A YAML document as its model; None, and errors, where it is not one."""
        marked = self.marked(content, file, first_line)
        return self.valid(model, marked.value, file) if marked is not None else None

    def marked(self, content: str, file: str, first_line: int = 1) -> marks.Marked | None:
        """A YAML document as plain values with their places; None, and an error, where it is not one."""
        try:
            marked = marks.read(content, first_line)
        except marks.Fault as fault:
            self.error(file, fault.line, fault.message, fault.remedy, fault.column)
            return None
        self.places[file] = marked.places
        return marked

    def valid(self, model: type[Model], value: Any, file: str, path: KeyPath = ()) -> Model | None:
        """The value at `path` of a file that was read, as its model; None, and errors, where it is not one."""
        places = self.places[file]
        below = {key[len(path) :]: place for key, place in places.items() if key[: len(path)] == path}
        found, diagnostics = validate(model, value, file, below if path else places, path)
        for diagnostic in diagnostics:
            self.error(file, diagnostic.line, diagnostic.message, diagnostic.remedy, diagnostic.column)
        return found

    def usable(self, file: str, name: str, what: str, *, schema: bool) -> bool:
        """Whether a file's name can be a SQL name (of a `schema`: no reserved one); an error where not."""
        if not re.fullmatch(NAME, name):
            self.error(file, 1, f'"{name}" cannot name a {what}', _PLAIN)
            return False
        if schema and RESERVED.fullmatch(name):
            self.error(file, 1, f'"{name}" cannot name a {what}: the name is reserved', "choose another name")
            return False
        return True

    def documents(self, folder: str, model: type[Model], what: str, *, schema: bool = False) -> dict[str, Model]:
        """The files <folder>/<name>.yml by name, each as the model; those at fault are left out, with their errors.

        `what` is one of them in a message; `schema` tells that the names are those of schemas.
        """
        found: dict[str, Model] = {}
        for name, file, content in self.files(folder, what, schema=schema):
            made = self.document(model, content, file)
            if made is not None:
                found[name] = made
        return found

    def files(self, folder: str, what: str, *, schema: bool = False) -> Iterator[tuple[str, str, str]]:
        """Name, path and text of each <folder>/<name>.yml that can be read."""
        for path in sorted((self.folder / folder).glob("*")):
            file = self.relative(path)
            if path.suffix == ".yaml":
                self.error(file, 1, f"a {what}'s file ends in .yml", f"rename it to {path.stem}.yml")
            elif path.suffix == ".yml" and self.usable(file, path.stem, what, schema=schema):
                content = self.text(path)
                if content is not None:
                    yield path.stem, file, content
