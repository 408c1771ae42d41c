"""A Tryton of its own: python -m examples.tryton.erp makes and fills a database at the server of $VDW_TRYTON_...

Tryton stands in a virtual environment apart, in the user's cache, at the versions of requirements.txt; nothing of it is
installed beside vdw.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
MODULES = ("sale", "sale_opportunity")  # and what they depend on
PARTS = ("HOST", "PORT", "DATABASE", "USER", "PASSWORD")
VARIABLES = tuple(f"VDW_TRYTON_{part}" for part in PARTS)


class Unavailable(Exception):
    """Tryton cannot be installed or run; the text says why."""


def make(server: Mapping[str, Any]) -> None:
    """Tables and rows in the empty database that `server` (host, port, database, user, password) names."""
    python = environment()
    with tempfile.TemporaryDirectory(prefix="vdw-tryton-") as folder:
        config = _configuration(Path(folder), server)
        password = Path(folder) / "password"
        password.write_text("admin\n", "utf-8")
        variables = {"TRYTOND_CONFIG": str(config), "TRYTONPASSFILE": str(password)}
        database = str(server["database"])
        options = ("--activate-dependencies", "-p", "--email", "admin@example.com")
        _run([str(python.parent / "trytond-admin"), "-d", database, "-u", *MODULES, *options], variables)
        _run([str(python), str(HERE / "fill.py"), database], variables)


def _configuration(folder: Path, server: Mapping[str, Any]) -> Path:
    """trytond's own file, readable by nobody else: it holds the password."""
    user, password = (quote(str(server[part]), safe="") for part in ("user", "password"))
    file = folder / "trytond.conf"
    file.touch(mode=0o600)
    uri = f"postgresql://{user}:{password}@{server['host']}:{server['port']}/"
    file.write_text(f"[database]\nuri = {uri}\npath = {folder}\n", "utf-8")
    return file


def environment() -> Path:
    """The python of Tryton's environment, made where it is not there yet."""
    wanted = (HERE / "requirements.txt").read_bytes()
    stamp = hashlib.sha256(wanted + sys.version.encode()).hexdigest()[:12]
    folder = cache() / f"tryton-{stamp}"
    with locked("tryton-environment"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(folder)], {})
            pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r")
            _run([str(folder / "bin" / "python"), *pip, str(HERE / "requirements.txt")], {})
            (folder / "complete").touch()
    return folder / "bin" / "python"


def cache() -> Path:
    """The folder that all runs of the user share."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vdw"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Any:
    """One at a time on this machine; the others wait."""
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], variables: Mapping[str, str]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | dict(variables)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:4])} failed: {(done.stdout + done.stderr)[-1500:]}")


def main() -> int:
    """The command; 1 with one line on stderr where something that it needs is missing."""
    missing = [name for name in VARIABLES if name not in os.environ]
    if missing:
        print(f"erp: set {', '.join(missing)}: an empty database, owned by that user", file=sys.stderr)
        return 1
    try:
        make({part.lower(): os.environ[f"VDW_TRYTON_{part}"] for part in PARTS})
    except Unavailable as error:
        print(f"erp: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
