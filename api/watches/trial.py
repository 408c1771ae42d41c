"""`vdw watch test`: asks once, and shows what would be sent now; nothing is sent, nothing is written."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from api import console, interrupt
from api.ask import listed
from api.project import Runtime, open_project
from api.watches.asking import Seen, ask
from api.watches.channels.http import TELEPHONE, document
from api.watches.channels.mail import ADDRESS
from api.watches.machine import Changes, Planned
from api.watches.outbox import Delivery
from api.watches.store import Store
from api.watches.tables import NAME, opened
from connectors.base import Cancel
from connectors.errors import ConfigError
from views.notifier_file import Notifier
from views.validate import did_you_mean
from views.watches import file_of


def test(project: Path, name: str, as_json: bool) -> int:
    """Print what the watch would send now; the exit code."""

    async def work(_cancel: Cancel) -> int:
        async with open_project(project) as runtime:
            _known(runtime, name)
            seen = await ask(runtime, runtime.project.watches[name])
            with contextlib.closing(_remembered(runtime)) as store:
                changes = store.plan(name, runtime.project.watches[name], seen.rows, time.time())
            planned = [] if seen.lacks else changes.planned
            _tell(runtime, name, seen, changes, planned, as_json)
        return 0

    return interrupt.run(work)


def _known(runtime: Runtime, name: str) -> None:
    for one in runtime.diagnostics:
        if one.severity == "error" and one.file == file_of(name):
            raise ConfigError(one.message, place=f"{one.file}:{one.line}", hint=one.remedy or None)
    if name not in runtime.project.watches:
        raise ConfigError(f'there is no watch "{name}"', hint=did_you_mean(name, runtime.project.watches))


def _remembered(runtime: Runtime) -> Store:
    """What the servers remember, in memory: what is planned here leaves no trace."""
    folder = runtime.project.folder / runtime.project.file.state
    store = Store(None)
    if (folder / NAME).exists():
        with contextlib.closing(opened(folder, write=False)) as connection:
            connection.backup(store.connection)
    store.connection.row_factory = sqlite3.Row
    return store


def _tell(runtime: Runtime, name: str, seen: Seen, changes: Changes, planned: Sequence[Planned], as_json: bool) -> None:
    told = [_message(runtime.project.file.notifiers[one.whom[0]], name, one) for one in planned]
    if as_json:
        facts = {"version": 1, "watch": name, "rows": len(seen.rows), "lacks": seen.lacks, "over": len(changes.over)}
        typer.echo(listed({**facts, "alerts": told}))
        return
    headers = ("event", "notifier", "address", "subject", "text", "note")
    rows = [tuple(str(one.get(column) or "") for column in headers) for one in told]
    console.table(headers, rows, (False,) * len(headers))
    lasting = sum(breach.id > 0 for key, breach in changes.breaches.items() if key not in changes.over)
    console.note(
        f"{console.count(len(seen.rows), 'row')} in breach, {lasting} of them known; {len(told)} would be told"
    )
    if seen.lacks:
        console.note(f"the answer changes nothing: {seen.lacks}")
    if seen.twice:
        console.note(f"the key does not identify rows: {seen.twice} have that of another, and are left out")
    if runtime.project.watches[name].observe:
        console.note("observe: true: it is recorded, and nothing is sent")


def _message(notifier: Notifier, name: str, one: Planned) -> dict[str, Any]:
    """What would leave; `note` says why it would be put aside."""
    now = time.time()
    facts = {"event": one.event, "number": one.number, "notifier": one.whom[0], "address": one.whom[1]}
    texts = (one.subject, one.text, one.document)
    made = Delivery("-", name, one.key, one.event, one.number, *one.whom, *texts, now, now, 0, False, "")
    if notifier.kind == "smtp":
        note = "" if ADDRESS.fullmatch(one.whom[1]) else "the address is no e-mail address"
        return {**facts, "key": json.loads(one.key), "subject": one.subject, "text": one.text, "note": note}
    body = document(made, notifier)
    wrong = notifier.kind == "sms" and not TELEPHONE.fullmatch(one.whom[1])
    note = "the address is no telephone number" if wrong else ""
    text = body.get("text", one.text) if notifier.body is None else one.text
    return {**facts, "key": json.loads(one.key), "subject": one.subject, "text": text, "body": body, "note": note}
