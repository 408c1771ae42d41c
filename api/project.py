"""A project folder brought to life: canon, sources, engine; reloaded as a whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from api.credentials import Credentials
from api.uploads.owned import Owned
from api.watches import tell
from cache.results import ResultCache
from connectors.base import Bound, Cancel
from connectors.errors import ConfigError, Error, QueryError
from federation import facts
from federation.build import Built, build, rebuild, renewed
from federation.canon import residual, roles
from federation.canon.analyse import Analyser
from federation.canon.server import Canon
from federation.canon.turn import Turn
from federation.duck import Duck, MergeLimits
from federation.engine import Engine
from federation.gate.gates import Gates
from federation.gate.trials import keep_trying
from federation.merge import InCanon
from federation.operations.control import Control, shut
from federation.operations.system import Visitor
from federation.remembered import Remembered
from federation.session import Session
from planner.plan import Plan
from planner.planner import plan
from planner.statement import Statement
from views.dashboards import Dashboard
from views.files import Merge
from views.load import load
from views.max_age import MaxAge
from views.project import Diagnostic, KeyPath, Project

RETRY = 5.0  # seconds between two looks at sources that are down, and at statistics that are due
LEAST_MEMORY = 32 << 20  # bytes without which DuckDB cannot start a merge

Batches = AsyncGenerator[pa.RecordBatch, None]

log = logging.getLogger("vdw.project")


@dataclass(slots=True)
class Runtime:
    """A project that answers. `project` and `diagnostics` are those of the last load that served."""

    engine: Engine
    project: Project
    diagnostics: tuple[Diagnostic, ...]
    canon: Canon
    control: Control
    owned: Owned
    credentials: Credentials
    _analyser: Analyser
    _built: Built
    alerts: Any = None  # api.watches.service.Alerts, where this process serves
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _listing: tuple[object, ...] = ()

    async def reload(self) -> tuple[Diagnostic, ...]:
        """Read the folder again and serve what it says now; the diagnostics of it.

        ConfigError, and nothing changes, where vdw.yml itself cannot be read, or the file of a source that is served,
        which may be half written. Listeners, cache and merge limits stay as they were until a restart.
        """
        async with self._turning() as turn:
            project = await asyncio.to_thread(_loaded, self.project.folder)
            _unbroken(self.project, project)
            self.owned = await asyncio.to_thread(Owned, _state(project), project.file)
            credentials = await asyncio.to_thread(Credentials, project.file, project.folder, os.environ)
            accounts = _accounts(project, self.owned, credentials)
            await asyncio.to_thread(roles.apply, self.canon.dsn(), accounts, self.canon.sessions)
            gates, remembered = self.engine.gates, Remembered(_state(project))
            try:
                built = await build(
                    project, self.canon, previous=self._built, gates=gates, remembered=remembered, turn=turn
                )
            except QueryError as error:
                raise _held(error) from None
            await self._serve(project, built)
            self.credentials = credentials
            self.engine.restricted = bool(project.file.users)
            self.engine.max_ages = _max_ages(project)
            return self.diagnostics

    @property
    def statements(self) -> Mapping[tuple[str, KeyPath], Statement]:
        """Those of the project's other files (watches, dashboards) that the canon accepts, by `Written.key`."""
        return self._built.statements

    @property
    def dashboards(self) -> Mapping[str, Dashboard]:
        """Those of the project that serves, panels at fault set aside."""
        return self._built.dashboards

    async def renew(self) -> None:
        """Serve what users own now: tables of theirs that came, changed or went, here or by another server."""
        async with self._turning() as turn:
            listing = await asyncio.to_thread(self.owned.listing)
            accounts = _accounts(self.project, self.owned, self.credentials)
            await asyncio.to_thread(roles.share, self.canon.dsn(), accounts)
            gates, remembered = self.engine.gates, Remembered(_state(self.project))
            changed = self.owned.shelves.keys()
            built = await renewed(
                self.project, self.canon, self._built, changed, gates=gates, remembered=remembered, turn=turn
            )
            await self._serve(self.project, built, changed)
            self._listing = listing

    def visitors(self) -> dict[str, Visitor]:
        """The users as the system schema knows them."""
        users = self.project.file.users.items()
        return {name: Visitor(name, user.admin, (*user.reads, *self.owned.reads(name))) for name, user in users}

    async def watch(self) -> None:
        """Until cancelled: bring back the views of sources that were down, soon after these answer again; and keep
        the statistics fresh."""
        while True:
            await asyncio.sleep(RETRY)
            await self.rotate()
            if any(source.fault for source in self.engine.catalog.sources.values()):
                await self._revive()
            if self.owned.shelves and await asyncio.to_thread(self.owned.listing) != self._listing:
                await self._follow()
            due = self.engine.statistician.due(self.engine.catalog)
            if due:
                await self.engine.refresh_statistics(due)
            if doubtful := {*due, *facts.altered(self.engine.connectors)}:
                await self.recheck(doubtful)

    async def rotate(self) -> tuple[str, ...]:
        """Take over the secrets of users that are others now where they stand; whose. Sessions that are open go on."""
        async with self._changing:
            before = self.credentials.values
            found = await asyncio.to_thread(self.credentials.renew)
            if not found:
                return ()
            try:
                accounts = _accounts(self.project, self.owned, self.credentials)
                await asyncio.to_thread(roles.apply, self.canon.dsn(), accounts, self.canon.sessions)
            except Exception as error:
                self.credentials.values = before  # they are tried again
                log.warning("secrets of users cannot be taken over: %s", type(error).__name__)
                return ()
            log.info("users with a new secret: %s", ", ".join(found))
            return found

    async def recheck(self, names: Collection[str]) -> tuple[str, ...]:
        """Ask these sources for their facts again, and serve anew where one is another than it was: upgraded, failed
        over, altered. Says which; plans are made anew then, and what was kept of them is not used."""
        try:
            async with self._turning() as turn:
                engine, files = self.engine, self.project.sources
                exposed = {name: (file.expose.schemas, file.expose.tables) for name, file in files.items()}
                found = await facts.others(engine.catalog, engine.connectors, exposed, names, engine.gates)
                if found:
                    remembered = Remembered(_state(self.project))
                    built = await renewed(
                        self.project, self.canon, self._built, found, gates=engine.gates, remembered=remembered,
                        turn=turn,
                    )  # fmt: skip
                    await self._serve(self.project, built, found)
                    log.info("source %s is another than it was; catalog %s serves", found, built.catalog.version)
                return found
        except Error as error:
            log.warning("sources are others than they were, but the catalog cannot be built: %s", error)
            return ()

    async def _revive(self) -> None:
        try:
            async with self._turning() as turn:
                gates, remembered = self.engine.gates, Remembered(_state(self.project))
                built = await rebuild(
                    self.project, self.canon, self._built, gates=gates, remembered=remembered, turn=turn
                )
                if built is not None:
                    await self._serve(self.project, built)
                    log.info("sources answer again; catalog %s serves", built.catalog.version)
        except Error as error:
            log.warning("sources answer again, but the catalog cannot be built: %s", error)

    async def _follow(self) -> None:
        try:
            await self.renew()
        except Error as error:
            log.warning("what users own has changed, but the catalog cannot be built: %s", error)

    @contextlib.asynccontextmanager
    async def _turning(self) -> AsyncIterator[Turn]:
        """One change of what is served at a time, whether it comes off or not."""
        async with self._changing:
            try:
                yield self._analyser.turn
            finally:
                self._analyser.turn.end()

    async def _serve(self, project: Project, built: Built, changed: Collection[str] | None = None) -> None:
        await self.engine.swap(built.catalog, built.connectors, changed)
        self.project, self.diagnostics, self._built = project, built.diagnostics, built


@contextlib.asynccontextmanager
async def open_project(folder: Path) -> AsyncIterator[Runtime]:
    """Everything of the project, up; and gone afterwards.

    ConfigError where vdw.yml cannot be read or no PostgreSQL binaries are found. Whatever else is at fault stands in
    `diagnostics`, and the rest serves.
    """
    project = await asyncio.to_thread(_loaded, folder)
    async with contextlib.AsyncExitStack() as stack:
        sessions = project.file.listen.postgresql.connections
        canon = Canon(sessions=sessions)
        stack.push_async_callback(asyncio.to_thread, canon.stop)
        await asyncio.to_thread(canon.start)
        owned = await asyncio.to_thread(Owned, _state(project), project.file)
        listing = owned.listing()
        credentials = await asyncio.to_thread(Credentials, project.file, project.folder, os.environ)
        accounts = _accounts(project, owned, credentials)
        await asyncio.to_thread(roles.apply, canon.dsn(), accounts, sessions)
        gates = Gates()
        stack.callback(gates.close)
        shut(gates, _state(project))
        built = await build(project, canon, gates=gates, remembered=Remembered(_state(project)))
        analyser = Analyser(canon)
        stack.push_async_callback(analyser.close)
        await analyser.start()
        mergers = residual.Mergers(canon, limit=project.file.merge.canon)
        stack.push_async_callback(mergers.close)
        engine = Engine(
            catalog=built.catalog,
            connectors=built.connectors,
            canon=canon,
            analyser=analyser,
            plan=plan,
            in_canon=_in_canon(mergers),
            cache=ResultCache(project.file.cache.size),
            duck=Duck(_merge_limits(project.file.merge, folder, stack)),
            restricted=bool(project.file.users),
            containment=project.file.cache.containment,
            gates=gates,
            max_ages=_max_ages(project),
        )
        control = Control(engine, _state(project))
        stack.push_async_callback(control.close)
        stack.push_async_callback(engine.close)
        runtime = Runtime(engine, project, built.diagnostics, canon, control, owned, credentials, analyser, built)
        runtime._listing = listing
        control.accounts = runtime.visitors
        engine.system.makers = {**engine.system.makers, **tell.makers(runtime)}
        await engine.refresh_statistics()
        for work in (runtime.watch(), keep_trying(gates, lambda: engine.connectors)):
            stack.callback(asyncio.create_task(work).cancel)
        yield runtime


def _held(error: QueryError) -> Error:
    """Why a reload had to leave everything as it was."""
    if error.sqlstate != "55P03":
        return error
    return ConfigError(
        "a client's transaction still reads what this reload would change or remove",
        place="vdw.yml",
        hint="reload again when it has ended (vdw running lists what runs)",
    )


def _state(project: Project) -> Path:
    return project.folder / project.file.state


def _loaded(folder: Path) -> Project:
    """The project; ConfigError for what is wrong with vdw.yml, as nothing serves without it."""
    project = load(folder)
    for one in project.diagnostics:
        if one.severity == "error" and one.file == "vdw.yml":
            raise ConfigError(one.message, place=f"{folder / one.file}:{one.line}", hint=one.remedy or None)
    return project


def _unbroken(served: Project, read: Project) -> None:
    """ConfigError where a source that is served has a file at fault now: its queries would be lost by a slip."""
    for one in read.diagnostics:
        name = one.file.removeprefix("sources/").removesuffix(".yml")
        if one.severity == "error" and name in served.sources and name not in read.sources:
            raise ConfigError(one.message, place=f"{read.folder / one.file}:{one.line}", hint=one.remedy or None)


def _max_ages(project: Project) -> dict[str, MaxAge]:
    found = {name: MaxAge.parse(user.max_age) for name, user in project.file.users.items()}
    return {name: said for name, said in found.items() if said is not None}


def _accounts(project: Project, owned: Owned, credentials: Credentials) -> dict[str, roles.Account]:
    users, secrets = project.file.users.items(), credentials.values
    return {
        name: roles.Account(secrets[name], (*user.reads, *owned.reads(name)), user.scram.iterations, user.max_age)
        for name, user in users
    }


def _merge_limits(merge: Merge, folder: Path, stack: contextlib.AsyncExitStack) -> MergeLimits:
    spill = folder / merge.spill if merge.spill is not None else Path(tempfile.mkdtemp(prefix="vdw-spill-"))
    if merge.spill is None:
        stack.callback(shutil.rmtree, spill, ignore_errors=True)
    memory = f"{max(merge.memory, LEAST_MEMORY) >> 20}MiB"
    return MergeLimits(memory=memory, threads=merge.threads, spill=spill)


def _in_canon(mergers: residual.Mergers) -> InCanon:
    async def run(
        plan: Plan, tables: Mapping[int, pa.Table], params: Sequence[Bound], session: Session, cancel: Cancel
    ) -> Batches:
        made = residual.run(mergers, plan, tables, params, session, cancel)
        async with contextlib.aclosing(cast(Batches, made)) as batches:
            async for batch in batches:
                yield batch

    return run
