"""Checks of what files say of age: a view's class bounds what is kept of it; a copy names its original and its age."""

from __future__ import annotations

from collections.abc import Iterator

from views.catalog import CLASSES
from views.project import Diagnostic, KeyPath, Project, ViewDraft, place_of
from views.validate import did_you_mean

LONGEST = 30 * 86_400.0  # seconds; who keeps an answer for longer has mistaken a unit
REMEDY = "shorten it, or choose a class that allows it"


def class_diagnostics(draft: ViewDraft) -> Iterator[Diagnostic]:
    """Whether an answer that is kept as long as the view allows is within the view's class all the time."""
    fresh = draft.header.freshness
    bound = min(CLASSES.get(fresh.class_ or "", LONGEST), LONGEST)
    promise = f"class {fresh.class_} promises at most {bound:g} s" if bound < LONGEST else "more than 30 days"
    ttl = fresh.ttl or 0.0
    times = {"ttl": 0.0, "stale_while_revalidate": fresh.stale_while_revalidate, "stale_if_error": fresh.stale_if_error}
    for key, more in times.items():
        if more is None or ttl + more <= bound or (key != "ttl" and ttl > bound):
            continue
        what = f"`freshness.{key}` of {more or ttl:g} s" + (f" past a ttl of {ttl:g} s" if key != "ttl" else "")
        message = f"{what} is too long: {promise}"
        yield draft.diagnostic("error", ("freshness", key), message, REMEDY)


def copy_diagnostics(project: Project) -> Iterator[Diagnostic]:
    """What the files alone tell is wrong with `copy_of` and `copies`."""
    for name, source in project.sources.items():
        said: list[tuple[KeyPath, str]] = [] if source.copy_of is None else [(("copy_of",), source.copy_of)]
        said += [(("copies", table), original.partition(".")[0]) for table, original in source.copies.items()]
        for path, original in said:
            why, remedy = _wrong(project, name, original)
            if why:
                yield in_source(project, name, path, why, remedy)
        if said and source.as_of.kind == "live":
            message = f"nothing tells how old the copies in source {name} are, so that they would never be read"
            remedy = "add as_of: {kind: query, sql: select ...} or as_of: {kind: file}"
            yield in_source(project, name, said[0][0], message, remedy)


def _wrong(project: Project, name: str, original: str) -> tuple[str, str]:
    """Why a source cannot hold copies of that one, and what to do."""
    other = project.sources.get(original)
    if original == name:
        return f"source {name} cannot be a copy of itself", "name the source that it is copied from"
    if other is None:
        return f'there is no source "{original}"', did_you_mean(original, project.sources.keys() - {name})
    if other.copy_of is not None:
        return f"source {original} is a copy itself", f"name its original: {other.copy_of}"
    return "", ""


def in_source(project: Project, source: str, path: KeyPath, message: str, remedy: str) -> Diagnostic:
    """An error at a key of a source's file."""
    file = f"sources/{source}.yml"
    line, column = place_of(project.places.get(file, {}), path)
    return Diagnostic("error", file, line, message, remedy, column)
