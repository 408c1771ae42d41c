"""What `vdw query`, `explain` and `check` do: open the project, ask it once, write the answer."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import typer

from api import console, formats, interrupt
from api.console import Progress
from api.params import bound
from api.project import Runtime, open_project
from connectors.base import Bound, Cancel
from connectors.errors import ConfigError, Error, QueryError, SourceError
from federation.freshness import provenance
from federation.prepare import Prepared
from federation.result import Result
from federation.session import Session
from views.catalog import Catalog
from views.load import load
from views.max_age import MaxAge
from views.project import Diagnostic, Project, place_of
from views.rules import WHY
from views.text import names
from views.validate import did_you_mean
from views.values import duration

ABSENT = frozenset({"42P01", "3F000"})  # PostgreSQL's undefined_table and invalid_schema_name


@dataclass(frozen=True, slots=True)
class Asking:
    """One statement from the command line; `user` None asks as the operator, who may read everything."""

    project: Path
    sql: str
    params: tuple[str, ...] = ()
    timeout: str = "60s"
    user: str | None = None
    max_age: str = ""

    def session(self, runtime: Runtime) -> Session:
        """Who asks, and for how long."""
        users = runtime.project.file.users
        if self.user is not None and self.user not in users:
            raise ConfigError(f'there is no user "{self.user}" in vdw.yml', hint=did_you_mean(self.user, users))
        return Session(
            self.user or "vdw",
            formats.SETTINGS,
            timeout=seconds(self.timeout),
            protocol="cli",
            max_age=MaxAge.parse(self.max_age),
        )


def seconds(text: str) -> float:
    """A duration from the command line; wrong ones are a usage error."""
    try:
        return duration(text)
    except ValueError as error:
        raise typer.BadParameter(f'"{text}": {error}, such as 30s or 5m', param_hint="--timeout") from None


def _usage(asking: Asking) -> None:
    """Before anything is opened: wrong options."""
    seconds(asking.timeout)
    try:
        MaxAge.parse(asking.max_age)
    except QueryError as error:
        raise typer.BadParameter(f"{error.message}. {error.hint}", param_hint="--max-age") from None


def ask(asking: Asking, form: str, output: Path | None, rows: int, told: str = "") -> int:
    """Answer a statement in a format, and say where it came from as `told` (text | json) or only what it lacks; the
    exit code."""
    _usage(asking)
    quiet = form == "table" or output is not None or not sys.stdout.isatty()  # no rows on the terminal meanwhile

    async def work(cancel: Cancel) -> int:
        async with opened(asking.project, quiet) as (runtime, progress):
            result = await _result(runtime, asking, cancel, progress)
            try:
                if form == "table":
                    await _table(result, rows, progress)
                else:
                    with _stream(output) as stream:
                        await _write(result, form, stream, progress)
                await progress.end()
                console.provenance(provenance.facts(result.parts), told)
            finally:
                await result.aclose()
        return 0

    return interrupt.run(work)


def explain_it(asking: Asking, analyze: bool, as_json: bool) -> int:
    """Print how a statement is answered; the exit code."""
    _usage(asking)

    async def work(_cancel: Cancel) -> int:
        async with opened(asking.project, True) as (runtime, _):
            session = asking.session(runtime)
            params: tuple[Bound, ...] = ()
            if asking.params or analyze:
                prepared = await _prepared(runtime, asking.sql, session)
                params = await bound(runtime.engine.canon, prepared.statement.params, asking.params)
            explanation = await runtime.engine.explain(asking.sql, session, params, analyze)
        typer.echo(listed(explanation.json()) if as_json else explanation.text())
        return 0

    return interrupt.run(work)


def diagnostics(project: Path) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a project: its files, its sources as they are now, its views' SQL."""
    read = load(project)
    found = [*read.diagnostics, *_secrets(read)]
    if not any(one.file == "vdw.yml" and one.severity == "error" for one in found):

        async def work(_cancel: Cancel) -> tuple[Diagnostic, ...]:
            async with console.progress(True), open_project(project) as runtime:
                return runtime.diagnostics

        found += interrupt.run(work)
    return tuple(sorted(dict.fromkeys(found), key=lambda one: (one.file, one.line, one.column, one.message)))


def _secrets(project: Project) -> Iterator[Diagnostic]:
    """Secrets of users and notifiers that are not to be had here; those of sources are found when these are asked."""
    for name, user in project.file.users.items():
        secret = user.password or user.scram.verifier
        try:
            if secret is not None:
                secret.resolve(project.folder, os.environ)
        except ConfigError as error:
            line, column = place_of(project.places.get("vdw.yml", {}), ("users", name, "password"))
            yield Diagnostic("error", "vdw.yml", line, f'user "{name}": {error.message}', error.hint or "", column)
    for name, notifier in project.file.notifiers.items():
        for path, secret in notifier.references():
            try:
                secret.resolve(project.folder, os.environ)
            except ConfigError as error:
                line, column = place_of(project.places.get("vdw.yml", {}), ("notifiers", name, *path))
                message = f'notifier "{name}": {error.message}'
                yield Diagnostic("error", "vdw.yml", line, message, error.hint or "", column)


@contextlib.asynccontextmanager
async def opened(project: Path, progress: bool) -> AsyncIterator[tuple[Runtime, Progress]]:
    """The running project; its errors are counted on stderr, since what they concern is not there."""
    errors = 0
    try:
        async with console.progress(progress) as state, open_project(project) as runtime:
            errors = sum(one.severity == "error" for one in runtime.diagnostics)
            state.doing = "asking"
            yield runtime, state
    finally:
        console.unserved(errors)


async def _result(runtime: Runtime, asking: Asking, cancel: Cancel, progress: Progress) -> Result:
    session = asking.session(runtime)
    prepared = await _prepared(runtime, asking.sql, session)
    params = await bound(runtime.engine.canon, prepared.statement.params, asking.params)
    progress.doing = "asking " + ", ".join(sorted({fragment.source for fragment in prepared.plan.fragments}))
    return await runtime.engine.run(prepared, params, session, cancel)


async def _prepared(runtime: Runtime, sql: str, session: Session) -> Prepared:
    """The statement, ready to run; where it names what is not served now, the error says why."""
    try:
        return await runtime.engine.prepare(sql, session)
    except QueryError as error:
        if error.sqlstate in ABSENT:
            raise absent(sql, runtime.diagnostics, runtime.engine.catalog) or error from None
        raise


def absent(sql: str, diagnostics: Sequence[Diagnostic], catalog: Catalog) -> Error | None:
    """Why a statement names what is not there: a source that is away, or a file at fault. None where no file says."""
    for schema, name in sorted(names(sql)):
        source = catalog.sources.get(schema)
        if (schema, name) in catalog.views or (schema, name) in catalog.tables:
            continue
        for file in (f"views/{schema}/{name}.view.sql", f"rules/{schema}/{name.removesuffix(WHY)}.yml"):
            found = _first_error(file, diagnostics)
            if found is not None:
                return _not_served(f"{schema}.{name}", found, catalog)
        if source is not None and source.fault:
            return SourceError(f"{schema}.{name} is not served: {source.fault}", sqlstate="08001", place=schema)
    return None


def _first_error(file: str, diagnostics: Sequence[Diagnostic]) -> Diagnostic | None:
    return next((one for one in diagnostics if one.file == file and one.severity == "error"), None)


def _not_served(name: str, found: Diagnostic, catalog: Catalog) -> Error:
    away = next((source for source in catalog.sources.values() if source.fault), None)
    message = f"{name} is not served: {found.message}"
    if away is not None and found.message.endswith(("which is not served", "which cannot be read")):
        return SourceError(message, sqlstate="08001", place=away.name, detail=away.fault)
    return ConfigError(message, place=f"{found.file}:{found.line}", hint=found.remedy)


async def _table(result: Result, most: int, progress: Progress) -> None:
    from api.pgwire.rows import text_columns

    rows: list[tuple[str | None, ...]] = []
    more = False
    async for batch in result.batches:
        columns = text_columns(batch.slice(0, most - len(rows)), result.columns, formats.SETTINGS)
        rows += zip(*columns, strict=True) if columns else [()] * min(batch.num_rows, most - len(rows))
        progress.rows = len(rows)
        more = more or batch.num_rows > len(columns[0] if columns else rows)
        if more:
            break
    await progress.end()
    headers = [name for name, _ in result.columns]
    console.table(headers, rows, [console.is_number(kind.name) for _, kind in result.columns])
    shown = console.count(len(rows), "row")
    console.note(f"the first {shown}; --format csv gives all" if more else shown)


async def _write(result: Result, form: str, stream: IO[bytes], progress: Progress) -> None:
    writer = formats.writer(form, result.columns, stream)
    async for batch in result.batches:
        writer.write(batch)
        progress.rows += batch.num_rows
    writer.close()
    stream.flush()


@contextlib.contextmanager
def _stream(output: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that appears under its name only when it is whole."""
    if output is None:
        yield sys.stdout.buffer
        return
    part = output.with_name(output.name + ".part")
    try:
        with part.open("wb") as stream:
            yield stream
        part.replace(output)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def listed(value: Any) -> str:
    """A value of a listing as JSON text."""
    return json.dumps(value, indent=2, ensure_ascii=False)
