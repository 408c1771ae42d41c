"""What the operator's commands do: through running servers where there are any, else on the project's own files."""

from __future__ import annotations

import contextlib
import getpass
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import typer

from api import console
from api.ask import listed
from api.remote import remotes, running
from connectors.errors import ConfigError, Error
from federation.operations.ledger_store import NAME, Store
from federation.operations.receipt import BY, Receipt
from federation.operations.switches import Switches
from views.load import load
from views.validate import did_you_mean
from views.values import duration


@dataclass(frozen=True, slots=True)
class Where:
    """Whom a command is for: the servers of a project on this machine, or the one at a URL, as a user of it."""

    project: Path
    url: str = ""
    user: str = ""


def receipt(where: Where, source: str, since: str, as_json: bool, by: str | None) -> int:
    """Print what a source was asked: by a running server, or out of the file that the last ones left."""
    if by is not None and by not in BY:
        raise typer.BadParameter(f"one of {', '.join(BY)}", param_hint="--by")
    seconds = _seconds(since, "--since")
    servers = remotes(where.project, where.url, where.user)
    if servers:
        given = {"since": since} if as_json else {"since": since, "format": "text", **({"by": by} if by else {})}
        told = servers[0].get(f"/receipt/{quote(source, safe='')}?{urlencode(given)}")
        typer.echo(listed(told) if as_json else told, nl=as_json)
        return 0
    found = _left(where.project, source, seconds)
    typer.echo(listed(found.json()) if as_json else found.text(by))
    console.note("no server of the project runs: this is what the last ones have written")
    return 0


def _left(folder: Path, source: str, seconds: float) -> Receipt:
    """The receipt out of the file."""
    project = load(folder)
    state, now = folder / project.file.state, time.time()
    if source not in project.sources:
        raise ConfigError(f'there is no source "{source}"', hint=did_you_mean(source, project.sources))
    if not (state / NAME).exists():
        raise ConfigError(f"no server has left a ledger in {state}", place="vdw.yml, state")
    with contextlib.closing(Store(state)) as store:
        record = store.read((now - seconds) // 60 * 60, now + 60)
    return Receipt.of(record, source, now - seconds, now, project.sources[source].limits.value)


def queries(where: Where, as_json: bool) -> int:
    """Print what runs now."""
    found = [one for server in running(*_of(where)) for one in server.get("/admin/running")["queries"]]
    if as_json:
        typer.echo(listed({"version": 1, "queries": found}))
        return 0
    rows = [
        (
            one["id"],
            one["username"],
            one["protocol"],
            f"{one['ms'] / 1000:,.1f} s",
            one["state"],
            ", ".join(one["sources"]),
            one["sql"],
        )
        for one in found
    ]
    console.table(("id", "user", "by", "for", "state", "sources", "sql"), rows, (False, False, False, True))
    console.note(_count(len(rows), "query runs", "queries run"))
    return 0


def cancel(where: Where, id: str) -> int:
    """Stop a query, whichever server has it."""
    if any(server.post("/admin/cancel", {"id": id})["cancelled"] for server in running(*_of(where))):
        console.note(f"query {id} is being cancelled")
        return 0
    raise Error(f'no query "{id}" runs', sqlstate="42704", hint="vdw running lists them; it may have ended.")


def disable(where: Where, kind: str, name: str, reason: str, seconds: str | None) -> int:
    """Switch something off, for all servers of the project."""
    given = {"kind": kind, "name": name, "reason": reason, "for": seconds, "by": getpass.getuser()}
    wanted = None if seconds is None else _seconds(seconds, "--for")
    servers = remotes(where.project, where.url, where.user)
    if servers:
        told = [server.post("/admin/disable", given)["disabled"] for server in servers][-1]
    else:
        _known(where.project, kind, name)
        told = _switches(where.project).disable(kind, name, reason, getpass.getuser(), wanted).told
    console.note(f"{kind} {name} is {told}")
    return 0


def enable(where: Where, kind: str, name: str) -> int:
    """Switch it on again."""
    servers = remotes(where.project, where.url, where.user)
    if servers:
        told = [server.post("/admin/enable", {"kind": kind, "name": name}) for server in servers]
        done = any(one["enabled"] for one in told)
    else:
        done = _switches(where.project).enable(kind, name)
    console.note(f"{kind} {name} is enabled" if done else f"{kind} {name} was not disabled")
    return 0 if done else 1


def cache(where: Where, what: str, given: Mapping[str, str], key: Sequence[str]) -> int:
    """Forget kept answers, or read them again, on all servers of the project here."""
    if len(given) > 1:
        raise typer.BadParameter("name one of --view, --source and --table", param_hint="--view")
    if key and "view" not in given:
        raise typer.BadParameter("the key is a view's: name it with --view", param_hint="--key")
    wrong = [one for one in key if "=" not in one]
    if wrong:
        raise typer.BadParameter(f'"{wrong[0]}": write column=value', param_hint="--key")
    values = {column: value for column, _, value in (one.partition("=") for one in key)}
    body: dict[str, Any] = {"do": what, **given, **({"key": values} if values else {})}
    count = sum(server.post("/admin/cache", body)["entries"] for server in running(*_of(where)))
    console.note(_count(count, "answer", "answers") + (" forgotten" if what == "clear" else " read again"))
    return 0


def _of(where: Where) -> tuple[Path, str, str]:
    return where.project, where.url, where.user


def _switches(project: Path) -> Switches:
    file = load(project).file
    return Switches(project / file.state)


def _known(project: Path, kind: str, name: str) -> None:
    """Say so where nothing has that name: a switch of it would do nothing, and nobody would notice."""
    loaded = load(project)
    names = {
        "source": set(loaded.sources),
        "view": {draft.full_name for draft in loaded.views},
        "user": set(loaded.file.users) or {name},
    }
    if kind in names and name not in names[kind]:
        console.note(f'there is no {kind} "{name}" in the project now ({did_you_mean(name, names[kind])})')


def _seconds(text: str, option: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise typer.BadParameter(f'"{text}": {error}, such as 10m, 1h or 2d', param_hint=option) from None


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"
