"""Project folders for tests, written from a mapping of paths to texts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

from views.load import load
from views.project import Diagnostic, Project

SHOP = "kind: sqlite\nconnection: {path: shop.sqlite}\n"


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write the files (dedented); a vdw.yml and a source `shop` are added unless given."""
    for name, content in {"vdw.yml": "name: test\n", "sources/shop.yml": SHOP, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).lstrip("\n").encode())
    return folder


def read(folder: Path, files: Mapping[str, str | bytes]) -> Project:
    """The project of these files."""
    return load(write(folder, files))


def told(project: Project, severity: str = "error") -> list[str]:
    """`file:line: message` of each diagnostic of that severity."""
    return [f"{d.file}:{d.line}: {d.message}" for d in project.diagnostics if d.severity == severity]


def only(project: Project) -> Diagnostic:
    """The one error."""
    errors = [d for d in project.diagnostics if d.severity == "error"]
    assert len(errors) == 1, [str(error) for error in errors]
    return errors[0]
