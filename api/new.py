"""What `vdw new connector` does: write a package with a connector that works, named as wanted."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from api import console
from connectors.errors import ConfigError
from connectors.registry import kinds

WRITTEN = ("pyproject.toml", "README.md", "vdw_template.py", "tests/test_conformance.py")


def connector(name: str, into: Path) -> tuple[Path, ...]:
    """Write the package of a kind of source into a folder, which must be empty or new; its files.

    ConfigError: a name that no module can have or that a kind has already, or a folder that holds something.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        hint = "small letters, digits and underscores, such as acme; it is what a source's file says as kind:"
        raise ConfigError(f'"{name}" cannot be a kind of source', place="vdw new connector", hint=hint)
    if name in kinds():
        raise ConfigError(f'there is a kind "{name}" already', place="vdw new connector", hint="name it otherwise")
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise ConfigError(f"{into} is not empty", place="vdw new connector", hint="name a new folder after --into")
    template = files("connectors.template")
    return tuple(_written(template, part, name, into) for part in WRITTEN)


def _written(template: Traversable, part: str, name: str, into: Path) -> Path:
    text = template.joinpath(part).read_text(encoding="utf-8")
    path = into / _named(part, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_named(text, name), encoding="utf-8")
    return path


def _named(text: str, name: str) -> str:
    title = "".join(word.capitalize() for word in name.split("_"))
    dashed = text.replace("vdw-template", f"vdw-{name.replace('_', '-')}")
    return dashed.replace("Template", title).replace("template", name)


def add(app: typer.Typer, guarded: Callable[[Callable[[], int]], None]) -> None:
    """The command on the application."""
    new = typer.Typer(help="Write what is to be filled in.", no_args_is_help=True)

    @new.command("connector")
    def _connector(
        name: Annotated[str, typer.Argument(help="The kind of source, such as acme.", metavar="NAME")],
        into: Annotated[Path, typer.Option("--into", help="Where; made if it is not there.", metavar="FOLDER")],
    ) -> None:
        """Write a package with a connector that works and the tests that it passes, for another engine."""

        def work() -> int:
            for path in connector(name, into):
                console.note(f"wrote {path}")
            console.note(f"try: pip install -e {into}[test] && pytest {into}; then docs/writing-a-connector.md")
            return 0

        guarded(work)

    app.add_typer(new, name="new")
