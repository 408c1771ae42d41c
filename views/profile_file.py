"""What `profiles/<source>.yml` may say: what `vdw probe` has proven of a source."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from connectors.capability import candidates, claims
from views.project import Diagnostic, Places, place_of
from views.validate import did_you_mean
from views.values import Names, Section


class ProfileFile(Section):
    """A source's profile. It counts while the source's engine and version are those that were probed."""

    engine: str = Field(description="The engine that was probed, as its connector calls it.")
    version: str = Field(description="Its version, as numbers with points.")
    dialect: str = Field(description="The SQL that it was asked in, by sqlglot's name.")
    probed: str = Field(description="When, in UTC.")
    seed: int = Field(default=0, description="The seed of the part of the probe that is left to chance.")
    types: Names = Field(
        default=(),
        description="Names of the source's types that were tried; predicates on columns of others stay here.",
    )
    claims: Names = Field(default=(), description="What it computes as PostgreSQL does.")
    refuted: dict[str, str] = Field(default_factory=dict, description="What it does not, each with an example.")
    untried: dict[str, str] = Field(default_factory=dict, description="What was not tried, and why.")


def profile_diagnostics(name: str, file: ProfileFile, sources: frozenset[str], places: Places) -> Iterator[Diagnostic]:
    """What is wrong with the profile of a source: none of that name, claims that are none of its dialect's."""
    where = f"profiles/{name}.yml"
    if name not in sources:
        remedy = did_you_mean(name, sources) or "delete the file"
        yield Diagnostic("warning", where, 1, f'there is no source "{name}"', remedy)
    known = {*claims.claims(candidates(file.dialect)), *claims.MANNERS}
    for at, claim in enumerate(file.claims):
        if claim not in known:
            line, column = place_of(places, ("claims", at))
            message = f'"{claim}" is no claim of dialect "{file.dialect}": it is not used'
            yield Diagnostic("warning", where, line, message, f"probe again: vdw probe {name}", column)
