"""Writes the example's live sources into a PostgreSQL and a MariaDB, where the environment says which."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable
from typing import Any

import psycopg

from examples.crm.data import Table

POSTGRESQL, MARIADB = "VDW_EXAMPLE_POSTGRESQL", "VDW_EXAMPLE_MARIADB"
VARIABLES = tuple(
    f"{server}_{part}" for server in (POSTGRESQL, MARIADB) for part in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE")
)
_POSTGRESQL_TYPES = {"int8": "bigint", "int4": "integer", "bool": "boolean", "float8": "double precision"}
_MARIADB_TYPES = {"int8": "BIGINT", "int4": "INT", "timestamptz": "TIMESTAMP(6)", "text": "TEXT", "float8": "DOUBLE"}


class Unset(Exception):
    """Variables that are needed and not set."""


def _settings(server: str) -> dict[str, str]:
    return {part: os.environ[f"{server}_{part.upper()}"] for part in ("host", "port", "user", "password", "database")}


def check() -> None:
    """Raises Unset with the names of the variables that are missing (a password may be empty)."""
    missing = [name for name in VARIABLES if name not in os.environ]
    if missing:
        raise Unset(f"--servers needs these environment variables: {', '.join(missing)}")


def write_postgresql(schemas: dict[str, list[Table]]) -> None:
    """Each source as a schema of the one database; an older schema of that name is dropped."""
    said = _settings(POSTGRESQL)
    with psycopg.connect(dbname=said.pop("database"), **said) as connection:  # type: ignore[arg-type]
        for schema, tables in schemas.items():
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            connection.execute(f"CREATE SCHEMA {schema}")
            for table in tables:
                load_postgresql(connection, schema, table)


def load_postgresql(connection: psycopg.Connection[Any], schema: str, table: Table) -> None:
    """One table with its rows, key, indexes and statistics."""
    connection.execute(_ddl(table, f"{schema}.", _POSTGRESQL_TYPES, ""))
    with connection.cursor().copy(f"COPY {schema}.{table.name} FROM STDIN") as copy:
        for row in table.rows:
            copy.write_row(row)
    for column in table.indexes:
        connection.execute(f"CREATE INDEX ON {schema}.{table.name} ({column})")
    connection.execute(f"ANALYZE {schema}.{table.name}")


def write_mariadb(tables: list[Table]) -> None:
    """Tables of the database, whose default collation ignores case and accents, as in many real ones."""
    import MySQLdb

    said = _settings(MARIADB)
    connection = MySQLdb.connect(
        host=said["host"],
        port=int(said["port"]),
        user=said["user"],
        password=said["password"],
        database=said["database"],
        charset="utf8mb4",
        init_command="SET time_zone = '+00:00'",
    )
    try:
        cursor = connection.cursor()
        for table in reversed(tables):
            cursor.execute(f"DROP TABLE IF EXISTS {table.name}")
        for table in tables:
            cursor.execute(_ddl(table, "", _MARIADB_TYPES, " DEFAULT CHARSET = utf8mb4"))
            marks = ", ".join(["%s"] * len(table.columns))
            cursor.executemany(f"INSERT INTO {table.name} VALUES ({marks})", [_naive(row) for row in table.rows])
            for column in table.indexes:
                cursor.execute(f"CREATE INDEX {table.name}_{column} ON {table.name} ({column})")
        connection.commit()
        for table in tables:
            cursor.execute(f"ANALYZE TABLE {table.name}")
            cursor.fetchall()
    finally:
        connection.close()


def _naive(row: Iterable[Any]) -> tuple[Any, ...]:
    """Instants without their zone, which is the session's: UTC."""
    return tuple(value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value for value in row)


def _ddl(table: Table, prefix: str, types: dict[str, str], options: str) -> str:
    lines = []
    for name, kind in table.columns.items():
        plain = kind.rstrip("!")
        null = " NOT NULL" if kind.endswith("!") else " NULL"
        # MariaDB gives a first TIMESTAMP a default and an ON UPDATE of its own unless told otherwise
        default = (
            " DEFAULT '2000-01-01'" if plain == "timestamptz" and types is _MARIADB_TYPES and null != " NULL" else ""
        )
        lines.append(f"{name} {types.get(plain, plain)}{null}{default}")
    lines.append(f"PRIMARY KEY ({table.key})")
    lines += [
        f"FOREIGN KEY ({column}) REFERENCES {prefix}{other} ({key})"
        for column, (other, key) in table.references.items()
    ]
    return f"CREATE TABLE {prefix}{table.name} ({', '.join(lines)}){options}"
