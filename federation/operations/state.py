"""The folder for what survives a restart: private, and not for version control."""

from __future__ import annotations

from pathlib import Path


def folder(path: Path) -> Path:
    """The folder, made if it is not there; OSError where that cannot be."""
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        (path / ".gitignore").write_text("*\n")
    return path
