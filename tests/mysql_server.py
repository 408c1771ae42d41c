"""A private MySQL server from Debian's unstable release, kept with its libraries in a cache folder that all runs share.

`python -m tests.mysql_server` fetches and unpacks it (60 MB, once) with the machine's own apt: from the mirror that apt
is set up with, its signature checked with Debian's keyring, into folders of its own, as any user. Nothing of it is
installed; it runs by the loader and the libraries that it was built with. What is in the cache is used, whatever
Debian has by then; delete the folder to have the present one.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.servers import Missing, Server

PACKAGE, SUITE = "mysql-server-core", "sid"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_UNUSED = ("perl", "libperl", "gcc-", "libc-gconv", "libdb5", "libgdbm")  # what only its scripts want
# One file extends by 64 MB at a time else; nothing has to outlive the machine
_SMALL = (
    "--innodb-redo-log-capacity=32M", "--innodb-doublewrite=OFF", "--innodb-flush-method=nosync",
    "--innodb-data-file-path=ibdata1:5M:autoextend", "--innodb-autoextend-increment=1", "--secure-file-priv=NULL",
    "--mysqlx=OFF", "--innodb-buffer-pool-size=64M",
)  # fmt: skip


class Unobtainable(Missing):
    """The machine's mirror has no such suite, package, or none that fits together: nothing to be mended here, so this
    alone is skipped on CI too. Everything else that keeps the server from running (a tool that is missing, a server
    that does not start) fails there."""


class MysqlServer(Server):
    """MySQL without a binary log, database `shop`. It runs as whoever runs the tests, for whom the cache is."""

    patience = 120

    def create(self) -> None:
        made = _template()
        subprocess.run(["cp", "-a", "--reflink=auto", "--sparse=always", made, self.folder / "data"], check=True)
        (self.folder / "data" / "auto.cnf").unlink(missing_ok=True)  # servers that replicate must not be of one name

    def command(self) -> list[str]:
        log = () if any("log-bin" in word for word in self.more) else ("--skip-log-bin",)
        return [
            *_program(home()), f"--datadir={self.folder / 'data'}", f"--socket={self.socket}",
            f"--tmpdir={self.folder}", f"--pid-file={self.folder / 'server.pid'}", f"--port={self.port}",
            f"--bind-address={self.host}", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0",
            "--max-connections=100", "--table-open-cache=400", *log,
        ]  # fmt: skip

    @property
    def socket(self) -> str:
        """Path of the Unix socket."""
        return str(self.folder / "s.sock")

    def admin(self, database: str | None = None) -> Any:
        import MySQLdb

        return MySQLdb.connect(
            unix_socket=self.socket, user="root", db=database or "mysql", charset="utf8mb4", autocommit=True
        )

    def prepare(self) -> None:
        self.run(f"CREATE DATABASE {self.database}")
        with contextlib.closing(self.admin()) as connection:
            connection.cursor().execute("CREATE USER vdw@'%%' IDENTIFIED BY %s", (self.password,))
        self.run(f"GRANT ALL ON {self.database}.* TO vdw@'%'")


@contextlib.contextmanager
def running(*more: str) -> Iterator[MysqlServer]:
    """A fresh server, removed at the end; Missing where it cannot be had. `more` goes onto its command line."""
    home()
    server = MysqlServer("mysql", Path(tempfile.mkdtemp(prefix="vdw-mysql-")), more=more)
    atexit.register(server.remove)
    try:
        server.create()
        server.start()
        server.prepare()
        yield server
    finally:
        server.remove()
        atexit.unregister(server.remove)


def home() -> Path:
    """The unpacked packages, fetched where there are none yet; the newest of several."""
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "mysql.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # runs side by side fetch it once
        found = sorted(cache.glob("mysql-server-*/usr/sbin/mysqld"), key=lambda path: path.stat().st_mtime)
        return found[-1].parents[2] if found else _fetched(cache)


def version() -> str:
    """The server's version, such as 9.7.4."""
    told = subprocess.run([*_program(home()), "--version"], check=True, capture_output=True, text=True).stdout
    return told.partition("Ver ")[2].partition("-")[0].partition(" ")[0]


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vdw"


def _program(tree: Path) -> list[str]:
    """The server's program by its own loader, with where its files are."""
    libraries = next((tree / "usr" / "lib").glob("*-linux-gnu*"))
    loader = next(libraries.glob("ld-linux*.so.*"))
    share = tree / "usr" / "share" / "mysql"
    user = ("--user=root",) if os.getuid() == 0 else ()  # it wants to be told
    return [
        str(loader), "--library-path", str(libraries), str(tree / "usr" / "sbin" / "mysqld"), "--no-defaults",
        f"--basedir={tree / 'usr'}", f"--lc-messages-dir={share}", f"--character-sets-dir={share / 'charsets'}",
        f"--plugin-dir={tree / 'usr' / 'lib' / 'mysql' / 'plugin'}", *_SMALL, *user,
    ]  # fmt: skip


def _template() -> Path:
    """An initialised data folder, made once for each server, to copy."""
    tree = home()
    made = tree / "template"
    with (tree.parent / "mysql.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_dir():
            with tempfile.TemporaryDirectory(dir=tree) as folder:
                data = Path(folder) / "data"
                _run([*_program(tree), "--initialize-insecure", f"--datadir={data}"], RuntimeError)
                data.rename(made)
    return made


def _fetched(cache: Path) -> Path:
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise Missing(f"MySQL is not here and no {tool} to fetch it with: the machine is not Debian's")
    with tempfile.TemporaryDirectory(dir=cache) as name:
        folder = Path(name)
        options = _apt(folder)
        _run(["apt-get", *options, "update"], Unobtainable)  # the mirror of the machine may have no such suite
        told = _run(["apt-cache", *options, "policy", PACKAGE], Missing)
        candidate = told.partition("Candidate: ")[2].partition("\n")[0]
        if not candidate or candidate == "(none)":
            raise Unobtainable(f"Debian has no package {PACKAGE} in {SUITE} now")
        install = ["install", "-y", "--no-install-recommends", PACKAGE]
        _run(["apt-get", *options, "--simulate", *install], Unobtainable)  # all that it needs is there and fits
        _run(["apt-get", *options, "--download-only", *install], Missing)
        tree = folder / "tree"
        for package in sorted((folder / "cache" / "archives").glob("*.deb")):
            if not package.name.startswith(_UNUSED):
                _run(["dpkg-deb", "-x", str(package), str(tree)], Missing)
        _run([*_program(tree), "--version"], Missing)
        home = cache / f"mysql-server-{candidate.replace(':', '_')}"
        tree.rename(home)
    return home


def _apt(folder: Path) -> list[str]:
    """Options of apt with which everything it reads and writes is below `folder`, but how it reaches its mirror."""
    for part in ("lists/partial", "cache/archives/partial", "state", "parts", "empty"):
        (folder / part).mkdir(parents=True)
    source = f"Types: deb\nURIs: {_mirror()}\nSuites: {SUITE}\nComponents: main\nTargets: Packages\n"
    (folder / "parts" / "debian.sources").write_text(f"{source}Signed-By: {KEYRING}\n")
    chosen = {
        "Dir::Etc::sourcelist": os.devnull, "Dir::Etc::sourceparts": folder / "parts",
        "Dir::Etc::preferences": os.devnull, "Dir::Etc::preferencesparts": folder / "empty",
        "Dir::State": folder / "state", "Dir::State::lists": folder / "lists", "Dir::State::status": os.devnull,
        "Dir::Cache": folder / "cache", "Debug::NoLocking": "true", "APT::Sandbox::User": "",
        "Acquire::Retries": "3", "Acquire::Check-Valid-Until": "true",
    }  # fmt: skip
    return ["-q", *(word for name, value in chosen.items() for word in ("-o", f"{name}={value}"))]


def _mirror() -> str:
    """The address of Debian's archive in the machine's own apt."""
    if not KEYRING.exists():
        raise Missing("MySQL is not here and no Debian keyring to check it with (Debian: debian-archive-keyring)")
    form = "$(REPO_URI) $(COMPONENT) $(ORIGIN)"
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    for line in told.stdout.splitlines():
        address, component, *_ = line.split()
        if component == "main" and address.rstrip("/").endswith("/debian"):
            return address
    raise Missing("MySQL is not here, and this machine's apt knows no Debian archive to fetch it from")


def _run(command: list[str], failed: type[Exception]) -> str:
    """What a command prints; `failed`, with the end of what it said, where it fails."""
    surroundings = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900, env=surroundings)
    if done.returncode:
        raise failed(f"{Path(command[0]).name} fails for MySQL: {(done.stdout + done.stderr)[-600:]}")
    return done.stdout


if __name__ == "__main__":
    try:
        print(f"MySQL {version()} in {home()}")
    except Missing as reason:
        sys.exit(str(reason))
