"""What a probe has proven, and of which server: whether it still counts, and of which columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from connectors.base import Profile, Table
from connectors.capability import proven
from connectors.capability.spellings import tried
from views.profile_file import ProfileFile


def version(profile: Profile) -> str:
    """An engine's version as a profile's file has it."""
    return ".".join(map(str, profile.version))


def outdated(profile: Profile, file: ProfileFile) -> str:
    """Why what was proven does not count for this server; '' where it does."""
    if proven(profile.engine):
        return f"{profile.engine} has a table of its own, which is used instead"
    for what, was, now in (
        ("engine", file.engine, profile.engine),
        ("version", file.version, version(profile)),
        ("dialect", file.dialect, profile.dialect),
    ):
        if was != now:
            return f"{what} {was} was probed, and it is {now} now"
    return ""


def doubted(tables: Iterable[Table], types: Collection[str]) -> tuple[Table, ...]:
    """The tables, nothing being claimed of columns whose type was not tried."""
    made = []
    for table in tables:
        columns = tuple(c if tried(c.native, c.type.name) in types else replace(c, exact=False) for c in table.columns)
        made.append(replace(table, columns=columns) if columns != table.columns else table)
    return tuple(made)
