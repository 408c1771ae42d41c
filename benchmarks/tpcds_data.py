"""TPC-DS's tables spread over PostgreSQL, MariaDB, SQLite and Parquet, and once more all in one PostgreSQL."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.kept import alone, kept
from benchmarks.tools import Peer, Tools
from tests.servers import Server, own

KEYS = {
    "call_center": "cc_call_center_sk", "catalog_page": "cp_catalog_page_sk",
    "catalog_returns": "cr_item_sk, cr_order_number", "catalog_sales": "cs_item_sk, cs_order_number",
    "customer": "c_customer_sk", "customer_address": "ca_address_sk", "customer_demographics": "cd_demo_sk",
    "date_dim": "d_date_sk", "household_demographics": "hd_demo_sk", "income_band": "ib_income_band_sk",
    "inventory": "inv_date_sk, inv_item_sk, inv_warehouse_sk", "item": "i_item_sk", "promotion": "p_promo_sk",
    "reason": "r_reason_sk", "ship_mode": "sm_ship_mode_sk", "store": "s_store_sk",
    "store_returns": "sr_item_sk, sr_ticket_number", "store_sales": "ss_item_sk, ss_ticket_number",
    "time_dim": "t_time_sk", "warehouse": "w_warehouse_sk", "web_page": "wp_web_page_sk",
    "web_returns": "wr_item_sk, wr_order_number", "web_sales": "ws_item_sk, ws_order_number",
    "web_site": "web_site_sk",
}  # fmt: skip
MARIADB = ("customer", "customer_address", "item", "catalog_page", "call_center", "web_site", "web_page")
SQLITE = ("time_dim", "customer_demographics", "household_demographics", "income_band", "ship_mode", "reason")
PARQUET = ("date_dim", "store", "warehouse", "promotion")
POSTGRESQL = tuple(name for name in KEYS if name not in (*MARIADB, *SQLITE, *PARQUET))
INDEXES = {
    "store_sales": ("ss_sold_date_sk", "ss_customer_sk"), "catalog_sales": ("cs_sold_date_sk", "cs_bill_customer_sk"),
    "web_sales": ("ws_sold_date_sk", "ws_bill_customer_sk"), "store_returns": ("sr_returned_date_sk",),
    "catalog_returns": ("cr_returned_date_sk",), "web_returns": ("wr_returned_date_sk",),
    "customer": ("c_current_addr_sk",),
}  # fmt: skip
ONE = "one"
VERSION = "1"
NULL = "NULL"  # MariaDB reads an unquoted one as NULL


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the tables are. `sources` are vdw's, by name."""

    postgresql: Server
    mariadb: Server
    folder: Path

    @property
    def sources(self) -> Mapping[str, Mapping[str, Any]]:
        """As vdw's source files say it."""
        return {
            "pg": {"kind": "postgresql", "connection": self.postgresql.options},
            "maria": {"kind": "mariadb", "connection": self.mariadb.options},
            "lite": {"kind": "sqlite", "connection": {"path": str(self.folder / "lite.db")}},
            "pq": {"kind": "files", "connection": {"folder": str(self.folder / "parquet")}},
        }


@contextlib.contextmanager
def placed(cache: Path, scale: float, tools: Tools) -> Iterator[Placed]:
    """TPC-DS at a scale, loaded into the cache folder when it is not there."""
    folder = cache / f"tpcds-{scale:g}"
    with alone(folder), contextlib.ExitStack() as stack:
        data = _Data(folder, scale, tools, stack)
        postgresql = stack.enter_context(kept("postgresql", folder / "postgresql", data.postgresql, VERSION))
        mariadb = stack.enter_context(kept("mariadb", folder / "mariadb", data.mariadb, VERSION))
        shutil.rmtree(folder / "files", ignore_errors=True)
        yield Placed(postgresql, mariadb, folder)


class _Data:
    """The generated tables, made when they are first needed."""

    def __init__(self, folder: Path, scale: float, tools: Tools, stack: contextlib.ExitStack) -> None:
        self._folder, self._scale, self._tools, self._stack = folder, scale, tools, stack
        self._peer: Peer | None = None
        self._columns: dict[str, list[tuple[str, str]]] = {}

    def postgresql(self, server: Server) -> None:
        """PostgreSQL's tables, the database that has all, and the files of the embedded sources."""
        peer = self._generated()
        server.run(f"CREATE DATABASE {ONE}")
        for database, tables in ((server.database, POSTGRESQL), (ONE, tuple(KEYS))):
            with server.admin(database) as connection:
                for table in tables:
                    connection.execute(self._create(table))
                    copying = f"COPY {table} FROM STDIN (FORMAT csv, HEADER, NULL '{NULL}')"
                    with connection.cursor().copy(copying) as copy:
                        copy.write(self._file(table).read_bytes())
                    for columns in INDEXES.get(table, ()):
                        connection.execute(f"CREATE INDEX ON {table} ({columns})")
                connection.execute("VACUUM ANALYZE")
        self._embedded(peer)

    def mariadb(self, server: Server) -> None:
        """MariaDB's tables."""
        self._generated()
        for table in MARIADB:
            indexes = INDEXES.get(table, ())
            server.run(
                self._create(table),
                f"""LOAD DATA INFILE '{self._file(table)}' INTO TABLE {table} CHARACTER SET utf8mb4
                    FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '' IGNORE 1 LINES""",
                *(f"CREATE INDEX {table}_{i} ON {table} ({columns})" for i, columns in enumerate(indexes)),
                f"ANALYZE TABLE {table}",
                database=server.database,
            )

    def _embedded(self, peer: Peer) -> None:
        parquet, lite = self._folder / "parquet", self._folder / "lite.db"
        shutil.rmtree(parquet, ignore_errors=True)
        parquet.mkdir()
        lite.unlink(missing_ok=True)
        peer.ask(do="set", sql=[f"COPY {table} TO '{parquet}/{table}.parquet'" for table in PARQUET])
        with contextlib.closing(sqlite3.connect(lite)) as connection, connection:
            for table in SQLITE:
                connection.execute(self._create(table))
                rows = peer.ask(do="rows", sql=f"FROM {table}")["rows"]
                places = ", ".join("?" * len(self._columns[table]))
                connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
            connection.execute("ANALYZE")

    def _generated(self) -> Peer:
        if self._peer is None:
            self._peer = self._stack.enter_context(contextlib.closing(self._tools.peer()))
            files = self._folder / "files"
            files.mkdir(exist_ok=True)
            own(files, "mariadb")
            self._peer.ask(do="set", sql=[f"CALL dsdgen(sf={self._scale:g})"])
            for table in KEYS:
                described = self._peer.ask(do="rows", sql=f"DESCRIBE {table}")["rows"]
                self._columns[table] = [(row[0], row[1]) for row in described]
                self._peer.ask(do="set", sql=[f"COPY {table} TO '{self._file(table)}' (HEADER, NULLSTR '{NULL}')"])
        return self._peer

    def _file(self, table: str) -> Path:
        return self._folder / "files" / f"{table}.csv"

    def _create(self, table: str) -> str:
        """The same at each server, as the source's types are the answer's."""
        text = "text" if table in (*SQLITE, *PARQUET) else "varchar(200)"
        whole = "bigint" if table in SQLITE else "integer"  # SQLite knows one integer
        types = {"VARCHAR": text, "INTEGER": whole}
        columns = ", ".join(f"{name} {types.get(kind, kind)}" for name, kind in self._columns[table])
        return f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({KEYS[table]}))"
