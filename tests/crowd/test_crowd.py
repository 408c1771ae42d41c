"""Several servers behind one configuration: the owner's limit holds for all together, whatever dies and starts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.folders import write
from tests.servers import Server

pytestmark = [pytest.mark.service, pytest.mark.slow]

CAP = 3
ACTIVE = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vdw' AND state = 'active'"


class Member:
    """A process of `tests.crowd.member`, and how many answers it has had."""

    def __init__(self, folder: Path, runtime: Path, clients: int) -> None:
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crowd.member", str(folder), str(clients)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())

    @property
    def answers(self) -> int:
        return self.lines.count(".")

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            self._reader.join(5)
            self.process.stdout.close()


class Sampler(threading.Thread):
    """Statements of ours that run at the server, by its own statistics, as often as it tells."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server, self.seen, self.over = server, [0], threading.Event()
        self.start()

    def run(self) -> None:
        with self.server.admin() as connection:
            while not self.over.is_set():
                self.seen.append(connection.execute(ACTIVE).fetchone()[0])


@contextmanager
def sampled(server: Server) -> Iterator[Sampler]:
    sampler = Sampler(server)
    yield sampler
    sampler.over.set()
    sampler.join()


def until(condition: object, patience: float = 60.0) -> None:
    end = time.monotonic() + patience
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def _folder(tmp_path: Path, server: Server) -> Path:
    connection = f"host: {server.host}, port: {server.port}, database: {server.database}, user: {server.user}"
    source = f"""
        kind: postgresql
        connection: {{{connection}, password: {{file: secret}}}}
        limits: {{concurrency: {CAP}, timeout: 30s}}
        expose: {{tables: [slow]}}
    """
    return write(tmp_path / "project", {"sources/shop.yml": source, "secret": server.password})


def test_three_servers_one_killed_and_started_again_never_exceed_the_owner_s_limit(
    postgresql: Server, tmp_path: Path
) -> None:
    postgresql.run(
        "CREATE OR REPLACE VIEW slow AS SELECT g AS id, pg_sleep(0.15)::text AS s FROM generate_series(1, 2) g",
        database=postgresql.database,
    )
    folder, runtime = _folder(tmp_path, postgresql), tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    with sampled(postgresql) as sampler:
        members = [Member(folder, runtime, 5) for _ in range(3)]
        until(lambda: all("go" in one.lines for one in members))
        until(lambda: all(one.answers >= 2 for one in members))
        members[0].process.kill()
        members[0].process.wait()
        before = [one.answers for one in members]
        members.append(Member(folder, runtime, 5))
        until(lambda: all(one.answers >= had + 3 for one, had in zip(members[1:3], before[1:3], strict=True)))
        until(lambda: members[3].answers >= 3)
        for one in members:
            one.end()
    postgresql.run("DROP VIEW slow", database=postgresql.database)
    assert [line for one in members for line in one.lines if line not in ("go", ".")] == []
    assert max(sampler.seen) == CAP, f"{len(sampler.seen)} samples"
    assert len(sampler.seen) > 500
