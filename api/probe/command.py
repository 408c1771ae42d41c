"""What `vdw probe` does: open the project, try the source through its gate, write its profile."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pyarrow as pa
import typer
import yaml

from api import console, interrupt
from api.ask import listed, opened
from api.console import Progress
from api.probe.probe import Asker, Outcome
from api.probe.probe import probe as tried
from api.project import Runtime
from connectors.base import Bound, Cancel, Profile, SourceQuery
from connectors.capability import candidates, claims, proven
from connectors.errors import ConfigError, SourceError
from federation.gate.patience import patiently
from federation.naming import blamed
from federation.profiles import version
from views.load import PROFILES
from views.validate import did_you_mean

_HEAD = "# Written by `vdw probe {}`: what was proven of this server. See docs/probe.md.\n"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    project: Path
    source: str
    seed: int
    most: int
    dry: bool
    as_json: bool


def probe(wanted: Wanted) -> int:
    """Try the claims of a source, tell, and write; the exit code."""

    async def work(cancel: Cancel) -> int:
        async with opened(wanted.project, True) as (runtime, progress):
            profile = _profile(runtime, wanted.source)
            count = sum(1 for _ in claims.claims(candidates(profile.dialect)))
            console.note(
                f"source {wanted.source}: {count} claims of {profile.dialect} are tried by SELECTs over constants, "
                f"{wanted.most} at most, one at a time; no table is read"
            )
            outcome = await _tried(runtime, profile, wanted, cancel, progress)
            await progress.end()
        if wanted.dry:
            console.note(f"{outcome.statements} statements; none was sent")
            return 0
        path = wanted.project / PROFILES / f"{wanted.source}.yml"
        write(path, outcome, wanted.source)
        _tell(outcome, wanted)
        console.note(f"wrote {path}; a server that runs takes it with its next reload")
        return 0

    return interrupt.run(work)


def _profile(runtime: Runtime, name: str) -> Profile:
    """What is to be probed; errors where there is nothing to prove."""
    sources = runtime.engine.catalog.sources
    if name not in sources or sources[name].system:
        known = [each for each, one in sources.items() if not one.system]
        raise ConfigError(f'there is no source "{name}"', hint=did_you_mean(name, known))
    source = sources[name]
    if source.fault or source.profile is None:
        raise SourceError(f"source {name} cannot be read: {source.fault}", sqlstate="08001")
    profile = source.profile
    if proven(profile.engine):
        raise ConfigError(
            f"source {name} is {profile.engine}, of which nothing need be probed: it has a proven table of its own",
            hint="see docs/capability.md",
        )
    if not profile.dialect:
        raise ConfigError(f"source {name} (kind {source.kind}) is not asked in SQL: there is nothing to probe")
    return profile


async def _tried(runtime: Runtime, profile: Profile, wanted: Wanted, cancel: Cancel, progress: Progress) -> Outcome:
    """The probe in a thread; each of its statements takes its turn at the source's gate."""
    gate = runtime.engine.gates.of(wanted.source)
    connector = runtime.engine.connectors[wanted.source]
    loop, seconds = asyncio.get_running_loop(), gate.limits.longest

    def send(query: SourceQuery) -> Sequence[pa.RecordBatch]:
        cancel.check()

        def rows() -> Sequence[pa.RecordBatch]:
            with blamed(wanted.source):
                return list(connector.execute(query, timeout=seconds, cancel=cancel))

        work = patiently(rows, seconds + 60, gate, "probe")
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    def told(number: int, query: SourceQuery) -> None:
        progress.doing = f"probing {wanted.source}: statement {number}"
        if wanted.dry:
            typer.echo(f"-- {number}\n{_written(query)};")

    tables = [t.table for t in runtime.engine.catalog.tables.values() if t.schema == wanted.source]
    asker = Asker(None if wanted.dry else send, wanted.most, told)

    def run() -> Outcome:
        with psycopg.connect(runtime.canon.dsn(), autocommit=True) as connection:
            return tried(profile, [t for t in tables if t is not None], connection, asker, wanted.seed)

    return await asyncio.to_thread(run)


def _written(query: SourceQuery) -> str:
    """The statement, and its parameters behind it."""
    values = "".join(f"\n--   ${n} = {_value(bound)}" for n, bound in enumerate(query.params, 1))
    return query.sql + values


def _value(bound: Bound) -> str:
    return "NULL" if bound.value is None else repr(str(bound.value))


def write(path: Path, outcome: Outcome, source: str) -> None:
    """The profile's file, whole or not at all."""
    profile = outcome.profile
    told = {
        "engine": profile.engine,
        "version": version(profile),
        "dialect": profile.dialect,
        "probed": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": outcome.seed,
        "types": [*outcome.types],
        "claims": [*outcome.proven],
        "refuted": outcome.refuted,
        "untried": outcome.untried | {f"type {name}": why for name, why in outcome.missing.items()},
    }
    path.parent.mkdir(exist_ok=True)
    text = _HEAD.format(source) + yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=120)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(part).chmod(0o644)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _tell(outcome: Outcome, wanted: Wanted) -> None:
    if wanted.as_json:
        told = {
            "version": 1,
            "source": wanted.source,
            "engine": outcome.profile.engine,
            "statements": outcome.statements,
            "seed": outcome.seed,
            "types": outcome.types,
            "proven": outcome.proven,
            "refuted": outcome.refuted,
            "untried": outcome.untried,
            "untried_types": outcome.missing,
        }
        typer.echo(listed(told))
        return
    rows = [(claim, "refuted", example) for claim, example in outcome.refuted.items()]
    rows += [(f"type {name}", "untried", why) for name, why in outcome.missing.items()]
    console.table(["claim", "", "example or reason"], rows, [False] * 3)
    reasons = Counter(outcome.untried.values())
    told_untried = "; ".join(f"{console.count(n, 'claim')}: {why}" for why, n in reasons.most_common())
    console.note(
        f"{len(outcome.proven)} proven, {len(outcome.refuted)} refuted, {len(outcome.untried)} untried, by "
        f"{console.count(outcome.statements, 'statement')}" + (f" ({told_untried})" if told_untried else "")
    )
