"""The file of alerts: its tables, and how it is opened."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

NAME = "alerts.db"
BUSY = 10.0  # seconds to wait for another's writing
VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watch (name TEXT PRIMARY KEY, asked REAL, relied REAL, state TEXT NOT NULL,
  reason TEXT NOT NULL, since REAL NOT NULL, ms REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS breach (id INTEGER PRIMARY KEY AUTOINCREMENT, watch TEXT NOT NULL, key TEXT NOT NULL,
  since REAL NOT NULL, seen REAL NOT NULL, absent REAL, cleared REAL, acknowledged REAL, by TEXT,
  row TEXT NOT NULL, document TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS lasting ON breach (watch, key) WHERE cleared IS NULL;
CREATE INDEX IF NOT EXISTS former ON breach (watch, key);
CREATE TABLE IF NOT EXISTS delivery (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
  breach INTEGER NOT NULL REFERENCES breach, watch TEXT NOT NULL, key TEXT NOT NULL, event TEXT NOT NULL,
  number INTEGER NOT NULL, notifier TEXT NOT NULL, address TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL,
  document TEXT NOT NULL, since REAL NOT NULL, created REAL NOT NULL, late TEXT NOT NULL, state TEXT NOT NULL,
  unsure INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, settled REAL,
  error TEXT NOT NULL DEFAULT '', reference TEXT NOT NULL DEFAULT '', first TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS of_breach ON delivery (breach);
CREATE INDEX IF NOT EXISTS lane ON delivery (notifier, address, seq, state, attempts, due)
  WHERE state IN ('pending', 'sending');
CREATE INDEX IF NOT EXISTS standing ON delivery (state, notifier);
CREATE TABLE IF NOT EXISTS silence (watch TEXT, key TEXT, until REAL NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (watch, key)) WITHOUT ROWID;
"""


def opened(folder: Path | None, write: bool = True) -> sqlite3.Connection:
    """The file of a state folder (None: one in memory), for one thread at a time. What is committed survives the
    power's failure.

    sqlite3.Error where it is none, or of a later version.
    """
    target = ":memory:" if folder is None else f"{(folder / NAME).absolute().as_uri()}?mode={'rwc' if write else 'ro'}"
    connection = sqlite3.connect(target, timeout=BUSY, isolation_level=None, check_same_thread=False, uri=True)
    connection.row_factory = sqlite3.Row
    try:
        if write:
            _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    with transaction(connection):
        for statement in filter(str.strip, _SCHEMA.split(";")):
            connection.execute(statement)
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('instance', ?)", (str(uuid.uuid4()),))
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (str(VERSION),))
        (found,) = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
    if int(found) > VERSION:
        raise sqlite3.DatabaseError(f"{NAME} was written by a later version of vdw")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
    """All of it or nothing; inside another, a part of it that can be undone by itself."""
    inside = connection.in_transaction
    connection.execute("SAVEPOINT part" if inside else begin)
    try:
        yield connection
        connection.execute("RELEASE part" if inside else "COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK TO part" if inside else "ROLLBACK")
            if inside:
                connection.execute("RELEASE part")
        raise
