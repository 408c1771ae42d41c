"""From a project's files to what can be asked: sources introspected, views analysed, the canon's shells in step.

What is at fault stands aside with a diagnostic, together with the views over it, and the rest serves.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from connectors.base import Connector
from connectors.errors import QueryError
from federation import panels, rule_faults
from federation.canon import shell
from federation.canon.analyse import BODY, Analyser
from federation.canon.server import Canon
from federation.canon.turn import Turn
from federation.canon.wire import Wire
from federation.freshness import copies
from federation.gate.gates import Gates
from federation.introspection import Before, Found, alive, introspected
from federation.remembered import Remembered
from planner.planner import algebra, unreadable
from planner.preserved import loss
from planner.statement import Statement
from views import watches
from views.catalog import OWNED, Catalog, Relation, SourceTable, View
from views.check import check_columns
from views.dashboards import Dashboard
from views.project import Diagnostic, KeyPath, Project, ViewDraft, Written
from views.rules import RuleDraft

INTROSPECTION = 15.0  # seconds that one source may take
LONGEST_NAME = 63  # bytes; PostgreSQL would cut a longer one
USER_TYPES = 16384  # the first oid that is not PostgreSQL's own
EXPOSE = "leave it out of expose.tables, or rename it at the source"
Key = tuple[str, str]


class Built(NamedTuple):
    """What serves, and what is wrong. The connectors are the caller's to close."""

    catalog: Catalog
    connectors: dict[str, Connector]
    diagnostics: tuple[Diagnostic, ...]
    identities: Mapping[str, str] = MappingProxyType({})  # of connectors: who has the same is the same
    statements: Mapping[tuple[str, KeyPath], Statement] = MappingProxyType({})  # the good ones, by Written.key
    dashboards: Mapping[str, Dashboard] = MappingProxyType({})  # panels at fault set aside


async def build(
    project: Project,
    canon: Canon,
    *,
    environment: Mapping[str, str] | None = None,
    previous: Built | None = None,
    patience: float = INTROSPECTION,
    gates: Gates | None = None,
    remembered: Remembered | None = None,
    changed: Collection[str] | None = None,
    turn: Turn | None = None,
) -> Built:
    """Introspect, analyse, and install the shells, all at once or not at all.

    With `previous`, connectors whose source file says the same are taken over, and a source that cannot be reached
    now keeps the tables that were known of it; else those that are `remembered`. Otherwise its views wait for it: see
    `rebuild`. Diagnostics are the project's own and those found here. Sources are asked through their `gates`;
    where only those of `changed` have changed since the previous build, no other one. `turn` begins with the commit;
    who asked for the build ends it.
    """
    surroundings = os.environ if environment is None else environment
    before = Before(remembered=remembered)
    if previous is not None:
        before = Before(previous.catalog, previous.connectors, previous.identities, remembered, changed)
    found = await introspected(project, surroundings, patience, before, Gates() if gates is None else gates)
    work = _Work(project, found, Analyser(canon))
    await asyncio.to_thread(shell.support, canon.dsn())
    async with _transaction(canon, turn) as wire:
        await work.install(wire)
    held, wrong = copies.resolve(project, work.tables)
    catalog = Catalog(
        sources={name: replace(one.source, copies=held.get(name, {})) for name, one in found.items()},
        tables=work.tables,
        views=work.views,
        version="",
        copies=copies.originals(held.items()),
    )
    connectors = {name: one.connector for name, one in found.items() if one.connector is not None}
    dashboards, amiss = panels.checked(project.dashboards, work.statements)
    told = (*project.diagnostics, *_before(previous, before), *work.diagnostics, *wrong, *amiss)
    diagnostics = tuple(dict.fromkeys(told))
    identities = {name: one.identity for name, one in found.items()}
    return Built(_versioned(catalog), connectors, diagnostics, identities, work.statements, dashboards)


async def renewed(
    project: Project,
    canon: Canon,
    previous: Built,
    changed: Collection[str],
    *,
    environment: Mapping[str, str] | None = None,
    gates: Gates | None = None,
    remembered: Remembered | None = None,
    turn: Turn | None = None,
) -> Built:
    """Build again where only the tables of `changed` sources are others, of the same project. Where nothing of it reads
    these, as it is with tables of users, nothing but their shells is made."""
    surroundings, doors = os.environ if environment is None else environment, Gates() if gates is None else gates
    if _read(project, previous, changed):
        return await build(
            project,
            canon,
            environment=surroundings,
            previous=previous,
            gates=doors,
            remembered=remembered,
            changed=changed,
            turn=turn,
        )
    before = Before(previous.catalog, previous.connectors, previous.identities, remembered, changed)
    found = await introspected(project, surroundings, INTROSPECTION, before, doors)
    work = _Work(project, {name: found[name] for name in changed}, Analyser(canon))
    async with _transaction(canon, turn) as wire:
        await work.exchange(wire)
    catalog = previous.catalog
    tables = {key: table for key, table in catalog.tables.items() if table.schema not in changed}
    sources = {**catalog.sources, **{name: found[name].source for name in changed}}
    catalog = _versioned(replace(catalog, sources=sources, tables={**tables, **work.tables}))
    connectors = {**previous.connectors, **{n: c for n in changed if (c := found[n].connector) is not None}}
    files = {f"sources/{name}.yml" for name in changed}
    told = (*(one for one in previous.diagnostics if one.file not in files), *work.diagnostics)
    identities = {**previous.identities, **{name: found[name].identity for name in changed}}
    return previous._replace(
        catalog=catalog, connectors=connectors, diagnostics=tuple(dict.fromkeys(told)), identities=identities
    )


def _read(project: Project, previous: Built, changed: Collection[str]) -> bool:
    """Whether anything of the project stands on these sources."""
    links = (relation.to.partition(".")[0] for draft in project.views for relation in draft.header.relations.values())
    reads = (schema for draft in project.views for schema, _ in draft.reads)
    asked = (schema for one in previous.statements.values() for schema, _ in one.relations)
    lost = any(one.key not in previous.statements for one in project.statements)
    return lost or not set(changed).isdisjoint((*links, *reads, *asked))


def _before(previous: Built | None, before: Before) -> Iterator[Diagnostic]:
    """What the build before had to say of sources that were not asked again."""
    for one in previous.diagnostics if previous is not None else ():
        if one.file.startswith("sources/") and before.stands(one.file.removeprefix("sources/").removesuffix(".yml")):
            yield one


def _versioned(catalog: Catalog) -> Catalog:
    """The catalog with the version of all that it holds, and that of what is not users' own."""
    whole = version(catalog)
    tables = {key: table for key, table in catalog.tables.items() if table.schema not in OWNED}
    lasting = whole if len(tables) == len(catalog.tables) else version(replace(catalog, tables=tables))
    return replace(catalog, version=whole, lasting=lasting, versions=editions(catalog))


def editions(catalog: Catalog) -> dict[str, str]:
    """See Catalog.edition. How many rows a table has, and what people say of it, makes no rows others."""
    tables: dict[str, list[object]] = {name: [] for name in catalog.sources if name not in OWNED}
    for key, relation in sorted(catalog.tables.items()):
        if key[0] in tables and relation.table is not None:
            tables[key[0]].append((key, relation.columns, replace(relation.table, row_count=None, comment="")))
    found = {
        name: _hash((source.kind, source.identity, source.profile, source.as_of, source.copies, tables[name]))
        for name, source in catalog.sources.items()
        if name in tables
    }
    return {**found, **{f"{schema}.{name}": _hash(view) for (schema, name), view in catalog.views.items()}}


async def rebuild(
    project: Project,
    canon: Canon,
    previous: Built,
    *,
    environment: Mapping[str, str] | None = None,
    gates: Gates | None = None,
    remembered: Remembered | None = None,
    turn: Turn | None = None,
) -> Built | None:
    """Build again when a source that was down answers; None while none does."""
    down = [name for name, source in previous.catalog.sources.items() if source.fault]
    doors = Gates() if gates is None else gates
    answers = await asyncio.gather(*(alive(previous.connectors.get(name), doors.of(name)) for name in down))
    if not any(answers):
        return None
    return await build(
        project, canon, previous=previous, environment=environment, gates=doors, remembered=remembered, turn=turn
    )


def version(catalog: Catalog) -> str:
    """A hash of all that the catalog holds: the same contents give the same version in any process."""
    servers = sorted((name, source.identity) for name, source in catalog.sources.items())
    facts = (sorted(catalog.sources.items()), sorted(catalog.tables.items()), sorted(catalog.views.items()), servers)
    return _hash(facts)


def _hash(facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


@asynccontextmanager
async def _transaction(canon: Canon, turn: Turn | None) -> AsyncIterator[Wire]:
    wire = await Wire.connect(canon.dsn())
    try:
        await wire.rows("BEGIN", *shell.BEGIN)
        yield wire
        await wire.rows(*shell.FINISH)
        if turn is not None:
            turn.begin()
        await wire.rows("COMMIT")
    finally:
        wire.close()


@dataclass(slots=True)
class _Work:
    """One build's relations as they come to be, in one transaction of the canon."""

    project: Project
    found: Mapping[str, Found]
    analyser: Analyser
    tables: dict[Key, SourceTable] = field(default_factory=dict)
    views: dict[Key, View] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    lost: dict[Key, str] = field(default_factory=dict)  # why it is not served
    standing: dict[Key, str] = field(default_factory=dict)
    statements: dict[tuple[str, KeyPath], Statement] = field(default_factory=dict)

    async def install(self, wire: Wire) -> None:
        """Tables, then views in their order. A shell of what is not served goes before anything could read it."""
        (rows,) = await wire.rows(shell.STANDING)
        self.standing = {(schema or "", name or ""): digest or "" for schema, name, digest in rows}
        for found in self.found.values():
            self.diagnostics += found.diagnostics
            await self._tables(wire, found)
        drafts = {draft.key: draft for draft in self.project.views}
        for key in self.standing.keys() - self.tables.keys() - drafts.keys():
            await self._drop(wire, key)
        for draft in drafts.values():
            await self._view(wire, draft)
        await self._checked(wire, drafts)
        for written in self.project.statements:
            if written.after is None or (written.file, written.after) in self.statements:
                await self._statement(wire, written)
        self.diagnostics += self._watches()

    async def exchange(self, wire: Wire) -> None:
        """Only the tables of the sources at hand: those that are new or others, and those that have gone."""
        (rows,) = await wire.rows(shell.STANDING)
        standing = {(schema or "", name or ""): digest or "" for schema, name, digest in rows}
        self.standing = {key: digest for key, digest in standing.items() if key[0] in self.found}
        for found in self.found.values():
            self.diagnostics += found.diagnostics
            await self._tables(wire, found)
        for key in self.standing.keys() - self.tables.keys():
            await self._drop(wire, key)

    def _watches(self) -> tuple[Diagnostic, ...]:
        """What is wrong with watches now that the columns of their queries are known."""
        read = {name: self.statements.get((watches.file_of(name), watches.QUERY)) for name in self.project.watches}
        found = {name: one for name, one in read.items() if one is not None}
        columns = {name: [column for column, _ in one.columns] for name, one in found.items()}
        return watches.column_diagnostics(self.project, columns, {n: one.relations for n, one in found.items()})

    async def _statement(self, wire: Wire, written: Written) -> None:
        """What the canon makes of a statement of the project's files, over what is served."""
        try:
            statement = await self.analyser.analyse_on(wire, written.sql, in_transaction=True, form=BODY)
        except QueryError as error:
            reads = [
                key for key in self.lost if error.sqlstate in ("42P01", "3F000") and ".".join(key) in error.message
            ]
            remedy = f"first correct: {self.lost[reads[0]]}" if reads else error.hint or ""
            self.diagnostics.append(written.diagnostic(error.message, remedy, error.position))
        else:
            self.statements[written.key] = statement

    async def _drop(self, wire: Wire, key: Key) -> None:
        if self.standing.pop(key, None) is not None:
            await wire.rows(*shell.drop(key))

    async def _tables(self, wire: Wire, found: Found) -> None:
        names = Counter(table.name for table in found.tables)
        for table in found.tables:
            relation = SourceTable(
                found.source.name,
                table.name,
                tuple((column.name, column.type) for column in table.columns),
                table.comment,
                table,
            )
            why = _unfit(relation, names)
            if not why:
                why = await self._shell(wire, relation)
            if why:
                place = f"sources/{found.source.name}.yml"
                await self._lose(wire, relation.key, Diagnostic("error", place, 1, why, EXPOSE))
            else:
                self.tables[relation.key] = relation

    async def _view(self, wire: Wire, draft: ViewDraft) -> None:
        if draft.key in self.tables:
            message = f"{draft.full_name} is a table of source {draft.schema} already"
            await self._lose(wire, draft.key, Diagnostic("error", draft.file, 1, message, "rename the view"))
            return
        try:
            statement = await self.analyser.analyse_on(wire, draft.query, in_transaction=True, form=BODY)
            view = draft.view(statement.columns, statement.text, statement.relations)
            why = _unfit_view(statement, draft)
            fault = Diagnostic("error", draft.file, draft.line, why) if why else None
        except QueryError as error:
            fault = self._told(draft, error)
        if fault is not None and isinstance(draft, RuleDraft):
            rest, fault = await self._rest(wire, draft, fault)
            if rest is not None:
                await self._view(wire, rest)
                return
        if fault is None:
            why = await self._shell(wire, view)
            fault = Diagnostic("error", draft.file, draft.line, why) if why else None
        if fault is not None:
            await self._lose(wire, draft.key, fault)
            return
        self.views[draft.key] = view
        if rule_faults.fleeting(statement, draft):
            message = f"{draft.full_name} may hold a moment of loading: 'today' and the like are constants in a view"
            self.diagnostics.append(
                Diagnostic("warning", draft.file, draft.line, message, "write current_date or now()")
            )

    async def _rest(self, wire: Wire, draft: RuleDraft, fault: Diagnostic) -> tuple[RuleDraft | None, Diagnostic]:
        """What is left of a rule set without what is at fault in it; where that is nothing, the set's own fault."""

        async def analyse(text: str) -> Statement:
            return await self.analyser.analyse_on(wire, text, in_transaction=True, form=BODY)

        rest, fault, found = await rule_faults.rest(draft, fault, analyse, self._told)
        self.diagnostics += found
        return rest, fault

    async def _shell(self, wire: Wire, relation: Relation) -> str:
        """Make the relation's shell unless it stands already; why that cannot be, or ''."""
        standing = self.standing.get(relation.key)
        if standing == shell.digest(relation):
            return ""
        try:
            await wire.rows("SAVEPOINT vdw_shell", *(shell.drop(relation.key) if standing is not None else ()))
            await wire.rows(*shell.create(relation), "RELEASE SAVEPOINT vdw_shell")
        except QueryError as error:
            if error.sqlstate == "55P03":
                raise
            await wire.rows("ROLLBACK TO SAVEPOINT vdw_shell", "RELEASE SAVEPOINT vdw_shell")
            return f"{relation.schema}.{relation.name} cannot be a view: {error.message}"
        self.standing[relation.key] = shell.digest(relation)
        return ""

    async def _checked(self, wire: Wire, drafts: Mapping[Key, ViewDraft]) -> None:
        """Check the headers against the columns; what fails is lost, and what reads it too."""
        relations: dict[Key, Relation] = {**self.tables, **self.views}
        columns = {key: tuple(name for name, _ in relation.columns) for key, relation in relations.items()}
        for link in [link for view in self.views.values() for link in view.links]:
            if link.to not in relations:  # the link is left out below, and not held against the view
                columns[link.to] = (*columns.get(link.to, ()), *(other for _, other in link.join))
        for key, view in list(self.views.items()):
            draft = drafts[key]
            errors = [d for d in check_columns(draft, columns, self.project.sources) if d.severity == "error"]
            errors += self._losses(draft, view)
            for read in [read for read in view.depends if read in self.lost][:1]:
                message = f"{draft.full_name} reads {'.'.join(read)}, which is not served"
                errors.append(Diagnostic("error", draft.file, draft.line, message, f"first correct: {self.lost[read]}"))
            for error in errors:
                await self._lose(wire, key, error)
        for key, view in self.views.items():
            served = tuple(link for link in view.links if link.to in self.views or link.to in self.tables)
            if len(served) < len(view.links):
                self.views[key] = replace(view, links=served)
        self.diagnostics += self._unreadable(drafts)

    def _unreadable(self, drafts: Mapping[Key, ViewDraft]) -> Iterator[Diagnostic]:
        """Views over tables that can only be read by values that nobody can give them."""
        if not any(one.table is not None and one.table.requires for one in self.tables.values()):
            return
        sources = {name: one.source for name, one in self.found.items()}
        bare = Catalog(sources, self.tables, self.views, version="")
        catalog = replace(bare, version=version(bare))
        for key, view in self.views.items():
            refused = unreadable(view, catalog)
            if refused is not None:
                draft, remedy = drafts[key], "give the columns in the view, join by them, or have them among its own"
                message = f"{draft.full_name} can never be read: {refused.message}"
                yield Diagnostic("warning", draft.file, draft.line, message, remedy)

    def _losses(self, draft: ViewDraft, view: View) -> Iterator[Diagnostic]:
        """`on_source_down` with `nulls` where rows would be lost all the same."""
        for source, ways in view.on_source_down.items():
            if "nulls" not in ways or source not in self.found:
                continue
            sources = {name: one.source for name, one in self.found.items()}
            catalog = Catalog(sources, self.tables, self.views, version="")
            why = loss(algebra(view, replace(catalog, version=version(catalog))), source)
            if why:
                message = f"{draft.full_name} cannot have NULLs for {source} while it is down: {why}"
                remedy = (
                    f"LEFT JOIN what comes of {source} and filter nothing by it, or write partial: rows are left out"
                )
                yield draft.diagnostic("error", ("on_source_down", source), message, remedy)

    def _told(self, draft: ViewDraft, error: QueryError, place: tuple[int, int] | None = None) -> Diagnostic:
        """The canon's error about a view; where it reads what is not served, that is the reason."""
        line, column = place or draft.place(error.position)
        views = {one.key for one in self.project.views}  # one may share its schema with a source
        read = {schema for schema, name in draft.reads if (schema, name) not in views} & self.found.keys()
        down = sorted(source for source in read if self.found[source].source.fault)
        lost = sorted(key for key in draft.reads if key in self.lost)
        if error.sqlstate in ("42P01", "3F000") and (lost or down):
            what = f"{'.'.join(lost[0])}, which is not served" if lost else f"source {down[0]}, which cannot be read"
            remedy = f"first correct: {self.lost[lost[0]]}" if lost else "it is served as soon as the source answers"
            return Diagnostic("error", draft.file, line, f"{draft.full_name} reads {what}", remedy, column)
        return Diagnostic("error", draft.file, line, f"{draft.full_name}: {error.message}", error.hint or "", column)

    async def _lose(self, wire: Wire, key: Key, diagnostic: Diagnostic) -> None:
        """Not served: neither here nor in the canon."""
        self.lost.setdefault(key, diagnostic.message)
        self.diagnostics.append(diagnostic)
        self.views.pop(key, None)
        if key not in self.tables:
            await self._drop(wire, key)


def _unfit(relation: SourceTable, names: Counter[str]) -> str:
    """Why a source's table cannot be a relation here; ''."""
    full = f"{relation.schema}.{relation.name}"
    if names[relation.name] > 1:
        return f"{full} is in more than one schema of the source: name the one to expose in expose.schemas"
    columns = Counter(name for name, _ in relation.columns)
    long = [name for name in (relation.name, *columns) if len(name.encode()) > LONGEST_NAME]
    if long:
        return f'{full}: the name "{long[0]}" is longer than {LONGEST_NAME} bytes'
    if not columns:
        return f"{full} has no columns that can be read"
    return ""


def _unfit_view(statement: Statement, draft: ViewDraft) -> str:
    """Why a statement cannot be a view; ''."""
    columns = Counter(name for name, _ in statement.columns)
    twice = [name for name, count in columns.items() if count > 1]
    foreign = [(name, kind) for name, kind in statement.columns if kind.oid >= USER_TYPES]
    if statement.params:
        return f"{draft.full_name} has a parameter, and a view has none"
    if statement.session:
        return f"{draft.full_name} reads catalogs or the session: a view reads sources and views only"
    if not columns:
        return f"{draft.full_name} has no columns"
    if twice:
        return f'{draft.full_name} has the column "{twice[0]}" twice: name them with AS'
    if foreign:
        return f'{draft.full_name}: column "{foreign[0][0]}" is a whole row: name its columns'
    return ""
