"""Which tables are copies of which: found when the project is built, by what the sources' files and tables say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from planner.copies import unlike
from views.ages import in_source
from views.catalog import SourceTable
from views.project import Diagnostic, KeyPath, Project
from views.validate import did_you_mean

Key = tuple[str, str]
REMEDY = "make the copy like its original, or leave it out"


def resolve(
    project: Project, tables: Mapping[Key, SourceTable]
) -> tuple[dict[str, dict[str, Key]], tuple[Diagnostic, ...]]:
    """For each source its tables that are copies, with their originals; and what is wrong with others."""
    found: dict[str, dict[str, Key]] = {}
    diagnostics: list[Diagnostic] = []
    for name, source in project.sources.items():
        if source.as_of.kind == "live":
            continue  # told when the files were read: a copy of unknown age is never read
        for path, copy, original in _named(project, name, tables):
            why = _unfit(project, tables, copy, original)
            if why is None:
                found.setdefault(name, {})[copy[1]] = original
            elif why[0]:
                diagnostics.append(in_source(project, name, path, *why))
    return found, tuple(diagnostics)


def originals(copies: Iterable[tuple[str, Mapping[str, Key]]]) -> dict[Key, tuple[Key, ...]]:
    """The copies of each original, from those of each source."""
    found: dict[Key, list[Key]] = {}
    for source, own in copies:
        for table, original in own.items():
            found.setdefault(original, []).append((source, table))
    return {original: tuple(sorted(copies)) for original, copies in sorted(found.items())}


def _named(project: Project, name: str, tables: Mapping[Key, SourceTable]) -> Iterator[tuple[KeyPath, Key, Key]]:
    """The source's copies as its file names them: the place, the copy, its original."""
    source = project.sources[name]
    for table, whole in source.copies.items():
        schema, _, original = whole.partition(".")
        yield ("copies", table), (name, table), (schema, original)
    if source.copy_of is None:
        return
    for schema, table in tables:
        same = source.copy_of, table
        if schema == name and table not in source.copies and same in tables:
            yield ("copy_of",), (name, table), same


def _unfit(project: Project, tables: Mapping[Key, SourceTable], copy: Key, original: Key) -> tuple[str, str] | None:
    """Why a table cannot be read in place of another, and the remedy; ("", "") where that was told before, or the
    original's source is away; None where it can."""
    if original[0] not in project.sources or original[0] == copy[0]:
        return "", ""
    for key in (copy, original):
        own = [table for schema, table in tables if schema == key[0]]
        if key not in tables:
            return (f"there is no table {'.'.join(key)}", did_you_mean(key[1], own)) if own else ("", "")
    why = unlike(tables[copy], tables[original])
    return (why, REMEDY) if why else None
