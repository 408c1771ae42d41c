"""Bulk loading of pieces into real sources, and the connection that a source's file then says."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tests import mysql_server, trino_server
from tests.differential.file_formats import load_files
from tests.differential.placements import BY, ENGINES, Piece
from tests.rest_server import RestServer
from tests.servers import Server, running

_LOOSE = """CREATE COLLATION public.loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"""


def _rows(piece: Piece) -> Iterator[tuple[Any, ...]]:
    encoders = [column.encode for column in piece.columns]
    for row in piece.table.rows:
        yield tuple(encode(value) for encode, value in zip(encoders, row, strict=True))


def _stored(piece: Piece, names: Iterable[str]) -> list[str]:
    wanted = tuple(names)
    return [column.stored for column in piece.columns if column.name in wanted]


def _crisp(piece: Piece, names: Iterable[str]) -> bool:
    """Whether the source compares these columns byte by byte, so that what is unique in the canon is so there."""
    wanted = tuple(names)
    for column in piece.columns:
        if column.name in wanted and column.type.name == "text":
            if piece.source not in ("plain", "icu", "lite") or "COLLATE" in column.native:
                return False
        elif column.name in wanted and (column.type.name not in _COUNTABLE or "TEXT" in str(column.native)):
            return False
    return True


_COUNTABLE = ("int2", "int4", "int8", "uuid", "date")


def _constraints(piece: Piece, pieces: list[Piece], quote: str = '"') -> str:
    """Keys, unique columns and foreign keys, as far as the source can hold them."""

    def listed(names: Iterable[str]) -> str:
        return ", ".join(f"{quote}{name}{quote}" for name in names)

    found = []
    key = _stored(piece, piece.table.key)
    if key and _crisp(piece, piece.table.key):
        found.append(f"PRIMARY KEY ({listed(key)})")
    found += [f"UNIQUE ({listed(_stored(piece, names))})" for names in piece.table.unique if _crisp(piece, names)]
    for link in piece.table.links:
        parent = next((p for p in pieces if p.whole and p.table.name == link.table and _kin(p, piece)), None)
        if parent is not None and _crisp(piece, link.columns) and _alike(piece, link.columns, parent, link.references):
            own, theirs = _stored(piece, link.columns), _stored(parent, link.references)
            found.append(f"FOREIGN KEY ({listed(own)}) REFERENCES {parent.name} ({listed(theirs)})")
    return "".join(f", {text}" for text in found)


def _kin(one: Piece, other: Piece) -> bool:
    """Whether two pieces are of one placement: its prefix stands before their tables' names."""
    prefixes = {piece.name[: piece.name.rindex(piece.table.name)] for piece in (one, other)}
    return len(prefixes) == 1


def _alike(one: Piece, columns: Iterable[str], other: Piece, references: Iterable[str]) -> bool:
    def natives(piece: Piece, names: Iterable[str]) -> list[str]:
        return [str(c.native) for name in names for c in piece.columns if c.name == name]

    return natives(one, columns) == natives(other, references)


def _arrow(piece: Piece, types: list[pa.DataType]) -> pa.Table:
    columns = list(zip(*_rows(piece), strict=True)) or [()] * len(types)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.table(arrays, names=[column.stored for column in piece.columns])


def load_sqlite(folder: Path, pieces: list[Piece], name: str = "lite") -> dict[str, Any]:
    """One file; the key of integers as PRIMARY KEY."""
    connection = sqlite3.connect(folder / f"{name}.db")
    for piece in pieces:
        columns = ", ".join(f'"{c.stored}" {c.native}' for c in piece.columns)
        connection.execute(f"CREATE TABLE {piece.name} ({columns}{_constraints(piece, pieces)})")
        marks = ", ".join("?" * len(piece.columns))
        connection.executemany(f"INSERT INTO {piece.name} VALUES ({marks})", _rows(piece))
        for column in _stored(piece, piece.table.indexes):
            connection.execute(f'CREATE INDEX "{piece.name}_{column}" ON {piece.name} ("{column}")')
    connection.commit()
    connection.close()
    return {"path": f"{name}.db"}


def load_duckdb(folder: Path, pieces: list[Piece]) -> dict[str, Any]:
    """One database file."""
    with duckdb.connect(str(folder / "duck.db")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for piece in pieces:
            columns = ", ".join(f'"{c.stored}" {c.native[0]}' for c in piece.columns)
            connection.execute(f"CREATE TABLE {piece.name} ({columns})")
            connection.register("incoming", _arrow(piece, [c.native[1] for c in piece.columns]))
            connection.execute(f"INSERT INTO {piece.name} SELECT * FROM incoming")
            connection.unregister("incoming")
    return {"path": "duck.db"}


_SERVICES: dict[str, RestServer] = {}  # by address, until their placement is dropped


def load_rest(folder: Path, pieces: list[Piece]) -> dict[str, Any]:
    """A service over a SQLite file that holds JSON's own texts, in pages that lead one to the next."""
    with contextlib.closing(sqlite3.connect(folder / "web.db")) as connection:
        for piece in pieces:
            columns = ", ".join(f'"{c.stored}" BLOB' for c in piece.columns)
            connection.execute(f"CREATE TABLE {piece.name} ({columns})")
            marks = ", ".join("?" * len(piece.columns))
            rows = ([None if value is None else f"={value}" for value in row] for row in _rows(piece))
            connection.executemany(f"INSERT INTO {piece.name} VALUES ({marks})", rows)
        connection.commit()
    server = RestServer(folder / "web.db")
    server.start()
    server.manners.largest = 50
    _SERVICES[server.url] = server
    tables = {
        piece.name: {
            "path": f"/next/{piece.name}",
            "rows": "/value",
            "columns": {c.stored: {"type": c.native} for c in piece.columns},
            "paging": {"kind": "next", "at": "/next"},
        }
        for piece in pieces
    }
    return {"url": server.url, "tables": tables}


def load_postgresql(server: Server, database: str, icu: bool, pieces: list[Piece]) -> dict[str, Any]:
    """A database of its own: C collation, or ICU en-US by default."""
    locale = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'" if icu else "LOCALE 'C'"
    server.run(f"CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' {locale}")
    with server.admin(database) as connection:
        connection.execute(_LOOSE)
        for piece in pieces:
            _copy(connection, piece, pieces)
        connection.execute("ANALYZE")
    return {**_address(server), "database": database}


def _copy(connection: Any, piece: Piece, pieces: list[Piece]) -> None:
    columns = ", ".join(f'"{c.stored}" {c.native}' for c in piece.columns)
    connection.execute(f"CREATE TABLE {piece.name} ({columns}{_constraints(piece, pieces)})")
    with connection.cursor() as cursor, cursor.copy(f"COPY {piece.name} FROM STDIN") as copy:
        for row in _rows(piece):
            copy.write_row(row)
    for column in _stored(piece, piece.table.indexes):
        connection.execute(f'CREATE INDEX ON {piece.name} ("{column}")')


def load_mariadb(server: Server, database: str, pieces: list[Piece]) -> dict[str, Any]:
    """A database of its own at MariaDB or MySQL, not by bytes unless a column says so."""
    collation = "utf8mb4_general_ci" if server.kind == "mariadb" else "utf8mb4_0900_ai_ci"
    server.run(f"CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE {collation}")
    server.run(f"GRANT ALL ON {database}.* TO {server.user}@'%'")
    with contextlib.closing(server.admin(database)) as connection:
        cursor = connection.cursor()
        cursor.execute("SET time_zone = '+00:00'")
        for piece in pieces:
            _insert(cursor, piece, pieces)
    return {**_address(server), "database": database}


def _insert(cursor: Any, piece: Piece, pieces: list[Piece]) -> None:
    # A TIMESTAMP column is NOT NULL unless it says NULL.
    columns = ", ".join(
        f"`{c.stored}` {c.native}" + (" NULL" if c.name not in piece.table.key else "") for c in piece.columns
    )
    cursor.execute(f"CREATE TABLE {piece.name} ({columns}{_constraints(piece, pieces, '`')})")
    marks = ", ".join(["%s"] * len(piece.columns))
    cursor.executemany(f"INSERT INTO {piece.name} VALUES ({marks})", list(_rows(piece)))
    natives = {column.stored: str(column.native) for column in piece.columns}
    for column in _stored(piece, piece.table.indexes):
        length = "(40)" if natives[column].startswith(("TEXT", "LONGTEXT")) else ""
        cursor.execute(f"CREATE INDEX `{piece.name}_{column}` ON {piece.name} (`{column}`{length})")


def load_trino(server: Server, schema: str, pieces: list[Piece]) -> dict[str, Any]:
    """A schema of the catalog `memory`; a statement for each table."""
    server.run(f"CREATE SCHEMA memory.{schema}")
    for piece in pieces:
        columns = ", ".join(f'"{c.stored}" {c.native}' for c in piece.columns)
        create = f"CREATE TABLE {piece.name} ({columns})"
        rows = [f"({', '.join(map(_literal, row))})" for row in _rows(piece)]
        given = ", ".join(f"v{at}" for at in range(len(piece.columns)))
        items = ", ".join(
            _VALUES.get(c.native, "CAST({} AS " + c.native + ")").format(f"v{at}") for at, c in enumerate(piece.columns)
        )
        fill = f"INSERT INTO {piece.name} SELECT {items} FROM (VALUES {', '.join(rows)}) AS t({given})"
        server.run(create, *([fill] if rows else []), database=schema)
    return {
        "host": server.host,
        "port": server.port,
        "catalog": "memory",
        "schemas": [schema],
        "source": "differential",
    }


_VALUES = {"VARBINARY": "from_hex(CAST({} AS VARCHAR))"}  # of a text


def _literal(value: Any) -> str:
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def started(kind: str) -> AbstractContextManager[Server]:
    """A private server of a kind of ENGINES."""
    apart: dict[str, Callable[[], AbstractContextManager[Server]]]
    apart = {"trino": trino_server.running, "mysql": mysql_server.running}
    return apart[kind]() if kind in apart else running(kind)


def needed(engines: Iterable[str]) -> list[str]:
    """The kinds of servers that sources need."""
    return sorted({ENGINES[engine] for engine in engines} & {"postgresql", "mariadb", "mysql", "trino"})


def _address(server: Server) -> dict[str, Any]:
    return {"host": server.host, "port": server.port, "user": server.user, "password": {"file": "password"}}


def load_all(folder: Path, pieces: list[Piece], servers: dict[str, Server], tag: str) -> dict[str, dict[str, Any]]:
    """Load every piece; connections by source. `tag` makes the databases' names unique on shared servers."""
    folder.mkdir(parents=True, exist_ok=True)
    if servers:
        (folder / "password").write_text(next(iter(servers.values())).password)
    connections = {}
    for source in ENGINES:
        own = [piece for piece in pieces if piece.source == source]
        if own:
            connections[source] = _through(source, _load(folder, source, own, servers, tag))
    return connections


def _through(source: str, connection: dict[str, Any]) -> dict[str, Any]:
    """A connection as the source's kind has it."""
    if BY.get(source, ("", {}))[0] != "odbc":
        return connection
    names = {"host": "server", "path": "database"}
    return {names.get(key, key): value for key, value in connection.items()}


def _load(folder: Path, source: str, pieces: list[Piece], servers: dict[str, Server], tag: str) -> dict[str, Any]:
    kind = ENGINES[source]
    if kind == "postgresql":
        return load_postgresql(servers[kind], f"d{tag}_{source}", source == "icu", pieces)
    if kind == "trino":
        return load_trino(servers[kind], f"d{tag}_{source}", pieces)
    if kind in ("mariadb", "mysql"):
        return load_mariadb(servers[kind], f"d{tag}_{source}", pieces)
    if kind == "sqlite":
        return load_sqlite(folder, pieces, source)
    embedded = {"files": load_files, "duckdb": load_duckdb, "rest": load_rest}
    return embedded[kind](folder, pieces)


def drop_all(connections: dict[str, dict[str, Any]], servers: dict[str, Server]) -> None:
    """Drop the databases that `load_all` made on shared servers; stop its services."""
    for source, connection in connections.items():
        kind = ENGINES[source]
        if kind == "rest":
            _SERVICES.pop(connection["url"]).stop()
        if kind == "trino":
            _drop_schema(servers[kind], connection["schemas"][0])
        elif kind in servers:
            force = " WITH (FORCE)" if kind == "postgresql" else ""
            servers[kind].run(f"DROP DATABASE IF EXISTS {connection['database']}{force}")


def _drop_schema(server: Server, schema: str) -> None:
    tables = server.run(f"SHOW TABLES FROM memory.{schema}")
    server.run(*(f"DROP TABLE memory.{schema}.{name}" for (name,) in tables), f"DROP SCHEMA memory.{schema}")
