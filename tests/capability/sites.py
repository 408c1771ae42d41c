"""The engines with the table of traps in them, each asked through its own connector; and the canon with the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from api.probe import traps
from api.probe.cases import LISTS
from api.probe.oracle import Oracle
from api.probe.traps import Trap
from connectors import registry
from connectors.base import Bound, Cancel, Connector, SourceQuery
from connectors.capability import Capability, capability
from connectors.capability.duckdb import MERGE
from connectors.conformance.texts import column_texts
from connectors.errors import Error
from connectors.types import PgType
from federation.duck import Duck, MergeLimits
from planner import ir
from planner.emit import Emitter
from planner.plan import Stage
from planner.prove import Fact, Facts
from planner.scalar import Call, Col, Lit, Scalar
from planner.targets import DuckdbTarget, SourceTarget
from tests.servers import Server
from views.catalog import SourceTable

INT4 = PgType("int4")


@dataclass
class Site:
    """One engine: `ask` runs a relation over `leaf` there, `canon` says what PostgreSQL makes of it."""

    name: str
    cap: Capability
    held: list[Trap]
    leaf: ir.Scan | ir.Cut
    facts: Facts
    oracle: Oracle
    connector: Connector | None = None
    table: pa.Table | None = None
    duck: Duck | None = None
    loop: asyncio.AbstractEventLoop | None = None
    ids: Mapping[str, int] = field(default_factory=dict)

    def column(self, name: str) -> Col:
        """A column of the table of traps."""
        trap = next(t for t in self.held if t.name == name)
        return Col(self.ids[name], trap.kind)

    def ask(self, rel: ir.Rel, outputs: Sequence[tuple[int, PgType]]) -> list[tuple[str | None, ...]]:
        """The rows as PostgreSQL's texts; errors as the connectors raise them."""
        names = [(i, f"c{n}") for n, (i, _) in enumerate(outputs)]
        kinds = tuple(kind for _, kind in outputs)
        batches = self._merged(rel, names, kinds) if self.connector is None else self._fetched(rel, names, kinds)
        table = pa.Table.from_batches(batches)
        columns = [column_texts(table.column(n), kind) for n, kind in enumerate(kinds)]
        return list(zip(*columns, strict=True))

    def _fetched(self, rel: ir.Rel, names: list[tuple[int, str]], kinds: tuple[PgType, ...]) -> list[pa.RecordBatch]:
        assert self.connector is not None
        target = SourceTarget(self.cap)
        text = target.finish(Emitter(target).query(rel, names))
        params = tuple(
            value if isinstance(value, Bound) else LISTS[value.index]  # type: ignore[union-attr]
            for value in text.params
        )
        query = SourceQuery(text.parts, params, kinds, small=True)
        return list(self.connector.execute(query, timeout=30, cancel=Cancel()))

    def _merged(self, rel: ir.Rel, names: list[tuple[int, str]], kinds: tuple[PgType, ...]) -> list[pa.RecordBatch]:
        assert self.duck is not None and self.loop is not None and self.table is not None
        text = Emitter(DuckdbTarget(self.cap, {id(self.leaf): 0}, len(LISTS))).query(rel, names).sql("duckdb")
        stage = Stage(1, text, kinds, (0,))

        async def run() -> list[pa.RecordBatch]:
            assert self.duck is not None and self.table is not None
            channel = await self.duck.run(stage, {0: self.table}, LISTS)
            head = await channel.head()
            return head.batches if head.complete else [*head.batches, *[batch async for batch in channel]]

        return self.loop.run_until_complete(run())

    def text(self, rel: ir.Rel, ids: Sequence[int]) -> str:
        """The relation as PostgreSQL reads it, over f0."""
        return self.oracle.text(rel, ids, {id(self.leaf): 0})

    def canon(self, rel: ir.Rel, ids: Sequence[int]) -> list[tuple[str | None, ...]]:
        """PostgreSQL's rows as texts; psycopg's error where it has one."""
        self.oracle.connection.execute(f"SET search_path = {self.name}".encode())
        return self.oracle.rows(self.text(rel, ids))

    def refused(self, rel: ir.Rel, ids: Sequence[int], most: int) -> frozenset[int]:
        """Those of the first `most` rows (their id is the first of `ids`) for which PostgreSQL has an error."""
        self.oracle.connection.execute(f"SET search_path = {self.name}".encode())
        return self.oracle.refused(self.text(rel, ids), most)


def fill_canon(oracle: Oracle, schema: str, held: list[Trap], rows: list[Any]) -> None:
    """The oracle's table f0 in a schema of the engine's name."""
    oracle.connection.execute(f"CREATE SCHEMA {schema}".encode())
    oracle.fill(f"{schema}.f0", (INT4, *(t.kind for t in held)), rows)
    oracle.connection.execute(f"CREATE UNIQUE INDEX ON {schema}.f0 (c0)".encode())


def source(name: str, connector: Connector, held: list[Trap], oracle: Oracle, table: str) -> Site:
    """A site whose facts are what the connector itself says of the table."""
    found = next(t for t in connector.tables() if t.name == table)
    cap = capability(connector.profile())
    assert cap is not None
    at = {column.name: n for n, column in enumerate(found.columns)}
    ids = {name: n for n, name in enumerate(["id", *(t.name for t in held)])}
    leaf = ir.Scan(
        SourceTable("x", "traps", tuple((c.name, c.type) for c in found.columns), table=found),
        tuple((n, at[name]) for name, n in ids.items()),
    )
    facts = {n: Fact(found.columns[at[name]].exact, found.columns[at[name]].collation) for name, n in ids.items()}
    for trap in held:
        if not trap.name.startswith("text") and trap.value != "bpchar":
            facts[ids[trap.name]] = Fact(found.columns[at[trap.name]].exact)
    return Site(name, cap, held, leaf, facts, oracle, connector, ids=ids)


POSTGRESQL = {
    **{name: PgType(name).sql for name in ("int2", "int4", "int8", "float8", "float4", "date", "timestamp",
                                           "timestamptz", "time", "bool", "uuid", "bytea", "interval", "jsonb")},
    "money": "numeric(12,2)", "rate": "numeric(10,3)", "long": "numeric(38,10)", "free": "numeric",
    "text_bytes": 'text COLLATE "C"', "text_equal": 'text COLLATE "en-US-x-icu"', "text_loose": "text COLLATE loose",
    "bpchar": 'char(5) COLLATE "C"',
}  # fmt: skip


@contextlib.contextmanager
def postgresql(server: Server, oracle: Oracle) -> Iterator[Site]:
    """A real PostgreSQL server, of another major version than the canon's."""
    held = traps.columns(POSTGRESQL)
    rows = traps.rows(held, far=True)
    server.run("DROP DATABASE IF EXISTS capability", "CREATE DATABASE capability TEMPLATE template0 ENCODING 'UTF8'")
    with server.admin("capability") as admin:
        admin.execute("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
        listed = ", ".join(f"{t.name} {POSTGRESQL[t.value]}" for t in held)
        admin.execute(f"SET TimeZone = 'UTC'; CREATE TABLE traps (id int PRIMARY KEY, {listed})")
        with admin.cursor() as cursor, cursor.copy("COPY traps FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    fill_canon(oracle, "pg", held, rows)
    connector = registry.connect("postgresql", "pg", {**server.options, "database": "capability"})
    yield source("pg", connector, held, oracle, "traps")
    connector.close()
    server.run("DROP DATABASE capability WITH (FORCE)")


MARIADB = {
    "int2": "SMALLINT", "int4": "INT", "int8": "BIGINT", "float8": "DOUBLE", "date": "DATE", "timestamp": "DATETIME(6)",
    "timestamptz": "TIMESTAMP(6)", "time": "TIME(6)", "bool": "BOOLEAN", "bytea": "LONGBLOB", "money": "DECIMAL(12,2)",
    "rate": "DECIMAL(10,3)", "long": "DECIMAL(38,10)", "text_bytes": "VARCHAR(100) COLLATE utf8mb4_nopad_bin",
    "text_loose": "VARCHAR(100) COLLATE utf8mb4_general_ci",
}  # fmt: skip


def _fits_mariadb(name: str, value: str) -> bool:
    return not (name == "timestamptz" and not "1970" <= value < "2038")


MYSQL = {**MARIADB, "text_bytes": "VARCHAR(100) COLLATE utf8mb4_0900_bin"}


@contextlib.contextmanager
def mariadb(server: Server, oracle: Oracle) -> Iterator[Site]:
    """A real server of MariaDB or MySQL."""
    declared, name = {"mariadb": (MARIADB, "maria"), "mysql": (MYSQL, "mysql")}[server.kind]
    database = f"capability_{os.getpid()}"  # MySQL's server is shared by all workers of a run
    held = traps.columns(declared)
    rows = traps.rows(held, far=False, fits=_fits_mariadb)
    server.run(f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database}")
    server.run(f"GRANT ALL ON {database}.* TO {server.user}@'%'")
    with contextlib.closing(server.admin(database)) as admin:
        listed = ", ".join(f"{t.name} {declared[t.value]} NULL" for t in held)
        cursor = admin.cursor()
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(f"CREATE TABLE traps (id INT PRIMARY KEY, {listed})")
        marks = ", ".join(["%s"] * (1 + len(held)))
        cursor.executemany(f"INSERT INTO traps VALUES ({marks})", [_mariadb_row(held, row) for row in rows])
    fill_canon(oracle, name, held, rows)
    connector = registry.connect(server.kind, name, {**server.options, "database": database})
    yield source(name, connector, held, oracle, "traps")
    connector.close()
    server.run(f"DROP DATABASE {database}")


def _mariadb_row(held: list[Trap], row: tuple[str | None, ...]) -> list[Any]:
    return [row[0], *(_mariadb_value(t.value, v) for t, v in zip(held, row[1:], strict=True))]


def _mariadb_value(name: str, value: str | None) -> Any:
    if value is None:
        return None
    if name == "bool":
        return int(value == "t")
    if name == "bytea":
        return bytes.fromhex(value[2:])
    return value.removesuffix("+00") if name == "timestamptz" else value


SQLITE = {
    "int2": "SMALLINT", "int4": "INT4", "int8": "BIGINT", "float8": "DOUBLE", "date": "DATE", "timestamp": "DATETIME",
    "timestamptz": "TIMESTAMPTZ", "time": "TIME", "bool": "BOOLEAN", "bytea": "BLOB", "money": "DECIMAL(12,2)",
    "uuid": "UUID", "text_bytes": "TEXT", "text_loose": "TEXT COLLATE NOCASE",
}  # fmt: skip


@contextlib.contextmanager
def sqlite(folder: Path, oracle: Oracle) -> Iterator[Site]:
    """A SQLite file."""
    held = traps.columns(SQLITE)
    rows = traps.rows(held, far=False)
    with contextlib.closing(sqlite3.connect(folder / "traps.db")) as connection:
        listed = ", ".join(f"{t.name} {SQLITE[t.value]}" for t in held)
        connection.execute(f"CREATE TABLE traps (id INTEGER PRIMARY KEY, {listed})")
        marks = ", ".join("?" * (1 + len(held)))
        values = [
            [int(r[0] or 0), *(_sqlite_value(t.value, v) for t, v in zip(held, r[1:], strict=True))] for r in rows
        ]
        connection.executemany(f"INSERT INTO traps VALUES ({marks})", values)
        connection.commit()
    fill_canon(oracle, "lite", held, rows)
    connector = registry.connect("sqlite", "lite", {"path": str(folder / "traps.db")})
    yield source("lite", connector, held, oracle, "traps")
    connector.close()


def _sqlite_value(name: str, value: str | None) -> Any:
    if value is None:
        return None
    if name.startswith("int"):
        return int(value)
    if name.startswith("float"):
        return float(value)
    if name == "bool":
        return int(value == "t")
    if name == "bytea":
        return bytes.fromhex(value[2:])
    return value + ":00" if name == "timestamptz" else value


DUCKDB = {
    "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "float8": "DOUBLE", "float4": "FLOAT", "date": "DATE",
    "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMPTZ", "time": "TIME", "bool": "BOOLEAN", "bytea": "BLOB",
    "money": "DECIMAL(12,2)", "rate": "DECIMAL(10,3)", "long": "DECIMAL(38,10)", "text_bytes": "VARCHAR",
    "uuid": "UUID",
}  # fmt: skip
LOOSE_DUCKDB = {"int4": "INTEGER", "text_loose": "VARCHAR COLLATE NOCASE"}


@contextlib.contextmanager
def duck(folder: Path, fetched: pa.Table, held: list[Trap], oracle: Oracle, loose: bool = False) -> Iterator[Site]:
    """A DuckDB file, loaded from Arrow as the connectors deliver it; with `loose` texts under NOCASE."""
    declared, name = (LOOSE_DUCKDB, "duck_loose") if loose else (DUCKDB, "duck")
    kept = [t for t in held if t.value in declared]
    with duckdb.connect(str(folder / f"{name}.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        listed = ", ".join(f"{t.name} {declared[t.value]}" for t in kept)
        connection.execute(f"CREATE TABLE traps (id INTEGER, {listed})")
        at = {t.name: n for n, t in enumerate(held, 1)}
        chosen = ", ".join(f"c{at[t.name]}" for t in kept)
        connection.register("f", fetched)
        connection.execute(f"INSERT INTO traps SELECT c0, {chosen} FROM f")
    listed = ", ".join(f"c{at[t.name]} AS c{n}" for n, t in enumerate(kept, 1))
    oracle.connection.execute(
        f"CREATE SCHEMA {name}; CREATE TABLE {name}.f0 AS SELECT c0, {listed} FROM pg.f0".encode()
    )
    oracle.connection.execute(f"CREATE UNIQUE INDEX ON {name}.f0 (c0)".encode())
    connector = registry.connect("duckdb", name, {"path": str(folder / f"{name}.duckdb")})
    yield source(name, connector, kept, oracle, "traps")
    connector.close()


@contextlib.contextmanager
def merge(fetched: pa.Table, held: list[Trap], oracle: Oracle) -> Iterator[Site]:
    """The merge engine over rows as the connectors deliver them."""
    known = ((0, INT4), *((n, t.kind) for n, t in enumerate(held, 1)))
    leaf = ir.Cut("x", ir.Values((), ()), known)
    facts = {
        n: Fact(exact=kind.name != "bpchar" and not (kind.name == "numeric" and kind.mod < 0)) for n, kind in known
    }
    loop = asyncio.new_event_loop()

    async def start() -> Duck:
        return Duck(MergeLimits())

    made = loop.run_until_complete(start())
    ids = {"id": 0, **{t.name: n for n, t in enumerate(held, 1)}}
    site = Site("pg", MERGE, held, leaf, facts, oracle, table=fetched, duck=made, loop=loop, ids=ids)
    site.name = "pg"
    yield site
    loop.run_until_complete(made.close())
    loop.close()


def fetch(site: Site) -> pa.Table:
    """The whole table of traps as Arrow."""
    assert site.connector is not None
    outputs = [(n, INT4 if name == "id" else site.column(name).type) for name, n in site.ids.items()]
    target = SourceTarget(site.cap)
    text = target.finish(Emitter(target).query(site.leaf, [(i, f"c{i}") for i, _ in outputs]))
    kinds = tuple(kind for _, kind in outputs if kind is not None)
    return pa.Table.from_batches(
        site.connector.execute(SourceQuery(text.parts, (), kinds), timeout=30, cancel=Cancel())
    )


__all__ = ["Call", "Error", "Lit", "Scalar", "Site", "duck", "fetch", "mariadb", "merge", "postgresql", "sqlite"]
