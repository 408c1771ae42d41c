"""Private PostgreSQL and MariaDB servers from Debian's packages, for tests and benchmarks.

Each has its own folder under a temporary directory and a free loopback port, runs as an unprivileged user
where we are root, and is gone at the end.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

PASSWORD = "pa'ss w\\rd"  # awkward on purpose: quoting must be right everywhere
POSTGRESQL_VERSIONS = ("15", "16", "17", "18", "14")


class Missing(Exception):
    """The server's programs are not installed."""


@dataclass
class Server:
    """One private server; `options` is what a source file's `connection:` would say."""

    kind: str
    folder: Path
    user: str = "vdw"
    password: str = PASSWORD
    database: str = "shop"
    host: str = "127.0.0.1"
    port: int = 0
    more: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    patience: ClassVar[int] = 60  # seconds until it answers
    pause: ClassVar[float] = 0.05  # between questions whether it does

    @property
    def options(self) -> dict[str, Any]:
        """Connection options of an ordinary user (who may write: read-only is for the connector to see to)."""
        return {
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "password": self.password,
        }

    def create(self) -> None:
        """Make the data folder."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """The server's command line."""
        raise NotImplementedError

    def admin(self, database: str | None = None) -> Any:
        """An administrator's DB-API connection, autocommitting."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Users and databases, once after the first start."""

    def run(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run statements as administrator; rows of the last."""
        connection = self.admin(database)
        try:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.port = self.port or free_port()
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command(), *self.more],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                **unprivileged(self.kind),
            )
        self._await()

    def _await(self) -> None:
        deadline = time.monotonic() + self.patience
        while True:
            try:
                self.admin().close()
                return
            except Exception as error:
                assert self.process is not None
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "server.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{self.kind} did not start: {error}\n{log}") from error
                time.sleep(self.pause)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it and wait until it has gone."""
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """Stop and start on the same port, as an operator would."""
        self.stop(signal.SIGINT if self.kind == "postgresql" else signal.SIGTERM)
        self.start()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """While inside, the server answers nothing, though its sockets stay open."""
        assert self.process is not None
        ids = [self.process.pid, *children(self.process.pid)]
        for process in ids:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in ids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop(signal.SIGINT if self.kind == "postgresql" else signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgresServer(Server):
    """PostgreSQL with pg_stat_statements, database `shop`."""

    def create(self) -> None:
        secret = self.folder / "secret"
        secret.write_text(self.password)
        own(secret, self.kind)
        _run(
            [
                str(postgresql_binaries() / "initdb"), "-D", str(self.folder / "data"), "-U", self.user, "-E", "UTF8",
                "--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync",
            ],
            self.folder,
            self.kind,
        )  # fmt: skip

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_preload_libraries": "pg_stat_statements",
            "max_connections": 200,
            "logging_collector": "off",
        }
        binary = str(postgresql_binaries() / "postgres")
        return [binary, "-D", str(self.folder / "data"), *(f"--{key}={value}" for key, value in settings.items())]

    def admin(self, database: str | None = None) -> Any:
        import psycopg

        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database or "postgres",
            autocommit=True,
            connect_timeout=5,
        )

    def prepare(self) -> None:
        self.run(f"CREATE DATABASE {self.database}")
        self.run("CREATE EXTENSION pg_stat_statements", database=self.database)


class MariadbServer(Server):
    """MariaDB with the performance schema, database `shop`."""

    def create(self) -> None:
        _run(
            [
                _program("mariadb-install-db"), "--no-defaults", f"--datadir={self.folder / 'data'}",
                "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
                f"--tmpdir={self.folder}",
            ],
            self.folder,
            self.kind,
        )  # fmt: skip

    def command(self) -> list[str]:
        return [
            _program("mariadbd"),
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.socket}",
            f"--tmpdir={self.folder}",  # a server that starts removes what others have in a common one
            f"--pid-file={self.folder / 'server.pid'}",
            f"--port={self.port}",
            f"--bind-address={self.host}",
            "--skip-name-resolve",
            "--performance-schema=ON",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=128M",
            "--max-connections=200",
            "--character-set-server=utf8mb4",
        ]

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
        connection = self.admin()
        cursor = connection.cursor()
        for statement in (
            "CREATE USER vdw@'%%' IDENTIFIED BY %s",
            f"GRANT ALL ON {self.database}.* TO vdw@'%%'",
        ):
            cursor.execute(statement, (self.password,) if "BY %s" in statement else ())
        connection.close()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def postgresql_binaries() -> Path:
    """Folder of Debian's (or the path's) PostgreSQL server programs."""
    for version in POSTGRESQL_VERSIONS:
        folder = Path("/usr/lib/postgresql") / version / "bin"
        if (folder / "postgres").exists():
            return folder
    if found := shutil.which("postgres"):
        return Path(found).parent
    raise Missing("no PostgreSQL server is installed (Debian: apt-get install postgresql)")


def unprivileged(kind: str) -> dict[str, Any]:
    """Arguments of subprocess.run that give up root; PostgreSQL and MariaDB refuse to run as root."""
    if os.getuid() != 0 or kind in ("trino", "s3", "odata", "mysql"):
        return {}
    names = ("postgres", "nobody") if kind == "postgresql" else ("mysql", "nobody")
    user = next(entry for name in names if (entry := _user(name)))
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def own(path: Path, kind: str) -> None:
    """Give a file to the user that the server runs as."""
    ids = unprivileged(kind)
    if ids:
        os.chown(path, ids["user"], ids["group"])


@contextlib.contextmanager
def running(kind: str, *more: str) -> Iterator[Server]:
    """A fresh server of "postgresql" or "mariadb", removed at the end; Missing where it is not installed. `more` goes
    onto its command line."""
    if kind == "mysql":
        from tests import mysql_server

        with mysql_server.running(*more) as found:
            yield found
        return
    make = {"postgresql": PostgresServer, "mariadb": MariadbServer}[kind]
    _programs(kind)
    server = make(kind, Path(tempfile.mkdtemp(prefix=f"vdw-{kind}-")), more=more)
    own(server.folder, kind)
    with lifetime(server):
        yield server


@contextlib.contextmanager
def lifetime(server: Server) -> Iterator[None]:
    """A server that is there and answers while inside; removed at the end, also when the process ends before."""
    atexit.register(server.remove)
    try:
        server.create()
        server.start()
        server.prepare()
        yield
    finally:
        server.remove()
        atexit.unregister(server.remove)


def children(parent: int) -> list[int]:
    """Ids of the processes that a process has started."""
    listed = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def _programs(kind: str) -> None:
    if kind == "postgresql":
        postgresql_binaries()
    else:
        _program("mariadbd")
        _program("mariadb-install-db")


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/usr/libexec")
    if not found:
        raise Missing(f"{name} is not installed (Debian: apt-get install mariadb-server)")
    return found


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _run(command: list[str], folder: Path, kind: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **unprivileged(kind))
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")
