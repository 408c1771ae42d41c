"""What servers say that they were asked (rows sent, statements), and the processor time that everybody takes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers import Server

_POSTGRESQL = r"""SELECT coalesce(sum(calls), 0)::int8, coalesce(sum(rows), 0)::int8 FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = '{database}') AND query ~* '\m({tables})\M'
  AND query !~* '\m(pg_\w+|information_schema|explain)\M'"""
_MARIADB = """SELECT sum(COUNT_STAR), sum(SUM_ROWS_SENT)
FROM performance_schema.events_statements_summary_global_by_event_name
WHERE EVENT_NAME IN ('statement/sql/select', 'statement/com/Execute')"""  # prepared ones have no digest


@dataclass(slots=True)
class Meter:
    """Of one server: `start` it, let others work, then `read` it. At PostgreSQL only statements on `tables` count."""

    server: Server
    tables: Sequence[str]

    def start(self) -> None:
        """Count from now on."""
        if self.server.kind == "postgresql":
            self.server.run("SELECT pg_stat_statements_reset()", database=self.server.database)
        else:
            self.server.run("TRUNCATE performance_schema.events_statements_summary_global_by_event_name")

    def read(self) -> tuple[int, int]:
        """Statements and rows since the start."""
        text = _POSTGRESQL if self.server.kind == "postgresql" else _MARIADB
        asked = text.format(database=self.server.database, tables="|".join(self.tables))
        ((statements, rows),) = self.server.run(asked, database=self.server.database)
        return int(statements), int(rows)


@dataclass(frozen=True, slots=True)
class Processor:
    """Processor time of processes: load does not stretch it. `servers` count with their children, ended ones too."""

    servers: Sequence[int]
    processes: Sequence[int] = ()

    def seconds(self) -> float:
        """Until now."""
        return sum(map(_tree, self.servers)) + sum(_times(process, 2) for process in self.processes)


def _tree(server: int) -> float:
    listed = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    return _times(server, 4) + sum(_times(int(child), 4) for child in listed)


def _times(process: int, count: int) -> float:
    """The first of: user, system, user of ended children, system of ended children."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11 : 11 + count])) / os.sysconf("SC_CLK_TCK")
    return 0.0
