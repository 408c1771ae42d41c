"""Reads a project folder. Whatever stands in it, the answer is a Project; what is wrong becomes diagnostics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from views import check, marks, text
from views.connections import connection_diagnostics
from views.files import ProjectFile, ViewHeader
from views.project import Diagnostic, Places, Project, ViewDraft
from views.source_file import SourceFile
from views.validate import validate
from views.values import NAME

__all__ = ["Diagnostic", "Project", "ViewDraft", "load"]

PROJECT, SOURCES, VIEWS = "vdw.yml", "sources", "views"
MAX_BYTES = 1024 * 1024
RESERVED = re.compile(r"pg_.*|information_schema|vdw")
_OPENER = re.compile(r"\s*/\*---")
_PLAIN = "use lower-case letters, digits and _, 63 at most, no digit first"
Model = TypeVar("Model", bound=BaseModel)


@dataclass(slots=True)
class _Reading:
    """What has been found so far."""

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
        try:
            marked = marks.read(content, first_line)
        except marks.Fault as fault:
            self.error(file, fault.line, fault.message, fault.remedy, fault.column)
            return None
        self.places[file] = marked.places
        found, diagnostics = validate(model, marked.value, file, marked.places)
        for diagnostic in diagnostics:
            self.error(file, diagnostic.line, diagnostic.message, diagnostic.remedy, diagnostic.column)
        return found


def load(folder: Path) -> Project:
    """The project of a folder. Never raises for what stands in it: see `diagnostics`."""
    reading = _Reading(folder)
    file = _project_file(reading)
    sources = _sources(reading)
    drafts = _views(reading)
    project = Project(folder, file, sources, drafts, (), reading.places)
    views, found = check.check(project, reading.broken)
    return replace(project, views=views, diagnostics=_sorted([*reading.diagnostics, *found]))


def _sorted(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(sorted(dict.fromkeys(diagnostics), key=lambda d: (d.file, d.line, d.column, d.message)))


def _project_file(reading: _Reading) -> ProjectFile:
    path = reading.folder / PROJECT
    fallback = ProjectFile(name=reading.folder.resolve().name or "vdw")
    if not path.exists():
        reading.error(
            PROJECT, 1, f'there is no {PROJECT} in "{reading.folder}"', "make a project with: vdw init FOLDER"
        )
        return fallback
    content = reading.text(path)
    return (reading.document(ProjectFile, content, PROJECT) if content is not None else None) or fallback


def _sources(reading: _Reading) -> dict[str, SourceFile]:
    sources: dict[str, SourceFile] = {}
    for path in sorted((reading.folder / SOURCES).glob("*")):
        file = reading.relative(path)
        if path.suffix == ".yaml":
            reading.error(file, 1, "a source's file ends in .yml", f"rename it to {path.stem}.yml")
        elif path.suffix == ".yml" and _usable(reading, file, path.stem, "source", schema=True):
            content = reading.text(path)
            found = reading.document(SourceFile, content, file) if content is not None else None
            wrong = connection_diagnostics(found, file, reading.places[file]) if found is not None else ()
            reading.diagnostics += wrong
            if found is not None and not wrong:
                sources[path.stem] = found
            else:
                reading.broken[path.stem, "*"] = file
    return sources


def _usable(reading: _Reading, file: str, name: str, what: str, *, schema: bool) -> bool:
    """Whether a file's name can be a SQL name; an error where not."""
    if not re.fullmatch(NAME, name):
        reading.error(file, 1, f'"{name}" cannot name a {what}', _PLAIN)
        return False
    if schema and RESERVED.fullmatch(name):
        reading.error(file, 1, f'"{name}" cannot name a {what}: the name is reserved', "choose another name")
        return False
    return True


def _views(reading: _Reading) -> tuple[ViewDraft, ...]:
    root = reading.folder / VIEWS
    drafts = []
    for path in sorted(root.rglob("*.sql")):
        file = reading.relative(path)
        if not path.name.endswith(".view.sql"):
            reading.diagnostics.append(
                Diagnostic("warning", file, 1, "not read: a view's file ends in .view.sql", "rename it")
            )
        elif len(path.relative_to(root).parts) != 2:
            reading.error(file, 1, "a view stands in views/<schema>/<name>.view.sql", "move the file")
        else:
            draft = _view(reading, path, file)
            if draft is not None:
                drafts.append(draft)
            else:
                reading.broken[path.parent.name, path.name.removesuffix(".view.sql")] = file
    return tuple(drafts)


def _view(reading: _Reading, path: Path, file: str) -> ViewDraft | None:
    schema, name = path.parent.name, path.name.removesuffix(".view.sql")
    usable = _usable(reading, file, schema, "schema", schema=True) and _usable(
        reading, file, name, "view", schema=False
    )
    content = reading.text(path) if usable else None
    if content is None:
        return None
    parts = _split(reading, content, file)
    header = reading.document(ViewHeader, parts.header, file, parts.header_line) if parts else None
    body = _body(reading, parts, file) if parts else None
    if parts is None or header is None or body is None or not _agrees(reading, header, f"{schema}.{name}", file):
        return None
    described = {key: facts.description for key, facts in header.columns.items() if facts.description}
    return ViewDraft(
        schema=schema,
        name=name,
        header=header,
        query=body.query,
        file=file,
        line=parts.body_line + parts.body[: body.offset].count("\n"),
        column_comments={**body.comments, **described},
        reads=body.reads,
        columns=body.columns,
        certain=body.parsed,
        places=reading.places.get(file, {}),
    )


def _agrees(reading: _Reading, header: ViewHeader, full_name: str, file: str) -> bool:
    if header.view in (None, full_name):
        return True
    line, column = reading.places[file].get(("view",), (1, 0))
    remedy = f"write view: {full_name}, or move the file"
    reading.error(file, line, f"`view: {header.view}` disagrees with the file's path, {full_name}", remedy, column)
    return False


@dataclass(frozen=True, slots=True)
class _Parts:
    header: str
    header_line: int
    body: str
    body_line: int


def _split(reading: _Reading, content: str, file: str) -> _Parts | None:
    """Header and body of a view's file; None, and an error, where the header's comment is not closed as it should."""
    opener = _OPENER.match(content)
    if opener is None:
        return _Parts("", 1, content, 1)
    start = opener.end()
    end = content.find("*/", start)
    line = content[: end if end >= 0 else start].count("\n") + 1
    if end < 0:
        reading.error(file, line, "the header's comment is never closed", "close it with a line ---*/")
        return None
    last_line = content[content.rfind("\n", 0, end) + 1 : end]
    if last_line.strip() != "---":
        column = len(last_line) + 1
        remedy = 'end the header with a line ---*/, and write no */ inside (a quoted text may be cut: "*\\x2f")'
        reading.error(file, line, "`*/` inside the header ends the SQL comment", remedy, column)
        return None
    header = content[start : end - len(last_line)]
    nested = header.find("/*")
    if nested >= 0:
        line = content[: start + nested].count("\n") + 1
        reading.error(file, line, "`/*` inside the header opens a second SQL comment", "write no /* inside the header")
        return None
    return _Parts(header, content[:start].count("\n") + 1, content[end + 2 :], line)


def _body(reading: _Reading, parts: _Parts, file: str) -> text.Body | None:
    try:
        return text.read(parts.body)
    except text.Refused as refused:
        line = parts.body_line + parts.body[: refused.offset].count("\n")
        reading.error(file, line, refused.message, refused.remedy)
        return None
