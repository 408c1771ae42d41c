"""The operator's part of the command line: receipts, what runs, kill switches, the cache."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

HERE = Path()
Folder = Annotated[Path, typer.Option("--project", "-p", help="The project folder.", metavar="FOLDER")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Url = Annotated[str, typer.Option("--url", help="A server elsewhere, such as https://host:8080.", metavar="URL")]
User = Annotated[
    str, typer.Option("--user", "-u", help="User of that server; VDW_PASSWORD has the password.", metavar="USER")
]
Id = Annotated[str, typer.Argument(help="As vdw running lists it.", metavar="ID")]
Name = Annotated[str, typer.Argument(help="source, schema.view, user or fingerprint.", metavar="NAME")]


class Kind(StrEnum):
    """What can be disabled."""

    source = "source"
    view = "view"
    user = "user"
    fingerprint = "fingerprint"


class Doing(StrEnum):
    """What can be done with kept answers."""

    clear = "clear"
    refresh = "refresh"


def add(app: typer.Typer, guarded: Callable[[Callable[[], int]], None]) -> None:
    """Give `app` the commands; `guarded` runs the work of one and leaves with its exit code."""

    @app.command()
    def receipt(
        source: Annotated[str, typer.Argument(help="Whose receipt.", metavar="SOURCE")],
        since: Annotated[str, typer.Option(help="How far back, at most 7d.", metavar="TIME")] = "1h",
        by: Annotated[str | None, typer.Option(help="Only by view, user, fingerprint, protocol or kind.")] = None,
        project: Folder = HERE,
        as_json: AsJson = False,
        url: Url = "",
        user: User = "",
    ) -> None:
        """Tell a source's owner what it was asked, by whom, what it was spared, and what was refused."""
        from api import operate

        guarded(lambda: operate.receipt(operate.Where(project, url, user), source, since, as_json, by))

    @app.command()
    def running(project: Folder = HERE, as_json: AsJson = False, url: Url = "", user: User = "") -> None:
        """List the queries that run now."""
        from api import operate

        guarded(lambda: operate.queries(operate.Where(project, url, user), as_json))

    @app.command()
    def cancel(id: Id, project: Folder = HERE, url: Url = "", user: User = "") -> None:
        """Stop a query that runs."""
        from api import operate

        guarded(lambda: operate.cancel(operate.Where(project, url, user), id))

    @app.command()
    def disable(
        kind: Annotated[Kind, typer.Argument(help="What kind of thing.")],
        name: Name,
        reason: Annotated[str, typer.Option(help="Why; whoever is refused is told.")],
        seconds: Annotated[
            str | None, typer.Option("--for", help="For how long, such as 10m; without it, until enabled.")
        ] = None,
        project: Folder = HERE,
        url: Url = "",
        user: User = "",
    ) -> None:
        """Refuse a source, view, user or fingerprint from now on, and stop what runs of it."""
        from api import operate

        guarded(lambda: operate.disable(operate.Where(project, url, user), kind.value, name, reason, seconds))

    @app.command()
    def enable(
        kind: Annotated[Kind, typer.Argument(help="What kind of thing.")],
        name: Name,
        project: Folder = HERE,
        url: Url = "",
        user: User = "",
    ) -> None:
        """Allow again what was disabled."""
        from api import operate

        guarded(lambda: operate.enable(operate.Where(project, url, user), kind.value, name))

    @app.command()
    def cache(
        what: Annotated[Doing, typer.Argument(help="clear: forget; refresh: read again at once.")],
        view: Annotated[str, typer.Option(help="Only answers that read this view.", metavar="SCHEMA.VIEW")] = "",
        source: Annotated[str, typer.Option(help="Only what came from this source.", metavar="NAME")] = "",
        table: Annotated[str, typer.Option(help="Only what came of this table.", metavar="SOURCE.TABLE")] = "",
        key: Annotated[
            list[str] | None, typer.Option(help="Only the view's rows of this key.", metavar="COLUMN=VALUE")
        ] = None,
        project: Folder = HERE,
        url: Url = "",
        user: User = "",
    ) -> None:
        """Forget kept answers, or read them again."""
        from api import operate

        given = {key: value for key, value in (("view", view), ("source", source), ("table", table)) if value}
        guarded(lambda: operate.cache(operate.Where(project, url, user), what.value, given, key or ()))
