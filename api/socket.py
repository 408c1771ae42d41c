"""The server's own socket: how commands of the same operating system user reach the servers of a project."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from connectors.errors import ConfigError

LONGEST = 100  # characters of a path that a socket may have


def folder() -> Path:
    """Where our sockets are: nobody else's and open to nobody else. ConfigError where it is not so."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    base = Path(runtime) if runtime and os.access(runtime, os.W_OK) else Path(tempfile.gettempdir())
    made = base / f"vdw-{os.getuid()}"
    if len(str(made)) > LONGEST - 40:
        made = Path("/tmp") / made.name  # noqa: S108 -- checked below
    with contextlib.suppress(FileExistsError):
        made.mkdir(mode=0o700)
    status = made.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ConfigError(
            f"{made} is not a folder that is ours alone", hint="Remove it; or set XDG_RUNTIME_DIR to a private folder."
        )
    return made


def _key(project: Path) -> str:
    return hashlib.sha256(str(project.resolve()).encode()).hexdigest()[:16]


@contextlib.contextmanager
def listening(project: Path) -> Iterator[socket.socket]:
    """A socket of this process for commands about the project; gone afterwards."""
    name = f"{_key(project)}-{os.getpid()}-{os.urandom(3).hex()}.sock"
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = folder() / name
    try:
        try:
            made.bind(str(path))
        except FileNotFoundError:  # another server, the last of its kind, has just taken the folder away
            path = folder() / name
            made.bind(str(path))
        path.chmod(0o600)
        made.listen(64)
        yield made
    finally:
        made.close()
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are still there
            path.parent.rmdir()


def servers(project: Path) -> list[Path]:
    """Sockets of the servers that now serve the project; what a killed one has left behind is removed."""
    found = []
    for path in sorted(folder().glob(f"{_key(project)}-*.sock")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(2.0)
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except OSError:
                continue
            else:
                found.append(path)
    return found
