"""What `vdw source test NAME` does: reach one source alone, and say how, what it is, and what it is allowed."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from api import console, interrupt
from api.ask import listed
from api.listing import role, server, servers
from connectors import registry
from connectors.base import Cancel, Connector, Profile, Table
from connectors.errors import ConfigError, SourceError
from connectors.link import Link, reached
from connectors.tls import local
from federation.facts import facts, of_link, said
from federation.gate.gates import Gates
from federation.gate.patience import patiently
from federation.introspection import described
from federation.operations.control import shut
from views.catalog import Catalog, Source
from views.load import load
from views.project import Project
from views.source_file import SourceFile
from views.validate import did_you_mean

PATIENCE = 30.0  # seconds for all of it
EXPIRES = dt.timedelta(days=30)  # before which an end of validity is worth a word
_ABOVE = ("engine", "version", "replica", "read_only_login")  # facts that have lines of their own
APART = 1.0  # seconds between two clocks that are worth a word


@dataclass(frozen=True, slots=True)
class Found:
    """What the source told."""

    profile: Profile
    tables: tuple[Table, ...]
    link: Link
    servers: list[dict[str, Any]]
    snapshot: bool  # whether it keeps one for us


def test(project: Path, name: str, as_json: bool) -> int:
    """Tell; the exit code: 3 where one of its servers does not answer. Errors as the source has them."""
    read = load(project)
    file = _file(read, name)
    if file is None:
        return 1

    async def work(_cancel: Cancel) -> int:
        async with console.progress(True) as state:
            state.doing = f"asking {name}"
            source, found = await _asked(read, name, file)
            await state.end()
        told = _told(source, file, found)
        if as_json:
            typer.echo(listed(told))
        else:
            _print(told)
        return 3 if any(one["state"] != "up" for one in found.servers) else 0

    return interrupt.run(work)


def _file(read: Project, name: str) -> SourceFile | None:
    """The source's file; None, and told why, where that is at fault."""
    if name in read.sources:
        return read.sources[name]
    faults = [one for one in read.diagnostics if one.file == f"sources/{name}.yml" and one.severity == "error"]
    if not faults:
        raise ConfigError(f'there is no source "{name}"', hint=did_you_mean(name, read.sources))
    console.diagnostics(faults)
    return None


async def _asked(read: Project, name: str, file: SourceFile) -> tuple[Source, Found]:
    """Through its gate, like any statement: nobody asks more of it at once than its owner allows."""
    options = await asyncio.to_thread(read.options, name, os.environ)
    source, gates = described(name, file), Gates()
    shut(gates, read.folder / read.file.state)
    connector = registry.connect(file.kind, name, {"pool_size": file.limits.concurrency, **options})

    def ask() -> Found:
        profile = connector.profile()
        tables = connector.tables(tuple(file.expose.schemas), tuple(file.expose.tables))
        return Found(profile, tables, reached(connector), servers(connector), _keeps(file, connector))

    try:
        return source, await patiently(ask, PATIENCE, gates.claim(source), "test")
    except TimeoutError:
        raise SourceError(f"source {name} did not answer within {PATIENCE:g} s", sqlstate="08001") from None
    finally:
        await asyncio.to_thread(connector.close)
        gates.close()


def _told(source: Source, file: SourceFile, found: Found) -> dict[str, Any]:
    """All of it, for programs; keys are only ever added."""
    known = Catalog({source.name: replace(source, profile=found.profile)}, {}, {}, "")
    about = {one.name: one.value for one in facts(known, source.name)}
    link, used, limits = found.link, found.link.encryption, file.limits
    return {
        "version": 1,
        "source": source.name,
        "kind": source.kind,
        "engine": found.profile.engine,
        "server_version": ".".join(map(str, found.profile.version)),
        "role": role(about),
        "servers": found.servers,
        "tls": None
        if used is None
        else {
            "on": used.on,
            "protocol": used.protocol or None,
            "cipher": used.cipher or None,
            "verified": used.verified or None,
            "certificate_until": used.until.isoformat() if used.until else None,
        },
        "clock_skew": None if link.skew is None else round(link.skew, 6),
        "clock_doubt": None if link.skew is None else round(link.doubt, 6),
        "round_trip": round(link.round_trip, 6),
        "reached": {key: value for key, value in of_link(link).items() if value is not None},
        "tables": len(found.tables),
        "columns": sum(len(table.columns) for table in found.tables),
        "keys": sum(bool(table.keys) for table in found.tables),
        "facts": about,
        "limits": limits.model_dump(mode="json", exclude_none=True),
        "snapshot": file.snapshot.longest if found.snapshot else None,
        "notes": [*_notes(file, found)],
    }


def _keeps(file: SourceFile, connector: Connector) -> bool:
    """Whether the source keeps a snapshot for us; tried, for that depends on the database and on the login."""
    if file.snapshot.per != "query" or not hasattr(connector, "snapshot"):
        return False
    made = connector.snapshot(timeout=PATIENCE)
    if made is None:
        return False
    made.close()
    return True


def _notes(file: SourceFile, found: Found) -> Iterator[str]:
    """What is worth a word."""
    link, used, host = found.link, found.link.encryption, file.connection.get("host", file.connection.get("server"))
    elsewhere = isinstance(host, str) and not local(host)
    if found.profile.facts.get("read_only_login") is False:
        yield "this login may write: sessions are read-only, but a login that may only read is safer"
    if used is not None and elsewhere and not used.on:
        yield "the connection is not encrypted: whoever is between reads the password's exchange and all rows"
    if used is not None and elsewhere and used.on and used.verified == "no":
        yield "the server need not prove who it is: write tls: {mode: verify-full, ca: FILE}"
    if used is not None and used.until is not None:
        left = used.until - dt.datetime.now(dt.UTC)
        if left < EXPIRES:
            yield f"the server's certificate is valid for {left.days} more days: its owner has to renew it"
    if link.skew is not None and abs(link.skew) > APART + link.doubt:
        yield f"its clock is {said(link.skew, link.doubt)}: ages of data (as_of, max_age) are wrong by as much"
    if found.profile.facts.get("proven") is False:
        yield f"the connector to {found.profile.engine} is unproven: compare what it reads with what the engine prints"
    if not found.tables:
        yield "no table can be read: look at the login's rights, and at expose: in its file"


def _print(told: dict[str, Any]) -> None:
    about, limits = told["facts"], told["limits"]
    rest = {key: value for key, value in about.items() if key not in _ABOVE}
    rate = f", {limits['rate']:g} a second" if "rate" in limits else ""
    rows = [
        ("server", f"{told['engine']} {told['server_version']}".strip()),
        ("role", told["role"]),
        *(("", server(one)) for one in told["servers"]),
        *told["reached"].items(),
        ("read", f"{told['tables']} tables, {told['columns']} columns, {told['keys']} tables with keys"),
        *((key, value or "not known") for key, value in rest.items()),
        ("allowed", f"{limits['concurrency']} at once{rate}, {limits['timeout']:g} s and {limits['rows']:,} rows each"),
        ("snapshot", f"{told['snapshot']:g} s at most" if told["snapshot"] else "none: each statement reads its own"),
    ]
    console.table(("what", told["source"]), rows, (False, False))
    for note in told["notes"]:
        console.note(note)
