"""What sources tell of themselves when a project is built; and what is known of those that are down."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from connectors import registry
from connectors.base import Connector, Profile, Table
from connectors.errors import ConfigError, Error
from connectors.link import look
from connectors.secrets import public
from federation import facts, profiles
from federation.gate.gate import Gate
from federation.gate.gates import Gates
from federation.gate.patience import patiently
from federation.naming import blamed
from federation.operations import system
from federation.remembered import Remembered
from views import unfit
from views.catalog import SYSTEM, Adaptive, Breaker, Catalog, Source
from views.profile_file import ProfileFile
from views.project import Diagnostic, Project
from views.source_file import SourceFile


@dataclass(frozen=True, slots=True)
class Before:
    """What is known already: of the build before this one, and of starts before that."""

    catalog: Catalog | None = None
    connectors: Mapping[str, Connector] = field(default_factory=dict)
    identities: Mapping[str, str] = field(default_factory=dict)  # of connectors: who has the same is the same
    remembered: Remembered | None = None
    changed: Collection[str] | None = None  # sources of which that is old; None: all of them

    def stands(self, name: str) -> Catalog | None:
        """The catalog that knows a source as it is, so that it need not be asked; None where it must be."""
        return self.catalog if self.changed is not None and name not in self.changed else None


@dataclass(slots=True)
class Found:
    """A source, and what it told of itself."""

    source: Source
    connector: Connector | None = None
    identity: str = ""
    tables: tuple[Table, ...] = ()
    diagnostics: list[Diagnostic] = field(default_factory=list)


async def introspected(
    project: Project, environment: Mapping[str, str], patience: float, before: Before, gates: Gates
) -> dict[str, Found]:
    """All sources, asked at once, each for `patience` seconds at most and through its gate."""
    names = list(project.sources)
    known = {name: _known(name, catalog, before) for name in names if (catalog := before.stands(name)) is not None}
    asked = [name for name in names if name not in known]
    told = await asyncio.gather(*(_introspect(project, name, environment, patience, before, gates) for name in asked))
    for name, one in zip(asked, told, strict=True):
        _lay(project, name, one)
    found = known | dict(zip(asked, told, strict=True))
    return {**{name: found[name] for name in names}, SYSTEM: Found(system.SOURCE, tables=system.TABLES)}


async def alive(connector: Connector | None, gate: Gate) -> bool:
    """Whether a source that was down answers."""
    if connector is None:
        return False
    with suppress(Error, TimeoutError), blamed(gate.source):
        await patiently(connector.ping, 5.0, gate, prober=True)
        return True
    return False


async def _introspect(
    project: Project, name: str, environment: Mapping[str, str], patience: float, before: Before, gates: Gates
) -> Found:
    file = project.sources[name]
    found = Found(described(name, file))
    place = f"sources/{name}.yml"
    try:
        given = await asyncio.to_thread(project.options, name, environment)  # a command may have to tell a secret
        found.source = replace(found.source, identity=_server(file.kind, given))
        gate = gates.claim(found.source)
        options = {"pool_size": file.limits.concurrency, **given}
        found.identity = hashlib.sha256(repr((file.kind, sorted(options.items()))).encode()).hexdigest()
        if before.identities.get(name) == found.identity:
            found.connector = before.connectors.get(name)
        elif gate.breaker is not None:
            gate.breaker.forget()  # what failed was reached in another way, by another secret perhaps
        with blamed(name):
            found.connector = found.connector or registry.connect(file.kind, name, options)
        profile, found.tables = await patiently(
            _asked(found.connector, file.expose.schemas, file.expose.tables), patience, gate
        )
        gate.orphaned = getattr(found.connector, "orphaned", math.inf)
        found.source = replace(found.source, profile=profile, told=facts.told(profile, found.tables))
        if before.remembered is not None:
            told = profile, found.tables
            await asyncio.to_thread(before.remembered.keep, name, _exposed(found.source, file), told)
    except ConfigError as error:
        _fault(found, place, error, error.hint or "correct the file")
    except Error as error:
        _fault(found, place, error, error.hint or "views over it are served as soon as it answers")
    except TimeoutError:
        slow = Error(f"did not answer within {patience:g} s")
        _fault(found, place, slow, "views over it are served as soon as it answers")
    if found.source.fault:
        _remember(found, before)
        if found.source.profile is None and before.remembered is not None:
            await asyncio.to_thread(_recall, found, file, before.remembered)
    _claim(found, project.profiles.get(name))
    return found


def _claim(found: Found, file: ProfileFile | None) -> None:
    """What `vdw probe` has proven, while the source is what was probed."""
    profile = found.source.profile
    if profile is None:
        return
    if profile.facts.get("proven") is False:
        message = (
            f"source {found.source.name}: the connector to {profile.engine} is unproven, no test of ours runs there"
        )
        remedy = "compare what it reads with what the engine prints, and say what differs"
        found.diagnostics.append(Diagnostic("warning", f"sources/{found.source.name}.yml", 1, message, remedy))
    claims: tuple[str, ...] = ()
    if file is not None:
        why = profiles.outdated(profile, file)
        if why:
            remedy = f"probe again: vdw probe {found.source.name}"
            message = f"nothing that was proven of source {found.source.name} counts: {why}"
            found.diagnostics.append(Diagnostic("warning", f"profiles/{found.source.name}.yml", 1, message, remedy))
        else:
            claims = tuple(sorted(file.claims))
            found.tables = profiles.doubted(found.tables, file.types)
    found.source = replace(found.source, profile=replace(profile, claims=claims))


def _lay(project: Project, name: str, found: Found) -> None:
    """The owner's policies for values that do not fit, on the tables of now."""
    file, source = f"sources/{name}.yml", project.sources[name]
    if found.tables:
        found.diagnostics += unfit.diagnostics(source, file, project.places.get(file, {}), found.tables)
    found.tables = unfit.applied(found.tables, source.policies)


def _known(name: str, catalog: Catalog, before: Before) -> Found:
    """What the build before knew of a source."""
    found = Found(catalog.sources[name], before.connectors.get(name), before.identities.get(name, ""))
    tables = (relation.table for relation in catalog.tables.values())
    found.tables = tuple(table for table in tables if table is not None and table.source == name)
    return found


def described(name: str, file: SourceFile) -> Source:
    """What the owner's file says of it."""
    return Source(
        name,
        file.kind,
        None,
        file.limits.value,
        file.ttl,
        file.as_of.model_dump(exclude_none=True),
        role=file.role or "",
        refresh=file.statistics.refresh,
        adaptive=Adaptive(**file.adaptive.model_dump()),
        breaker=Breaker(**file.breaker.model_dump()),
        observe=None if file.observe is None else file.observe.value,
        stale_while_revalidate=file.stale_while_revalidate,
        stale_if_error=file.stale_if_error,
        snapshot=file.snapshot.longest if file.snapshot.per == "query" else None,
    )


def _server(kind: str, options: Mapping[str, Any]) -> str:
    """A name of the server behind a source, the same in every process; nothing secret goes into it."""
    told = sorted(public(registry.options_model(kind), options).items())
    return hashlib.sha256(repr((kind, told)).encode()).hexdigest()


def _asked(
    connector: Connector, schemas: Sequence[str], tables: Sequence[str]
) -> Callable[[], tuple[Profile, tuple[Table, ...]]]:
    def ask() -> tuple[Profile, tuple[Table, ...]]:
        with blamed(connector.name):
            told = connector.profile(), connector.tables(tuple(schemas), tuple(tables))
            look(connector)
        return told

    return ask


def _fault(found: Found, place: str, error: Error, remedy: str) -> None:
    line = 1
    if error.place is not None and error.place.startswith(place + ":"):
        line = int(error.place.rpartition(":")[2])
    message = " ".join((error.message + (f": {error.detail}" if error.detail else "")).split())
    found.source = replace(found.source, fault=message)
    found.diagnostics.append(
        Diagnostic("error", place, line, f"source {found.source.name} cannot be read: {message}", remedy)
    )


def _remember(found: Found, before: Before) -> None:
    """What was known of a source before it went away."""
    known = before.catalog.sources.get(found.source.name) if before.catalog is not None else None
    if known is None or known.profile is None or known.kind != found.source.kind:
        return
    # of another server's tables nothing may be read: a plan for them could answer wrongly
    former = known.remembered or ("" if known.identity == found.source.identity else "the server before this one")
    found.source = replace(found.source, profile=known.profile, remembered=former)
    tables = (relation.table for relation in before.catalog.tables.values()) if before.catalog is not None else ()
    found.tables = tuple(table for table in tables if table is not None and table.source == known.name)


def _recall(found: Found, file: SourceFile, remembered: Remembered) -> None:
    """What was known of a source when it last was read, by a server before this one."""
    known = remembered.recall(found.source.name, _exposed(found.source, file))
    if known is not None:
        (profile, found.tables), when = known
        found.source = replace(found.source, profile=profile, remembered=when)


def _exposed(source: Source, file: SourceFile) -> str:
    """Which server, and which of its tables."""
    return hashlib.sha256(repr((source.identity, file.expose)).encode()).hexdigest()
