"""Users as roles of the canon: what they may read, how they log in, and nothing that leaves their session."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from connectors.errors import ConfigError
from federation.canon.server import MERGE, OWNER, SESSIONS
from federation.canon.shell import DURABLE, LOCK, support
from views.catalog import OWNED

ANONYMOUS = "anonymous"
OPEN = "vdw_open"  # roles that log in without a password, where a project has no users
EVERYTHING = ("*", *(f"{schema}.*" for schema in sorted(OWNED)))
# Bounds of each role; a user may tighten the first two by SET, the others are PostgreSQL's to keep.
BOUNDS = {
    "statement_timeout": "60s",
    "work_mem": "16MB",
    "temp_file_limit": "1GB",
    "idle_in_transaction_session_timeout": "10min",
}
RESERVED = frozenset({OWNER, MERGE, OPEN, "postgres", "public", "none"})
# Functions that PostgreSQL gives to everybody and that reach beyond a session: the server's files and processes, large
# objects, other sessions' work, advisory locks of us all, and those that run statements given as text.
CLOSED = (
    r"^(lo_.*|loread|lowrite|pg_(read|stat|write|ls|logdir|file|logfile|rotate|reload|promote|switch|backup|create"
    r"|drop|copy|replication|logical|sync|wal|export|notify|cancel|terminate|advisory|try_advisory|import|extension"
    r"|prewarm|log_backend|log_standby|current_logfile|stop|start|wait)(_.*|$)|dblink.*"
    r"|(query|table|cursor|schema|database)_to_xml.*|ts_stat|ts_rewrite|currtid.*|binary_upgrade.*|brin_.*|gin_clean.*"
    r"|pg_relation_filepath|pg_nextoid|pg_settings_get_flags|pg_stop_making_pinned_objects|pg_hba_file_rules"
    r"|pg_ident_file_mappings|pg_show_all_file_settings|pg_get_shmem_allocations.*|pg_get_backend_memory_contexts)$"
)
# What clients ask for all the same: statistics, and the reset that a pool of theirs does.
KEPT = r"^(pg_stat_get_.*|pg_stat_clear_snapshot|pg_notify|pg_advisory_unlock.*)$"


@dataclass(frozen=True, slots=True)
class Account:
    """A user: `secret` is a password or a ready SCRAM verifier; `reads` has "schema.name", "schema.*" or "*";
    `max_age` is what the user's sessions start with."""

    secret: str
    reads: Sequence[str] = ()
    iterations: int = 4096
    max_age: str = ""


def apply(dsn: str, users: Mapping[str, Account], sessions: int = SESSIONS) -> None:
    """Make the canon's roles those users, in one transaction; without any, `anonymous` and our own operating
    system user read everything without a password (only loopback is served then). Each may have so many `sessions`.

    ConfigError for a name that is ours. A role that left cannot log in any more; its running sessions end.
    """
    for name in users:
        if name in RESERVED or name.startswith(("pg_", "vdw_")):
            raise ConfigError(f'"{name}" cannot name a user: the name is reserved', place="vdw.yml")
    wanted = dict(users) or {name: Account("", EVERYTHING) for name in _ourselves()}
    support(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute(DURABLE)
        connection.execute(LOCK)
        connection.execute(_closed())
        present = {row[0] for row in connection.execute(PRESENT)}
        for name in sorted(present - wanted.keys()):
            _retire(connection, name)
        connection.execute("TRUNCATE vdw.reads")
        for name, account in wanted.items():
            _make(connection, name, account, new=name not in present, open_=not users)
            connection.execute(SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(Identifier(name), Literal(sessions)))
        connection.execute("SELECT vdw.grant_reads()")


def share(dsn: str, users: Mapping[str, Account]) -> None:
    """Make what users may read what their accounts say, and change nothing else of their roles: for tables of theirs
    that are about to come or have gone. Without users everybody reads everything anyway."""
    if not users:
        return
    with psycopg.connect(dsn) as connection:
        connection.execute(DURABLE)
        connection.execute(LOCK)
        connection.execute("TRUNCATE vdw.reads")
        for name, account in users.items():
            _reads(connection, name, account)
        connection.execute("SELECT vdw.grant_reads()")


PRESENT = """SELECT rolname FROM pg_roles WHERE NOT rolsuper AND rolname !~ '^(pg|vdw)_'"""


def _ourselves() -> set[str]:
    try:
        own = getpass.getuser()
    except (KeyError, OSError):
        own = ANONYMOUS
    return {ANONYMOUS} if own in RESERVED or own.startswith(("pg_", "vdw_")) else {ANONYMOUS, own}


def _closed() -> Composed:
    """Take away what PostgreSQL gives to everybody; harmless when repeated."""
    return SQL("""
    REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO PUBLIC;
    REVOKE ALL ON LANGUAGE plpgsql, sql FROM PUBLIC;
    REVOKE ALL ON DATABASE vdw FROM PUBLIC; GRANT CONNECT, TEMPORARY ON DATABASE vdw TO PUBLIC;
    REVOKE ALL ON DATABASE template1 FROM PUBLIC;
    REVOKE ALL ON pg_largeobject_metadata, pg_hba_file_rules, pg_file_settings FROM PUBLIC;
    DO $$ DECLARE one text; BEGIN
      SELECT string_agg(oid::regprocedure::text, ', ') INTO one FROM pg_proc
      WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f'
      AND proname ~ {closed} AND proname !~ {kept} AND has_function_privilege('public', oid, 'EXECUTE');
      IF one IS NOT NULL THEN EXECUTE 'REVOKE EXECUTE ON FUNCTION ' || one || ' FROM PUBLIC'; END IF;
    END $$""").format(closed=Literal(CLOSED), kept=Literal(KEPT))


def _make(connection: psycopg.Connection, name: str, account: Account, *, new: bool, open_: bool) -> None:
    role = Identifier(name)
    if new:
        connection.execute(SQL("CREATE ROLE {}").format(role))
        connection.execute(SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE").format(role, Identifier(MERGE)))
    connection.execute(SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION").format(role))
    for setting, value in BOUNDS.items():
        connection.execute(SQL("ALTER ROLE {} SET {} = {}").format(role, Identifier(setting), Literal(value)))
    connection.execute(SQL("ALTER ROLE {} SET vdw.max_age = {}").format(role, Literal(account.max_age)))
    if open_:
        connection.execute(SQL("ALTER ROLE {} PASSWORD NULL; GRANT {} TO {}").format(role, Identifier(OPEN), role))
    else:
        connection.execute(SQL("REVOKE {} FROM {}").format(Identifier(OPEN), role))
        connection.execute(SQL("SET LOCAL scram_iterations = {}").format(Literal(account.iterations)))
        connection.execute(SQL("ALTER ROLE {} PASSWORD {}").format(role, Literal(account.secret)))
    _reads(connection, name, account)


def _reads(connection: psycopg.Connection, name: str, account: Account) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO vdw.reads VALUES (%s, %s, %s)", [(name, *_parts(r)) for r in set(account.reads)]
        )


def _parts(name: str) -> tuple[str, str]:
    schema, _, relation = name.partition(".")
    return schema, relation or "*"


def _retire(connection: psycopg.Connection, name: str) -> None:
    """Drop a role; what it may have read is taken back first, and it can own nothing that stays."""
    role = Identifier(name)
    connection.execute(SQL("ALTER ROLE {} NOLOGIN").format(role))
    connection.execute("SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = %s", (name,))
    connection.execute(SQL("DROP OWNED BY {role}; DROP ROLE {role}").format(role=role))
