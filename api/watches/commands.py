"""The commands for watches and alerts."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlencode

import typer

from api.operator_commands import HERE, AsJson, Folder, Url, User

Target = Annotated[str, typer.Argument(help="An alert's id or its beginning; or a watch.", metavar="ID|WATCH")]


class Deed(StrEnum):
    """What can be done about alerts."""

    acknowledge = "acknowledge"
    retry = "retry"
    drop = "drop"
    silence = "silence"
    unsilence = "unsilence"


class Trying(StrEnum):
    """What can be done with a watch."""

    test = "test"


def add(app: typer.Typer, guarded: Callable[[Callable[[], int]], None]) -> None:
    """Give `app` the commands; see api.operator_commands."""

    @app.command()
    def alerts(
        watch: Annotated[str, typer.Option(help="Only those of this watch.", metavar="NAME")] = "",
        state: Annotated[str, typer.Option(help="Only those in this state; open: that wait or are put aside.")] = "",
        project: Folder = HERE,
        as_json: AsJson = False,
        url: Url = "",
        user: User = "",
    ) -> None:
        """List what was told of breaches, and what is to be."""
        guarded(lambda: _alerts(project, watch, state, as_json, url, user))

    @app.command()
    def alert(
        do: Annotated[Deed, typer.Argument(help="What.")],
        target: Target,
        length: Annotated[str | None, typer.Option("--for", help="With silence: how long, such as 2h.")] = None,
        reason: Annotated[str, typer.Option(help="With silence: why.")] = "",
        project: Folder = HERE,
        url: Url = "",
        user: User = "",
    ) -> None:
        """Acknowledge a breach, send again or drop what was put aside, silence a watch or a breach of it."""
        guarded(lambda: _alert(project, do.value, target, length, reason, url, user))

    @app.command()
    def watch(
        do: Annotated[Trying, typer.Argument(help="test: show what would be sent now, and send nothing.")],
        name: Annotated[str, typer.Argument(help="Which watch.", metavar="NAME")],
        project: Folder = HERE,
        as_json: AsJson = False,
    ) -> None:
        """Try a watch: ask once, and show what would be sent. Nothing is sent, and nothing is written."""
        from api.watches.trial import test

        assert do is Trying.test  # noqa: S101 -- there is no other
        guarded(lambda: test(project, name, as_json))


def _state(project: Folder) -> Folder:
    from views.load import load

    return project / load(project).file.state


def _alerts(project: Folder, watch: str, state: str, as_json: bool, url: str, user: str) -> int:
    from api import console
    from api.ask import listed
    from api.remote import Remote
    from api.watches import deeds

    if url:
        query = urlencode({"watch": watch, "state": state})
        found = Remote(url=url, user=user).get(f"/admin/alerts?{query}")["alerts"]
    else:
        found = deeds.standing(_state(project), watch, state)
    if as_json:
        typer.echo(listed({"version": 1, "alerts": found}))
        return 0
    headers = ("id", "watch", "event", "notifier", "address", "state", "tries", "raised", "subject", "why")
    rows = [
        (
            one["id"],
            one["watch"],
            one["event"],
            one["notifier"],
            one["address"],
            one["state"],
            str(one["attempts"]),
            datetime.fromtimestamp(one["created"], UTC).isoformat(" ", "seconds"),
            one["subject"],
            one["error"],
        )
        for one in found
    ]
    console.table(headers, rows, (False,) * 6 + (True,) + (False,) * 3)
    console.note(console.count(len(rows), "alert"))
    return 0


def _alert(project: Folder, do: str, target: str, length: str | None, reason: str, url: str, user: str) -> int:
    from api import console
    from api.remote import Remote
    from api.watches import deeds
    from views.values import duration

    try:
        seconds = None if length is None else duration(length)
    except ValueError:
        raise typer.BadParameter(f'"{length}" is not a duration, such as 2h', param_hint="--for") from None
    if (length is None) == (do == "silence"):
        raise typer.BadParameter("goes with silence, which needs it", param_hint="--for")
    if url:
        body = {"do": do, "target": target, "for": length, "reason": reason}
        told = Remote(url=url, user=user).post("/admin/alert", body)["done"]
    else:
        told = deeds.do(_state(project), do, target, getpass.getuser(), seconds, reason)
    console.note(told)
    return 0
