"""Checks across files: names that must exist, cycles, times that make sense. Pure; the canon checks the SQL itself."""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from views.ages import class_diagnostics, copy_diagnostics
from views.files import ViewHeader
from views.project import Diagnostic, KeyPath, Project, ViewDraft, place_of
from views.text import expression_columns
from views.validate import did_you_mean

Name = tuple[str, str]
LATER = "checked, takes effect in a later version"


@dataclass(frozen=True, slots=True)
class Known:
    """What names lead to: `columns` of each relation that is known in full; `broken` files' names and paths."""

    views: Mapping[Name, ViewDraft]
    sources: Collection[str]
    columns: Mapping[Name, Sequence[str]] = field(default_factory=dict)
    broken: Mapping[Name, str] = field(default_factory=dict)  # a source is (name, "*")
    complete: bool = False  # after introspection: what `columns` lacks does not exist


def check(
    project: Project, broken: Mapping[Name, str] | None = None
) -> tuple[tuple[ViewDraft, ...], tuple[Diagnostic, ...]]:
    """The views that can serve, each behind what it reads, and everything that the files alone tell is wrong.

    `broken` has the file of each view, and of each source as (name, "*"), that could not be read.
    """
    drafts, diagnostics = _unique(project.views)
    known = Known(
        views={draft.key: draft for draft in drafts},
        sources=set(project.sources),
        columns={draft.key: draft.columns for draft in drafts if draft.columns is not None},
        broken=broken or {},
    )
    diagnostics += [found for draft in drafts for found in view_diagnostics(draft, known)]
    diagnostics += [found for draft in drafts for found in _times(draft, project)]
    diagnostics += list(_user_diagnostics(project, known))
    diagnostics += list(copy_diagnostics(project))
    views, cycles = order(drafts)
    diagnostics += cycles
    bad = {found.file for found in diagnostics if found.severity == "error"}
    lost = {**known.broken, **{draft.key: draft.file for draft in project.views}}
    good = without([view for view in views if view.file not in bad], diagnostics, lost)
    return good, tuple(diagnostics)


def check_columns(
    draft: ViewDraft, columns: Mapping[Name, Sequence[str]], sources: Collection[str]
) -> tuple[Diagnostic, ...]:
    """The same checks of one view once every relation's columns are known (its own included)."""
    return tuple(view_diagnostics(draft, Known({}, sources, columns, complete=True)))


def order(drafts: Sequence[ViewDraft]) -> tuple[tuple[ViewDraft, ...], list[Diagnostic]]:
    """The views, each behind those it reads; views on a cycle are left out, with an error that prints the cycle."""
    by_name = {draft.key: draft for draft in drafts}
    diagnostics: list[Diagnostic] = []
    while True:
        graph = {key: sorted(draft.reads & by_name.keys()) for key, draft in by_name.items()}
        try:
            names = tuple(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as error:
            cycle = error.args[1][:-1][::-1]  # graphlib lists predecessors first: turned, each reads the next
            diagnostics.append(_cycle(cycle, by_name))
            by_name = {key: draft for key, draft in by_name.items() if key not in cycle}
        else:
            return tuple(by_name[name] for name in names), diagnostics


def _cycle(cycle: Sequence[Name], by_name: Mapping[Name, ViewDraft]) -> Diagnostic:
    start = cycle.index(min(cycle))
    views = [by_name[name] for name in (*cycle[start:], *cycle[:start])]
    path = " -> ".join(view.full_name for view in (*views, views[0]))
    files = ", ".join(f"{view.file}:{view.line}" for view in views)
    message = f"views read each other in a cycle: {path} (files: {files})"
    return Diagnostic("error", views[0].file, views[0].line, message, "take one of these references out")


def without(
    views: Sequence[ViewDraft], diagnostics: list[Diagnostic], files: Mapping[Name, str]
) -> tuple[ViewDraft, ...]:
    """`views` (in order) less those that read what is not served; an error for each such is added.

    `files` has the file of every view and source (name, "*") of the project, served or not.
    """
    good = {view.key for view in views}
    lost = {name: file for name, file in files.items() if name not in good}
    kept = []
    for view in views:
        # A view may share its schema with a source that is broken.
        broken = sorted(name for name in view.reads if name in lost or ((name[0], "*") in lost and name not in good))
        if not broken:
            kept.append(view)
            continue
        lost[view.key] = view.file
        file = lost.get(broken[0]) or lost[broken[0][0], "*"]
        message = f"{view.full_name} reads {'.'.join(broken[0])}, which is not served"
        diagnostics.append(Diagnostic("error", view.file, view.line, message, f"first correct {file}"))
    return tuple(kept)


def _unique(drafts: Sequence[ViewDraft]) -> tuple[list[ViewDraft], list[Diagnostic]]:
    seen: dict[Name, ViewDraft] = {}
    diagnostics = []
    for draft in drafts:
        if draft.key in seen:
            message = f"{draft.full_name} is defined twice (first in {seen[draft.key].file})"
            diagnostics.append(Diagnostic("error", draft.file, 1, message, "remove or rename one"))
        seen.setdefault(draft.key, draft)
    return list(seen.values()), diagnostics


def view_diagnostics(draft: ViewDraft, known: Known) -> Iterator[Diagnostic]:
    """Everything that names alone tell is wrong with one view's header."""
    for path, column in _named_columns(draft.header):
        yield from _own_column(draft, known, path, column)
    yield from _relations(draft, known)
    yield from _sources_named(draft, known)
    if not known.complete:
        yield from _reads(draft, known)
        yield from _protection(draft)
        yield from _later(draft)


def _named_columns(header: ViewHeader) -> Iterator[tuple[KeyPath, str]]:
    """Each column of its own that a header names, and where."""
    lists: list[tuple[KeyPath, Sequence[str] | None]] = [
        (("key",), header.key),
        (("guard", "require_any_filter"), header.guard.require_any_filter),
    ]
    for index, test in enumerate(header.tests):
        lists += [(("tests", index, "unique"), test.unique), (("tests", index, "not_null"), test.not_null)]
    for path, columns in lists:
        yield from (((*path, index), column) for index, column in enumerate(columns or ()))
    for name, relation in header.relations.items():
        yield from ((("relations", name, "join", own), own) for own in relation.join)
    for name, facts in header.columns.items():
        yield ("columns", name), name
        yield from ((("columns", name, "mask"), used) for used in sorted(_expression(facts.mask)))
    yield from ((("row_filter",), used) for used in sorted(_expression(header.row_filter)))


def _expression(sql: str | None) -> frozenset[str]:
    return (expression_columns(sql) or frozenset()) if sql is not None else frozenset()


def _own_column(draft: ViewDraft, known: Known, path: KeyPath, column: str) -> Iterator[Diagnostic]:
    columns = known.columns.get(draft.key)
    if columns is not None and column not in columns:
        remedy = did_you_mean(column, columns)
        yield draft.diagnostic("error", path, f'{draft.full_name} has no column "{column}"', remedy)


def _relations(draft: ViewDraft, known: Known) -> Iterator[Diagnostic]:
    own = known.columns.get(draft.key, ())
    for name, link in zip(draft.header.relations, draft.header.links(), strict=True):
        path: KeyPath = ("relations", name)
        if name in own:
            yield draft.diagnostic("error", path, f'relation "{name}" has the name of a column', "rename the relation")
        if not _exists(link.to, known):
            target = ".".join(link.to)
            yield draft.diagnostic("error", (*path, "to"), f'there is no "{target}"', _nearest(target, known))
        columns = known.columns.get(link.to)
        for mine, other in link.join:
            if columns is not None and other not in columns:
                message = f'{".".join(link.to)} has no column "{other}"'
                yield draft.diagnostic("error", (*path, "join", mine), message, did_you_mean(other, columns))


def _exists(name: Name, known: Known) -> bool:
    """False only where it is certain: before introspection a source may hold any table."""
    if name in known.columns or name in known.views or name in known.broken or (name[0], "*") in known.broken:
        return True
    return not known.complete and name[0] in known.sources


def _nearest(target: str, known: Known) -> str:
    names = {".".join(name) for name in (*known.columns, *known.views)}
    return did_you_mean(target, names or known.sources)


def _reads(draft: ViewDraft, known: Known) -> Iterator[Diagnostic]:
    """What it reads that can be neither a view nor a source's table."""
    for name in sorted(draft.reads if draft.certain else ()):
        if not _exists(name, known) and not name[0].startswith(("pg_", "information_schema")):
            full = ".".join(name)
            line = draft.line + _line_within(draft.query, full)
            remedy = f"add sources/{name[0]}.yml or views/{name[0]}/{name[1]}.view.sql"
            yield Diagnostic(
                "error", draft.file, line, f'there is no "{full}"', f"{_nearest(full, known)}; or {remedy}"
            )


def _line_within(query: str, name: str) -> int:
    at = query.lower().find(name)
    return query[: max(at, 0)].count("\n")


def _sources_named(draft: ViewDraft, known: Known) -> Iterator[Diagnostic]:
    for source, ways in draft.header.on_source_down.items():
        path: KeyPath = ("on_source_down", source)
        if source not in known.sources:
            yield _no_source(draft, known, path, source)
        last = next((at for at, way in enumerate(ways) if way != "stale"), len(ways))
        if last + 1 < len(ways):
            message = (
                f"`on_source_down.{source}`: {ways[last]} always does, so {ways[last + 1]} behind it is never reached"
            )
            yield draft.diagnostic("warning", path, message, "take it out, or move it ahead")


def _no_source(draft: ViewDraft, known: Known, path: KeyPath, name: str) -> Diagnostic:
    """A schema of views is no fault: there they stand in for a source that another project has."""
    if any(schema == name for schema, _ in (known.views or known.columns)):
        message = f'"{name}" is a schema of views here, no source: what they read may be down, they cannot'
        return draft.diagnostic("warning", path, message, "name the source that they read")
    return draft.diagnostic("error", path, f'there is no source "{name}"', did_you_mean(name, known.sources))


def _protection(draft: ViewDraft) -> Iterator[Diagnostic]:
    """Masks and row filters are not applied yet; serving such a view without them would leak."""
    header = draft.header
    parts: list[tuple[KeyPath, str, str]] = [
        (("columns", n, "mask"), f.mask, "a mask") for n, f in header.columns.items() if f.mask
    ]
    parts += [(("row_filter",), header.row_filter, "row_filter")] if header.row_filter is not None else []
    for path, sql, what in parts:
        if expression_columns(sql) is None:
            yield draft.diagnostic("error", path, f"`{path[-1]}` is not a SQL expression", "correct it")
        message = f"{draft.full_name} has {what}, which this version cannot apply: the view is not served"
        yield draft.diagnostic("error", path, message, "take the column out of the SELECT, or filter in it")


def _later(draft: ViewDraft) -> Iterator[Diagnostic]:
    header = draft.header
    present: dict[KeyPath, bool] = {
        ("tests",): bool(header.tests),
    }
    for path in (path for path, is_present in present.items() if is_present):
        yield draft.diagnostic("warning", path, f"`{'.'.join(map(str, path))}`: {LATER}")


def _times(draft: ViewDraft, project: Project) -> Iterator[Diagnostic]:
    fresh, guard = draft.header.freshness, draft.header.guard
    ttl: KeyPath = ("freshness", "ttl")
    yield from class_diagnostics(draft)
    if guard.timeout == 0:
        yield draft.diagnostic("error", ("guard", "timeout"), "`guard.timeout` is 0: no query could run", "lengthen it")
    for source in sorted({schema for schema, _ in draft.reads} & project.sources.keys()):
        limits, own = project.sources[source].limits, project.sources[source].ttl
        written = "ttl" in project.sources[source].model_fields_set
        yield from _tighter(draft, ttl, fresh.ttl, own if written else None, source)
        yield from _tighter(draft, ("guard", "timeout"), guard.timeout, limits.timeout, source)
        yield from _tighter(draft, ("guard", "max_rows"), guard.max_rows, limits.rows, source)


def _tighter(
    draft: ViewDraft, path: KeyPath, value: float | None, owner: float | None, source: str
) -> Iterator[Diagnostic]:
    if value is not None and owner is not None and value > owner:
        message = f"`{'.'.join(map(str, path))}` is looser than source {source} allows ({owner:g}); the source's counts"
        yield draft.diagnostic("warning", path, message, "a view may only tighten")


def _user_diagnostics(project: Project, known: Known) -> Iterator[Diagnostic]:
    schemas = {schema for schema, _ in (*known.views, *known.broken)} | set(known.sources)
    for user, facts in project.file.users.items():
        path: KeyPath = ("users", user, "reads")
        if not facts.reads:
            yield _in_project(project, path[:2], "warning", f'user "{user}" may read nothing', 'add reads: ["*"]')
        for index, name in enumerate(facts.reads):
            schema, _, relation = name.partition(".")
            exists = name == "*" or (schema in schemas if relation == "*" else _exists((schema, relation), known))
            if not exists:
                remedy = _nearest(name, known)
                yield _in_project(project, (*path, index), "error", f'user "{user}": there is no "{name}"', remedy)


def _in_project(project: Project, path: KeyPath, severity: str, message: str, remedy: str) -> Diagnostic:
    line, column = place_of(project.places.get("vdw.yml", {}), path)
    return Diagnostic("error" if severity == "error" else "warning", "vdw.yml", line, message, remedy, column)
