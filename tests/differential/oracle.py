"""The oracle: one PostgreSQL, set up as the canon is, that holds all tables and answers the original text."""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq

from connectors.conformance.texts import python_text
from connectors.types import BUILTIN, PgType
from tests.differential.cases import Case
from tests.differential.data import Table

VIEWS = Path(__file__).parent / "views.sql"
TIMESTAMPTZ = BUILTIN["timestamptz"][0]
_VIEW = re.compile(r"^-- name: (v\.\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


def deep_views() -> list[tuple[str, str]]:
    """(full name, SELECT) of the views that stand on the `t` schema, each behind what it reads."""
    return [(name, body.strip().rstrip(";")) for name, body in _VIEW.findall(VIEWS.read_text())]


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns as (name, type oid, typmod) and rows of PostgreSQL's texts; or the SQLSTATE of the error."""

    columns: tuple[tuple[str, int, int], ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    error: str = ""
    message: str = ""


def copy_rows(connection: psycopg.Connection[Any], target: str, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Bulk load by COPY; values go as their texts, so every PostgreSQL type takes them."""
    kinds = [column.type for column in table.columns]
    with connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row([python_text(value, kind) for value, kind in zip(row, kinds, strict=True)])


class Oracle:
    """Holds tables in schemas of the database at `dsn` and answers cases."""

    def __init__(self, dsn: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.run("SET client_min_messages = warning")
        for setting in ("TimeZone = 'UTC'", "DateStyle = 'ISO, YMD'", "IntervalStyle = 'postgres'"):
            self.run(f"SET {setting}")

    def run(self, sql: str) -> None:
        """A command."""
        self.connection.execute(sql.encode())

    def load(self, schema: str, tables: Iterable[Table], shuffle: int | None = None) -> None:
        """Tables in a schema, which is emptied first; `shuffle` says in which other order their rows stand."""
        self.run(f"DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")
        for table in tables:
            columns = ", ".join(f'"{column.name}" {column.type.sql}' for column in table.columns)
            self.run(f"CREATE TABLE {schema}.{table.name} ({columns})")
            rows = list(table.rows)
            if shuffle is not None:
                random.Random(shuffle).shuffle(rows)
            copy_rows(self.connection, f"{schema}.{table.name}", table, rows)

    def refill(self, schema: str, table: Table) -> None:
        """Other rows in a table that is there."""
        self.run(f"TRUNCATE {schema}.{table.name}")
        copy_rows(self.connection, f"{schema}.{table.name}", table, table.rows)
        self.run(f"ANALYZE {schema}.{table.name}")

    def zone(self, name: str) -> None:
        """Ask in a session of that time zone from now on; instants are still told in UTC."""
        self.run(f"SET TimeZone = '{name}'")

    def ask(self, case: Case) -> Answer:
        """What PostgreSQL says to the case, in text format."""
        values = [None if value is None else _param(value).encode() for _, value in case.params]
        result = self.connection.pgconn.exec_params(case.sql.encode(), values)
        if result.status != pq.ExecStatus.TUPLES_OK:
            state = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
            return Answer(error=state.decode(), message=result.error_message.decode())
        width = range(result.nfields)
        columns = tuple(((result.fname(i) or b"").decode(), result.ftype(i), result.fmod(i)) for i in width)
        values_of = ([result.get_value(row, i) for i in width] for row in range(result.ntuples))
        shown = [_utc if oid == TIMESTAMPTZ else bytes.decode for _, oid, _ in columns]
        rows = (tuple(None if v is None else show(v) for show, v in zip(shown, row, strict=True)) for row in values_of)
        return Answer(columns, tuple(rows))

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def filled(dsn: str, tables: Iterable[Table], shuffle: int | None = None) -> Oracle:
    """An oracle over the tables of the suite in schema `t`, and the views that stand on them."""
    oracle = Oracle(dsn)
    oracle.run("DROP SCHEMA IF EXISTS v CASCADE; CREATE SCHEMA v")
    oracle.load("t", tables, shuffle)
    for name, body in deep_views():
        oracle.run(f"CREATE VIEW {name} AS {body}")
    oracle.run("ANALYZE")
    return oracle


def _utc(value: bytes) -> str:
    """An instant as PostgreSQL prints it in any zone, as it would print it in UTC."""
    text = value.decode()
    if text.endswith("+00") or "infinity" in text or "BC" in text:
        return text
    return python_text(dt.datetime.fromisoformat(text).astimezone(dt.UTC), PgType("timestamptz")) or ""


def _param(value: Any) -> str:
    if isinstance(value, list):
        quoted = (
            "NULL" if item is None else '"' + str(item).replace("\\", "\\\\").replace('"', '\\"') + '"'
            for item in value
        )
        return "{" + ",".join(quoted) + "}"
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)
