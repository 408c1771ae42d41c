"""What PostgreSQL and MariaDB say that one user of theirs has asked: statements and rows."""

from __future__ import annotations

from dataclasses import dataclass

from tests.servers import Server

# What opens a session, or bounds its next statement, and what ADBC asks when it connects: told apart in receipts too.
_SESSION = (
    r"^\s*(set\M|(copy \()?select set_config|deallocate|select version\(\)|select\s+attrelid"
    r"|select\s+oid,\s*typname,\s*typreceive)"
)
_POSTGRESQL = """SELECT query ~* %s, sum(calls)::int8, sum(rows)::int8 FROM pg_stat_statements AS s
JOIN pg_roles AS r ON r.oid = s.userid WHERE r.rolname = %s GROUP BY 1"""
_MARIADB = """SELECT event_name, count_star, sum_rows_sent
FROM performance_schema.events_statements_summary_by_user_by_event_name WHERE user = %s AND count_star > 0"""
_ASKED = ("select", "explain_other", "show_", "analyze_other")


@dataclass(frozen=True, slots=True)
class Count:
    """Statements and rows for queries and for what we ask by ourselves; statements that concern a session only."""

    statements: int
    rows: int
    sessions: int


def forget(server: Server) -> None:
    """Let it count from now on."""
    if server.kind == "postgresql":
        server.run("SELECT pg_stat_statements_reset()", database=server.database)
    else:
        server.run("TRUNCATE performance_schema.events_statements_summary_by_user_by_event_name")


def counted(server: Server, user: str) -> Count:
    """All that the user has asked."""
    return _postgresql(server, user) if server.kind == "postgresql" else _mariadb(server, user)


def _postgresql(server: Server, user: str) -> Count:
    connection = server.admin(server.database)
    found = {own: (calls, rows) for own, calls, rows in connection.execute(_POSTGRESQL, (_SESSION, user))}
    connection.close()
    calls, rows = found.get(False, (0, 0))
    return Count(int(calls), int(rows), int(found.get(True, (0, 0))[0]))


def _mariadb(server: Server, user: str) -> Count:
    connection = server.admin()
    cursor = connection.cursor()
    cursor.execute(_MARIADB, (user,))
    asked = others = rows = 0
    for name, count, sent in cursor.fetchall():
        kind = str(name).removeprefix("statement/sql/")
        if kind.startswith(_ASKED):
            asked, rows = asked + int(count), rows + int(sent)
        elif str(name).startswith("statement/sql/"):
            others += int(count)
    connection.close()
    return Count(asked, rows, others)
