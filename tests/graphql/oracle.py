"""A catalog of small views whose data lives in one real PostgreSQL, and an engine that asks it directly."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
from psycopg.types.string import TextLoader

from connectors.base import Bound, Cancel
from connectors.errors import QueryError
from connectors.types import PgType, bpchar, numeric, varchar
from federation.result import Part, Result
from federation.session import Session
from planner.plan import Plan
from planner.statement import Statement
from views.catalog import Catalog, Link, Source, SourceTable, View

INT, BIG, TEXT = PgType("int4"), PgType("int8"), PgType("text")

CUSTOMERS = (
    ("customer_id", INT),
    ("name", TEXT),
    ("code", bpchar(4)),
    ("alias", varchar(20)),
    ("balance", numeric(12, 2)),
    ("score", PgType("float8")),
    ("ratio", PgType("float4")),
    ("big", BIG),
    ("small", PgType("int2")),
    ("vip", PgType("bool")),
    ("born", PgType("date")),
    ("seen", PgType("timestamptz")),
    ("local_time", PgType("timestamp")),
    ("opens", PgType("time")),
    ("token", PgType("uuid")),
    ("blob", PgType("bytea")),
    ("exact", PgType("numeric")),
    ("span", PgType("interval")),
)
ORDERS = (
    ("order_id", INT),
    ("customer_id", INT),
    ("total", numeric(10, 2)),
    ("status", TEXT),
    ("placed", PgType("date")),
)
LINES = (("order_id", INT), ("line", INT), ("sku", TEXT), ("tags", PgType("_text")), ("extra", PgType("jsonb")))

DDL = """
create schema crm; create schema shop;
create table crm.customers (customer_id int, name text, code char(4), alias varchar(20), balance numeric(12,2),
  score float8, ratio float4, big int8, small int2, vip bool, born date, seen timestamptz, local_time timestamp,
  opens time, token uuid, blob bytea, exact numeric, span interval);
create table shop.orders (order_id int, customer_id int, total numeric(10,2), status text, placed date);
create table shop.lines (order_id int, line int, sku text, tags text[], extra jsonb);
create table shop.empty_one (order_id int);
"""

NAMES = ("Ada", "Bob", "bob", "Çelik", "D'Arcy", 'quo"te', "back\\slash", "", "trailing ", "new\nline", "𝔘nicode", None)


def customers(count: int) -> list[tuple[Any, ...]]:
    """Deterministic rows with nulls, duplicates and the values that encoders get wrong."""
    made = []
    for i in range(count):
        null = i % 7 == 6
        made.append(
            (
                i,
                NAMES[i % len(NAMES)],
                None if null else "ab"[: i % 3],
                None if null else f"a{i % 4} ",
                None if null else Decimal(i * 37 % 1000 - 300).scaleb(-2),
                None if null else (i % 9 - 4) * 1.1 * 10.0 ** (i % 30 - 8),
                None if null else (i % 5) / 3,
                None if null else (2**62 - i) * (-1) ** i,
                None if null else i % 3 - 1,
                None if null else i % 2 == 0,
                None if null else dt.date(1970, 1, 1) + dt.timedelta(days=i * 300),
                None
                if null
                else dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=i, microseconds=i % 3 * 500),
                None if null else dt.datetime(2024, 3, 31, 2, 30) + dt.timedelta(seconds=i, microseconds=i % 2 * 10),
                None if null else dt.time(i % 24, i % 60, 0, i % 2 * 120_000),
                None if null else f"00000000-0000-4000-8000-{i:012}",
                None if null else bytes([i % 256, 0, 255]),
                None if null else Decimal(f"{i}.{'0' * (i % 12)}1"),
                None if null else dt.timedelta(days=i, seconds=i),
            )
        )
    return made


def orders(count: int) -> list[tuple[Any, ...]]:
    """Five orders a customer for the first customers, some of nobody."""
    statuses = ("open", "paid", "Paid", None)
    return [
        (
            i,
            None if i % 11 == 10 else i // 5,
            Decimal(i * 13 % 997).scaleb(-2),
            statuses[i % 4],
            dt.date(2024, 1, 1 + i % 28),
        )
        for i in range(count)
    ]


def lines(count: int) -> list[tuple[Any, ...]]:
    return [(i // 2, i % 2, f"sku{i % 6}", [f"t{i}", "x,y"] if i % 3 else None, {"n": i}) for i in range(count)]


def catalog() -> Catalog:
    """The views over that data; `version` "v1"."""
    source = Source("pg", "postgresql", None)
    views = [
        View(
            "crm",
            "customers",
            CUSTOMERS,
            "One row per customer.",
            key_columns=("customer_id",),
            links=(Link("orders", ("shop", "orders"), (("customer_id", "customer_id"),), True),),
            column_comments={"name": "Full name."},
        ),
        View(
            "shop",
            "orders",
            ORDERS,
            key_columns=("order_id",),
            links=(
                Link("customer", ("crm", "customers"), (("customer_id", "customer_id"),), False),
                Link("lines", ("shop", "lines"), (("order_id", "order_id"),), True),
            ),
        ),
    ]
    table = SourceTable("shop", "lines", LINES)
    return Catalog({"pg": source}, {table.key: table}, {v.key: v for v in views}, "v1")


def load(connection: psycopg.Connection[Any], people: int = 40, bought: int = 120) -> None:
    """Make the tables and fill them."""
    connection.execute(DDL)
    cursor = connection.cursor()
    for table, data in (
        ("crm.customers", customers(people)),
        ("shop.orders", orders(bought)),
        ("shop.lines", lines(bought)),
    ):
        marks = ", ".join(["%s"] * len(data[0]))
        rows = [tuple(psycopg.types.json.Jsonb(v) if isinstance(v, dict) else v for v in row) for row in data]
        cursor.executemany(f"insert into {table} values ({marks})", rows)


@dataclass(frozen=True)
class Prepared:
    sql: str
    statement: Statement
    plan: Plan


@dataclass
class PgEngine:
    """`federation.engine.Engine`'s prepare, run and query over one PostgreSQL; `log` holds what was run."""

    dsn: str
    catalog: Catalog
    streams: bool = False
    log: list[str] = field(default_factory=list)
    _connection: psycopg.Connection[Any] | None = None

    async def prepare(self, sql: str, session: Session) -> Prepared:
        """Described by PostgreSQL itself."""
        cursor = psycopg.RawCursor(self._ready(session))
        try:
            cursor.execute("deallocate all")
            cursor.execute("prepare probe as " + sql)
        except psycopg.Error as error:
            raise QueryError(str(error), sqlstate=error.sqlstate) from None
        row = cursor.execute(
            "select result_types::text[], parameter_types::text[] from pg_prepared_statements where name = 'probe'"
        ).fetchone()
        columns = tuple((f"c{i}", _type(name)) for i, name in enumerate(row[0]))
        params = tuple(_type(name) for name in row[1])
        return Prepared(
            sql, Statement(sql, sql, columns, params), Plan((), columns, residual=None if self.streams else sql)
        )

    def _ready(self, session: Session) -> psycopg.Connection[Any]:
        if self._connection is None:
            self._connection = psycopg.connect(self.dsn, autocommit=True, prepare_threshold=None)
            for name in ("json", "jsonb", "numeric", "uuid", "interval"):
                self._connection.adapters.register_loader(name, TextLoader)
        for name, value in session.settings.items():
            self._connection.execute(f"set {name} to '{value}'")
        return self._connection

    async def run(self, prepared: Prepared, params: Sequence[Bound], session: Session, cancel: Cancel) -> Result:
        """Everything at once, given out in small batches."""
        cancel.check()
        self.log.append(prepared.sql)
        cursor = psycopg.RawCursor(self._ready(session))
        try:
            rows = cursor.execute(prepared.sql, [p.value for p in params]).fetchall()
        except psycopg.Error as error:
            raise QueryError(str(error), sqlstate=error.sqlstate) from None
        parts = [Part(0, "pg", prepared.sql, len(rows), cache="miss", read_at=time.time() - 1, ttl=15.0)]
        columns = prepared.statement.columns
        return Result(columns, _batches(columns, rows), prepared.plan, parts=parts)

    async def query(self, sql: str, session: Session) -> Result:
        """Prepare and run."""
        return await self.run(await self.prepare(sql, session), (), session, Cancel())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


_SHORT = {
    "integer": "int4",
    "bigint": "int8",
    "smallint": "int2",
    "boolean": "bool",
    "real": "float4",
    "double precision": "float8",
    "character": "bpchar",
    "character varying": "varchar",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time without time zone": "time",
}


def _type(name: str) -> PgType:
    return PgType("_" + _SHORT.get(name[:-2], name[:-2]) if name.endswith("[]") else _SHORT.get(name, name))


async def _batches(
    columns: tuple[tuple[str, PgType], ...], rows: list[tuple[Any, ...]]
) -> AsyncIterator[pa.RecordBatch]:
    for start in range(0, max(len(rows), 1), 7):
        part = rows[start : start + 7]
        arrays = [pa.array([row[i] for row in part], kind.arrow) for i, (_, kind) in enumerate(columns)]
        yield pa.RecordBatch.from_arrays(arrays, names=[name for name, _ in columns])
