"""Real replicas of the private servers: PostgreSQL's streaming replication, MariaDB's and MySQL's binary log."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.mysql_server import MysqlServer
from tests.servers import (
    PASSWORD,
    MariadbServer,
    PostgresServer,
    Server,
    own,
    postgresql_binaries,
    running,
    unprivileged,
)

COPIER = "copier"
DURABLE = ("--innodb-flush-log-at-trx-commit=2",)  # what is committed outlives a kill
TABLE = ("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL)", "INSERT INTO t VALUES (1, 0)")


class Standby(PostgresServer):
    """Streams from its primary."""

    primary: Server

    def create(self) -> None:
        command = [
            str(postgresql_binaries() / "pg_basebackup"), "-h", self.primary.host, "-p", str(self.primary.port),
            "-U", self.primary.user, "-D", str(self.folder / "data"), "-R", "-c", "fast",
        ]  # fmt: skip
        surroundings = {**os.environ, "PGPASSWORD": PASSWORD}
        subprocess.run(command, env=surroundings, check=True, capture_output=True, **unprivileged(self.kind))


class Follower(MariadbServer):
    """Reads its primary's binary log."""

    primary: Server

    def follow(self) -> None:
        self.run(
            f"CHANGE MASTER TO MASTER_HOST='{self.primary.host}', MASTER_PORT={self.primary.port}, "
            f"MASTER_USER='{COPIER}', MASTER_PASSWORD='copies', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1",
            "START SLAVE",
        )


class Copy(MysqlServer):
    """Reads its primary's binary log."""

    primary: Server

    def follow(self) -> None:
        self.run(
            f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='{self.primary.host}', SOURCE_PORT={self.primary.port}, "
            f"SOURCE_USER='{COPIER}', SOURCE_PASSWORD='copies', GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1, "
            "SOURCE_LOG_FILE='bin.000001', SOURCE_LOG_POS=4",
            "START REPLICA",
        )


@dataclass
class Site:
    """A primary and its replicas, all with a table t of one row."""

    primary: Server
    replicas: list[Server] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return self.primary.kind

    @property
    def tells(self) -> str:
        """What makes a replica tell how it follows."""
        return {
            "postgresql": "SELECT * FROM pg_stat_wal_receiver",
            "mariadb": "SHOW SLAVE STATUS",
            "mysql": "SHOW REPLICA STATUS",
        }[self.kind]

    def options(self, **more: object) -> dict[str, object]:
        """A source's connection to all of them."""
        servers = [{"host": one.host, "port": one.port} for one in self.replicas]
        return {**self.primary.options, "replicas": servers, **more}

    def write(self, n: int) -> None:
        """At the primary."""
        self.primary.run(f"UPDATE t SET n = {n}", database=self.primary.database)

    def caught_up(self, seconds: float = 120.0) -> None:
        """Wait until every replica has the table, the last that was made. AssertionError with what it says."""
        for replica in self.replicas:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                with contextlib.suppress(Exception):
                    if replica.run("SELECT n FROM t", database=replica.database):
                        break
                time.sleep(0.05)
            else:
                raise AssertionError(f"{replica.host}:{replica.port} does not follow: {replica.run(self.tells)}")

    def read(self, at: int) -> int:
        """At a replica itself."""
        return int(self.replicas[at].run("SELECT n FROM t", database=self.primary.database)[0][0])

    @contextlib.contextmanager
    def paused(self, *which: int) -> Iterator[None]:
        """While inside, these replicas receive, and apply nothing."""
        stop, go = {
            "postgresql": ("SELECT pg_wal_replay_pause()", "SELECT pg_wal_replay_resume()"),
            "mariadb": ("STOP SLAVE SQL_THREAD", "START SLAVE SQL_THREAD"),
            "mysql": ("STOP REPLICA SQL_THREAD", "START REPLICA SQL_THREAD"),
        }[self.kind]
        for at in which:
            self.replicas[at].run(stop)
        try:
            yield
        finally:
            for at in which:
                self.replicas[at].run(go)


@contextlib.contextmanager
def replicated(kind: str, count: int = 2) -> Iterator[Site]:
    """Such a site; gone at the end."""
    more = () if kind == "postgresql" else ("--log-bin=bin", "--server-id=1", *DURABLE)
    with running(kind, *more) as primary, contextlib.ExitStack() as stack:
        if kind != "postgresql":
            primary.run(
                f"CREATE USER {COPIER}@'%' IDENTIFIED BY 'copies'", f"GRANT REPLICATION SLAVE ON *.* TO {COPIER}@'%'"
            )
            right = "SLAVE MONITOR" if kind == "mariadb" else "REPLICATION CLIENT"
            primary.run(f"GRANT {right} ON *.* TO vdw@'%'")
        primary.run(*TABLE, database=primary.database)  # last: who has it has all
        site = Site(primary)
        for number in range(count):
            folder = Path(tempfile.mkdtemp(prefix=f"vdw-{kind}-"))
            own(folder, kind)
            make: type[Standby] | type[Follower] | type[Copy]
            make = {"postgresql": Standby, "mariadb": Follower, "mysql": Copy}[kind]
            made = make(kind, folder, more=() if kind == "postgresql" else (f"--server-id={number + 2}", *DURABLE))
            made.primary = primary
            stack.callback(made.remove)
            made.create()
            made.start()
            if not isinstance(made, Standby):
                made.follow()
            site.replicas.append(made)
        site.caught_up()
        yield site
