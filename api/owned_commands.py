"""The users' part of the command line: uploads and segmentations, through a server of the project."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from api.operator_commands import HERE, AsJson, Folder, Url, User

Name = Annotated[str, typer.Argument(help="The table's name; without it, all are listed.", metavar="NAME")]
Described = Annotated[
    Path | None, typer.Option("--describe", help="YAML or JSON file that describes the attributes.", metavar="FILE")
]


class Doing(StrEnum):
    """What can be done with a segmentation."""

    fit = "fit"
    list = "list"
    show = "show"
    classify = "classify"
    delete = "delete"


def add(app: typer.Typer, guarded: Callable[[Callable[[], int]], None]) -> None:
    """Give `app` the commands; `guarded` runs the work of one and leaves with its exit code."""

    @app.command()
    def upload(
        name: Name = "",
        file: Annotated[Path | None, typer.Argument(help="CSV, JSON, XML or Parquet.", metavar="FILE")] = None,
        describe: Described = None,
        delete: Annotated[bool, typer.Option("--delete", help="Delete the table.")] = False,
        project: Folder = HERE,
        as_json: AsJson = False,
        url: Url = "",
        user: User = "",
    ) -> None:
        """Send a file that becomes a table, list what was sent, or delete it."""
        from api import own

        guarded(lambda: own.upload(own.Where(project, url, user), name, file, describe, delete, as_json))

    @app.command()
    def segment(
        what: Annotated[Doing, typer.Argument(help="What to do.")],
        name: Annotated[str, typer.Argument(help="Which segmentation.", metavar="NAME")] = "",
        file: Annotated[
            Path | None, typer.Argument(help="YAML or JSON: what is wanted (fit), or customers.", metavar="FILE")
        ] = None,
        project: Folder = HERE,
        as_json: AsJson = False,
        url: Url = "",
        user: User = "",
    ) -> None:
        """Have customers segmented, list and show segmentations, classify new customers, delete."""
        from api import own

        guarded(lambda: own.segment(own.Where(project, url, user), what.value, name, file, as_json))
