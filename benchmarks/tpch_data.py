"""TPC-H's tables where the benchmark has them: three sources, and once more all in one PostgreSQL."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.kept import alone, kept
from benchmarks.tools import Tools
from tests.servers import Server

TABLES = {
    "customer": """c_custkey integer PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL,
        c_nationkey {nation} NOT NULL, c_phone varchar(15) NOT NULL, c_acctbal decimal(15,2) NOT NULL,
        c_mktsegment varchar(10) NOT NULL, c_comment varchar(117) NOT NULL""",
    "orders": """o_orderkey bigint PRIMARY KEY, o_custkey integer NOT NULL, o_orderstatus varchar(1) NOT NULL,
        o_totalprice decimal(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority varchar(15) NOT NULL,
        o_clerk varchar(15) NOT NULL, o_shippriority integer NOT NULL, o_comment varchar(79) NOT NULL""",
    "lineitem": """l_orderkey bigint NOT NULL, l_partkey integer NOT NULL, l_suppkey integer NOT NULL,
        l_linenumber integer NOT NULL, l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL,
        l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL, l_returnflag varchar(1) NOT NULL,
        l_linestatus varchar(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL,
        l_receiptdate date NOT NULL, l_shipinstruct varchar(25) NOT NULL, l_shipmode varchar(10) NOT NULL,
        l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber)""",
    "part": """p_partkey integer PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr varchar(25) NOT NULL,
        p_brand varchar(10) NOT NULL, p_type varchar(25) NOT NULL, p_size integer NOT NULL,
        p_container varchar(10) NOT NULL, p_retailprice decimal(15,2) NOT NULL, p_comment varchar(23) NOT NULL""",
    "supplier": """s_suppkey integer PRIMARY KEY, s_name varchar(25) NOT NULL, s_address varchar(40) NOT NULL,
        s_nationkey {nation} NOT NULL, s_phone varchar(15) NOT NULL, s_acctbal decimal(15,2) NOT NULL,
        s_comment varchar(101) NOT NULL""",
    "partsupp": """ps_partkey integer NOT NULL, ps_suppkey integer NOT NULL, ps_availqty integer NOT NULL,
        ps_supplycost decimal(15,2) NOT NULL, ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey)""",
    "nation": """n_nationkey {nation} PRIMARY KEY, n_name text NOT NULL, n_regionkey {nation} NOT NULL,
        n_comment text""",
    "region": "r_regionkey {nation} PRIMARY KEY, r_name text NOT NULL, r_comment text",
}
INDEXES = {
    "customer": ("c_nationkey",),
    "orders": ("o_custkey", "o_orderdate"),
    "lineitem": ("l_partkey, l_suppkey", "l_suppkey", "l_shipdate"),
    "supplier": ("s_nationkey",),
    "partsupp": ("ps_suppkey",),
}
REFERENCES = {
    "orders": {"o_custkey": "customer (c_custkey)"},
    "lineitem": {"l_orderkey": "orders (o_orderkey)", "l_partkey, l_suppkey": "partsupp (ps_partkey, ps_suppkey)"},
    "partsupp": {"ps_partkey": "part (p_partkey)", "ps_suppkey": "supplier (s_suppkey)"},
    "customer": {"c_nationkey": "nation (n_nationkey)"},
    "supplier": {"s_nationkey": "nation (n_nationkey)"},
    "nation": {"n_regionkey": "region (r_regionkey)"},
}
POSTGRESQL = ("customer", "orders", "lineitem")
MARIADB = ("part", "supplier", "partsupp")
PARQUET = ("nation", "region")
ONE = "one"  # the database that holds all eight
VERSION = "2"  # of all the above: older servers are loaded again
WIDE = "bigint"  # as the Parquet files have the keys of nations


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the eight tables are. `sources` are vdw's, by name."""

    postgresql: Server
    mariadb: Server
    parquet: Path

    @property
    def sources(self) -> Mapping[str, Mapping[str, Any]]:
        """As vdw's source files say it."""
        return {
            "pg": {"kind": "postgresql", "connection": self.postgresql.options},
            "maria": {"kind": "mariadb", "connection": self.mariadb.options},
            "pq": {"kind": "files", "connection": {"folder": str(self.parquet)}},
        }


@contextlib.contextmanager
def placed(cache: Path, scale: float, tools: Tools) -> Iterator[Placed]:
    """TPC-H at a scale, loaded into the cache folder when it is not there."""
    folder = cache / f"tpch-{scale:g}"
    with alone(folder), contextlib.ExitStack() as stack:
        files = folder / "files"
        parquet = folder / "parquet"

        def filled(server: Server) -> None:
            if not files.exists():
                tools.generate(scale, files, "csv", tuple(TABLES))
            load = _load_postgresql if server.kind == "postgresql" else _load_mariadb
            load(server, files)

        if not parquet.exists():
            tools.generate(scale, parquet, "parquet", PARQUET)
        postgresql = stack.enter_context(kept("postgresql", folder / "postgresql", filled, VERSION))
        mariadb = stack.enter_context(kept("mariadb", folder / "mariadb", filled, VERSION))
        shutil.rmtree(files, ignore_errors=True)
        yield Placed(postgresql, mariadb, parquet)


def _load_postgresql(server: Server, files: Path) -> None:
    server.run(f"CREATE DATABASE {ONE}")
    server.run("CREATE EXTENSION pg_stat_statements", database=ONE)
    _fill(server.admin("shop"), POSTGRESQL, files)
    _fill(server.admin(ONE), tuple(TABLES), files)


def _fill(connection: psycopg.Connection[Any], tables: Sequence[str], files: Path) -> None:
    with connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table} ({TABLES[table].format(nation=WIDE)})".encode())
            copying = f"COPY {table} FROM STDIN (FORMAT csv, HEADER)".encode()
            with (files / f"{table}.csv").open("rb") as file, connection.cursor().copy(copying) as copy:
                while block := file.read(1 << 20):
                    copy.write(block)
        for statement in _keys(tables):
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")


def _keys(tables: Sequence[str]) -> Iterator[str]:
    """Indexes, and those foreign keys whose both ends are among the tables."""
    for table in tables:
        for columns in INDEXES.get(table, ()):
            yield f"CREATE INDEX ON {table} ({columns})"
    for table in tables:
        for columns, target in REFERENCES.get(table, {}).items():
            if target.partition(" ")[0] in tables:
                yield f"ALTER TABLE {table} ADD FOREIGN KEY ({columns}) REFERENCES {target}"


def _load_mariadb(server: Server, files: Path) -> None:
    for table in MARIADB:
        file = str(files / f"{table}.csv").replace("'", "''")
        server.run(
            f"CREATE TABLE {table} ({TABLES[table].format(nation=WIDE)})",
            f"""LOAD DATA INFILE '{file}' INTO TABLE {table} CHARACTER SET utf8mb4
                FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '' IGNORE 1 LINES""",
            *(f"CREATE INDEX {table}_{i} ON {table} ({columns})" for i, columns in enumerate(INDEXES.get(table, ()))),
            database=server.database,
        )
    for table in MARIADB:
        for columns, target in REFERENCES.get(table, {}).items():
            if target.partition(" ")[0] in MARIADB:
                adding = f"ALTER TABLE {table} ADD FOREIGN KEY ({columns}) REFERENCES {target}"
                server.run(adding, database=server.database)
        server.run(f"ANALYZE TABLE {table} PERSISTENT FOR ALL", database=server.database)
