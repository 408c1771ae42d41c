"""A source's own work: transactions at a steady rate whatever happens, each with its latency, as its users see it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks import cores
from tests.servers import Server, postgresql_binaries

CLIENTS = 8  # pgbench's, in one thread
TELLERS = 4  # processes at MariaDB, a connection each
ACCOUNTS = 100_000  # of one branch, as pgbench has it
READER, SECRET = "vdw_reader", "only-reads"
CREATE = (
    "CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88))",
    "CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int NOT NULL, tbalance int, filler char(84))",
    "CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int NOT NULL, abalance int, filler char(84))",
    "CREATE TABLE pgbench_history (hid bigint AUTO_INCREMENT PRIMARY KEY, tid int, bid int, aid int, delta int, "
    "mtime timestamp)",
)


@dataclass(slots=True)
class Transactions:
    """Those that ended, by the time of day when they did (s); ms from when each should have begun, and of that the
    ms until it did begin."""

    ended: np.ndarray
    took: np.ndarray
    lagged: np.ndarray

    def between(self, start: float, end: float) -> Transactions:
        """Those that ended within."""
        some = (self.ended >= start) & (self.ended < end)
        return Transactions(self.ended[some], self.took[some], self.lagged[some])

    @classmethod
    def joined(cls, parts: Sequence[Transactions]) -> Transactions:
        """All of several."""
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in cls.__slots__))


class Oltp(Protocol):
    """The work of one server; `done` has all transactions ever run, `loose` how many more may have been."""

    server: Server
    done: list[Transactions]
    loose: int

    def fill(self) -> None: ...
    async def run(self, rate: float, seconds: float, seed: int) -> Transactions: ...


@dataclass(slots=True)
class Pgbench:
    """PostgreSQL's: pgbench's simple updates (TPC-B without the few rows that all would wait for), by its log."""

    server: Server
    folder: Path
    scale: int
    done: list[Transactions] = field(default_factory=list)
    loose: int = 0

    def fill(self) -> None:
        """The tables, and settings under which the server has no chores of its own while it is measured."""
        _call(self._command("-i", "-q", "-s", str(self.scale)), self._environment)
        self.server.run(
            f"CREATE ROLE {READER} LOGIN PASSWORD '{SECRET}'",
            f"GRANT pg_read_all_data TO {READER}",
            "ALTER SYSTEM SET autovacuum = off",
            "ALTER SYSTEM SET checkpoint_timeout = '1h'",
            "ALTER SYSTEM SET max_wal_size = '16GB'",
            "SELECT pg_reload_conf()",
            database=self.server.database,
        )
        self.server.run("VACUUM ANALYZE", "CHECKPOINT", database=self.server.database)

    async def run(self, rate: float, seconds: float, seed: int) -> Transactions:
        """At so many transactions a second, as many as it can where `rate` is 0; they come when they came before with
        the same seed."""
        prefix = self.folder / f"pgbench-{len(self.done)}"
        paced = ["-R", f"{rate:.0f}"] if rate else []
        timing = ["-T", f"{seconds:.0f}", f"--random-seed={seed}", "--log", f"--log-prefix={prefix}"]
        running = ("-n", "-N", "-c", str(CLIENTS), "-j", "1", "-M", "prepared", *paced, *timing)
        await asyncio.to_thread(_call, self._command(*running), self._environment)
        found = Transactions.joined([_pgbench_log(path) for path in self.folder.glob(f"{prefix.name}.*")])
        self.done.append(found)
        self.loose += CLIENTS
        return found

    def _command(self, *options: str) -> list[str]:
        server = self.server
        where = ["-h", server.host, "-p", str(server.port), "-U", server.user]
        return [str(postgresql_binaries() / "pgbench"), *where, *options, server.database]

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PGPASSWORD": self.server.password}


def _pgbench_log(path: Path) -> Transactions:
    """client, number, us in all, script, epoch s, us, and when it is paced the lag's us; skipped ones have no time."""
    rows = [line.split() for line in path.read_text().splitlines() if " skipped " not in line]
    values = np.array(
        [(float(r[4]) + float(r[5]) / 1e6, float(r[2]), float(r[6]) if len(r) > 6 else 0.0) for r in rows]
    )
    return Transactions(values[:, 0], values[:, 1] / 1000, values[:, 2] / 1000)


@dataclass(slots=True)
class Tellers:
    """MariaDB's: processes that update, read and insert by key (benchmarks.teller)."""

    server: Server
    folder: Path
    scale: int
    done: list[Transactions] = field(default_factory=list)
    loose: int = 0

    def fill(self) -> None:
        """The same tables as pgbench has."""
        accounts = self.scale * ACCOUNTS
        self.server.run(
            *CREATE,
            f"INSERT INTO pgbench_branches SELECT seq, 0, '' FROM seq_1_to_{self.scale}",
            f"INSERT INTO pgbench_tellers SELECT seq, (seq - 1) DIV 10 + 1, 0, '' FROM seq_1_to_{self.scale * 10}",
            f"INSERT INTO pgbench_accounts SELECT seq, (seq - 1) DIV {ACCOUNTS} + 1, 0, '' FROM seq_1_to_{accounts}",
            "ANALYZE TABLE pgbench_branches, pgbench_tellers, pgbench_accounts, pgbench_history",
            "SET GLOBAL innodb_buffer_pool_size = 536870912",
            f"CREATE USER {READER}@'%' IDENTIFIED BY '{SECRET}'",
            f"GRANT SELECT ON {self.server.database}.* TO {READER}@'%'",
            database=self.server.database,
        )

    async def run(self, rate: float, seconds: float, seed: int) -> Transactions:
        """At so many transactions a second, as many as it can where `rate` is 0; they come when they came before with
        the same seed."""
        files = [self.folder / f"teller-{len(self.done)}-{number}.npy" for number in range(TELLERS)]
        await asyncio.gather(
            *(asyncio.to_thread(self._teller, file, rate / TELLERS, seconds, seed + i) for i, file in enumerate(files))
        )
        found = Transactions.joined([Transactions(*np.load(file)) for file in files])
        self.done.append(found)
        self.loose += TELLERS
        return found

    def _teller(self, file: Path, rate: float, seconds: float, seed: int) -> None:
        told = {**self.server.options, "file": str(file), "rate": rate, "seconds": seconds, "seed": seed}
        told["accounts"] = self.scale * ACCOUNTS
        _call([sys.executable, "-m", "benchmarks.teller"], {**os.environ, "TELLER": json.dumps(told)})


def _call(command: Sequence[str], environment: dict[str, str]) -> None:
    with cores.on(cores.SOURCE):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent
        )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-1000:]}")


def oltp(server: Server, folder: Path, scale: int) -> Oltp:
    """The work for this kind of server; `folder` takes the logs."""
    return Pgbench(server, folder, scale) if server.kind == "postgresql" else Tellers(server, folder, scale)
