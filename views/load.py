"""Reads a project folder. Whatever stands in it, the answer is a Project; what is wrong becomes diagnostics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from views import check, dashboards, rule_reading, text, uploads, watches
from views.connections import connection_diagnostics
from views.files import ProjectFile, ViewHeader
from views.profile_file import ProfileFile, profile_diagnostics
from views.project import Diagnostic, Project, ViewDraft
from views.reading import RESERVED, Reading
from views.source_file import SourceFile
from views.values import NAME
from views.watch_file import WatchFile

__all__ = ["Diagnostic", "Project", "ViewDraft", "load"]

PROJECT, SOURCES, VIEWS, DASHBOARDS, WATCHES = "vdw.yml", "sources", "views", "dashboards", "watches"
PROFILES = "profiles"
_OPENER = re.compile(r"\s*/\*---")


def load(folder: Path) -> Project:
    """The project of a folder. Never raises for what stands in it: see `diagnostics`."""
    reading = Reading(folder)
    file = _project_file(reading)
    sources = _sources(reading)
    sources |= uploads.sources(file)
    drafts = (*_views(reading), *rule_reading.read(reading))
    shown = _dashboards(reading)
    statements = tuple(written for one in shown.values() for written in one.statements)
    project = Project(folder, file, sources, drafts, statements=statements, places=reading.places, dashboards=shown)
    project = replace(project, profiles=_profiles(reading, frozenset(sources)))
    views, found = check.check(project, reading.broken)
    project = _watches(reading, replace(project, views=views))
    return replace(project, diagnostics=_sorted([*reading.diagnostics, *found]))


def _watches(reading: Reading, project: Project) -> Project:
    """The project with its watches: those that have no error."""
    found = reading.documents(WATCHES, WatchFile, "watch")
    wrong = watches.watch_diagnostics(project, found)
    reading.diagnostics += wrong
    bad = {one.file for one in wrong}
    good = {name: watch for name, watch in found.items() if watches.file_of(name) not in bad}
    statements = [
        one
        for name, watch in good.items()
        for one in watches.written(name, watch, reading.places[watches.file_of(name)])
    ]
    return replace(project, watches=good, statements=(*project.statements, *statements))


def _sorted(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(sorted(dict.fromkeys(diagnostics), key=lambda d: (d.file, d.line, d.column, d.message)))


def _project_file(reading: Reading) -> ProjectFile:
    path = reading.folder / PROJECT
    fallback = ProjectFile(name=reading.folder.resolve().name or "vdw")
    if not path.exists():
        reading.error(
            PROJECT, 1, f'there is no {PROJECT} in "{reading.folder}"', "make a project with: vdw init FOLDER"
        )
        return fallback
    content = reading.text(path)
    return (reading.document(ProjectFile, content, PROJECT) if content is not None else None) or fallback


def _sources(reading: Reading) -> dict[str, SourceFile]:
    sources = reading.documents(SOURCES, SourceFile, "source", schema=True)
    for path in (reading.folder / SOURCES).glob("*.yml"):
        file = reading.relative(path)
        found = sources.get(path.stem)
        wrong = connection_diagnostics(found, file, reading.places[file]) if found is not None else ()
        reading.diagnostics += wrong
        if found is None or wrong:
            sources.pop(path.stem, None)
            if re.fullmatch(NAME, path.stem) and not RESERVED.fullmatch(path.stem):
                reading.broken[path.stem, "*"] = file
    return sources


def _profiles(reading: Reading, sources: frozenset[str]) -> dict[str, ProfileFile]:
    found = reading.documents(PROFILES, ProfileFile, "profile", schema=True)
    for name, profile in found.items():
        places = reading.places[f"{PROFILES}/{name}.yml"]
        broken = {schema for schema, _ in reading.broken}
        reading.diagnostics += profile_diagnostics(name, profile, sources | broken, places)
    return found


def _dashboards(reading: Reading) -> dict[str, dashboards.Dashboard]:
    found: dict[str, dashboards.Dashboard] = {}
    for name, file, content in reading.files(DASHBOARDS, "dashboard"):
        made, wrong, reading.places[file] = dashboards.read(name, content, file)
        reading.diagnostics += wrong
        if made is not None:
            found[name] = made
    return found


def _views(reading: Reading) -> tuple[ViewDraft, ...]:
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


def _view(reading: Reading, path: Path, file: str) -> ViewDraft | None:
    schema, name = path.parent.name, path.name.removesuffix(".view.sql")
    usable = reading.usable(file, schema, "schema", schema=True) and reading.usable(file, name, "view", schema=False)
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


def _agrees(reading: Reading, header: ViewHeader, full_name: str, file: str) -> bool:
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


def _split(reading: Reading, content: str, file: str) -> _Parts | None:
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


def _body(reading: Reading, parts: _Parts, file: str) -> text.Body | None:
    try:
        return text.read(parts.body)
    except text.Refused as refused:
        line = parts.body_line + parts.body[: refused.offset].count("\n")
        reading.error(file, line, refused.message, refused.remedy)
        return None
