"""Statements of ours in flight at a server, by its own account, many times a second; from a thread, on a connection."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from benchmarks.oltp import READER
from tests.servers import Server

PAUSE = 0.02  # seconds between two looks
_IN_FLIGHT = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}' AND state = 'active' "
    "AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
    "mariadb": "SELECT count(*) FROM information_schema.processlist "
    "WHERE user = '{user}' AND command IN ('Query', 'Execute') AND info NOT LIKE 'KILL%'",
}
_CONNECTED = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}' AND pid <> pg_backend_pid()",
    "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE user = '{user}'",
}


def in_flight(server: Server, user: str = READER) -> int:
    """Now."""
    return int(server.run(_IN_FLIGHT[server.kind].format(user=user))[0][0])


def connected(server: Server, user: str = READER) -> int:
    """Connections of ours now."""
    return int(server.run(_CONNECTED[server.kind].format(user=user))[0][0])


@dataclass(slots=True)
class Watch:
    """`seen` are (time of day, statements in flight)."""

    server: Server
    user: str = READER
    seen: list[tuple[float, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)

    def between(self, start: float, end: float) -> list[int]:
        """What was seen in that time."""
        return [count for at, count in self.seen if start <= at < end]

    def _look(self) -> None:
        while not self._stop.is_set():
            try:
                self._connected()
            except Exception:  # the server is being restarted, or has no place for us
                self._stop.wait(PAUSE)

    def _connected(self) -> None:
        connection = self.server.admin()
        try:
            cursor = connection.cursor()
            text = _IN_FLIGHT[self.server.kind].format(user=self.user)
            while not self._stop.wait(PAUSE):
                cursor.execute(text)
                self.seen.append((time.time(), int(cursor.fetchall()[0][0])))
        finally:
            connection.close()
