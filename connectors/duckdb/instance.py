"""DuckDB instances of our own: locked down before anything is asked of them, replaced when their files are."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import duckdb

from connectors.duckdb.schema import literal

# In this order; plain SET is not inherited by cursors, so what a query can feel is GLOBAL.
_LOCK_DOWN = (
    "SET GLOBAL TimeZone = 'UTC'",
    "SET GLOBAL default_null_order = 'postgres'",
    "SET GLOBAL ieee_floating_point_ops = false",
    "SET preserve_insertion_order = false",
    "SET python_enable_replacements = false",
    "SET python_scan_all_frames = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


class Instance:
    """One DuckDB that may read only below the `allowed` folders and URLs; its spill folder goes when it does."""

    def __init__(self, path: str, read_only: bool, threads: int, memory: str, allowed: tuple[str, ...] = ()) -> None:
        self.live = 0  # cursors that are out
        spill = tempfile.mkdtemp(prefix="vdw-duckdb-")
        self._forget = weakref.finalize(self, shutil.rmtree, spill, ignore_errors=True)  # at exit at the latest
        try:
            self.root = duckdb.connect(path, read_only=read_only, config={"threads": threads, "memory_limit": memory})
            self.root.execute(f"SET temp_directory = {literal(spill)}")
            self.root.execute(f"SET allowed_directories = [{', '.join(literal(folder) for folder in allowed)}]")
            for statement in _LOCK_DOWN:
                self.root.execute(statement)
        except BaseException:
            self._forget()
            raise

    def close(self) -> None:
        """Close it and drop what it spilled."""
        self.root.close()
        self._forget()


@dataclass(frozen=True, slots=True)
class Session:
    """A cursor, and the instance that it belongs to."""

    instance: Instance
    cursor: duckdb.DuckDBPyConnection


class Instances:
    """Gives each statement a cursor of the instance of now (connectors.leases.Driver).

    A cursor is made in 5 us, and would keep an old instance alive: so none is kept. Where `stale` says so, `make`
    makes a new instance, and the old one goes with its last cursor; but a database file cannot be opened twice by one
    process, so unless `side_by_side` the new one waits until no statement runs. Both are called under a lock.
    """

    def __init__(
        self,
        make: Callable[[], Instance],
        stale: Callable[[], bool],
        fault: Callable[[Exception], Exception],
        *,
        side_by_side: bool,
    ) -> None:
        self._make, self._stale, self._fault, self._side_by_side = make, stale, fault, side_by_side
        self._lock = threading.Lock()
        self._now: Instance | None = None

    def open(self, seconds: float) -> Session:  # noqa: ARG002 -- the protocol's signature
        with self._lock:
            try:
                if self._now is not None and (self._side_by_side or not self._now.live) and self._stale():
                    self._retire()
                if self._now is None:
                    self._now = self._make()
                session = Session(self._now, self._now.root.cursor())
            except duckdb.Error as error:
                raise self._fault(error) from error
            self._now.live += 1
            return session

    def alive(self, session: Session, idle: float) -> bool:  # noqa: ARG002 -- the protocol's signature
        return False

    def close(self, session: Session) -> None:
        session.cursor.close()
        with self._lock:
            session.instance.live -= 1
            if session.instance is not self._now and not session.instance.live:
                session.instance.close()

    def end(self) -> None:
        """No further cursors of the instance of now."""
        with self._lock:
            self._retire()

    def _retire(self) -> None:
        old, self._now = self._now, None
        if old is not None and not old.live:
            old.close()
