"""A table with skew, NULLs, ties and runs in every kind of source, and predicates over it in the algebra and in SQL."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
from hypothesis import strategies as st

from connectors.base import Connector, Table
from connectors.registry import connect
from connectors.statistics import TableStatistics
from connectors.types import PgType
from planner import ir
from planner.scalar import BOOL, Call, Col, Lit, Scalar
from tests.servers import Server
from views.catalog import SourceTable, Statistics

ROWS = 6000
KINDS = {"id": "int8", "a": "int8", "b": "int8", "d": "date", "t": "text"}
_DDL = "CREATE TABLE t (id bigint PRIMARY KEY, a bigint, b bigint NOT NULL, d date{notnull}, t text{collation})"
IDS = {name: number for number, name in enumerate(KINDS, 1)}


def data() -> list[tuple[Any, ...]]:
    """a: heavily skewed, a tenth NULL; b: a few values in runs; d: days, some years; t: words, a third alike."""
    rng = random.Random(4)
    words = ["", "a", "A", "b", "ba", "zz", "Zoë", *(f"w{n:03}" for n in range(120))]
    rows = []
    for i in range(ROWS):
        a = None if rng.random() < 0.1 else int(rng.paretovariate(0.7)) % 5000 - 3
        t = None if rng.random() < 0.05 else ("same" if rng.random() < 0.33 else rng.choice(words))
        rows.append((i, a, i // 500, date(2020, 1, 1) + timedelta(days=int(rng.triangular(0, 1200, 90))), t))
    return rows


@dataclass
class Site:
    """A source with the table, and its answers by its own SQL."""

    connector: Connector
    table: Table
    statistics: TableStatistics
    count: Callable[[str], int]

    def scan(self) -> ir.Scan:
        named = tuple((column.name, column.type) for column in self.table.columns)
        relation = SourceTable("s", "t", named, "", self.table)
        return ir.Scan(relation, tuple((IDS[name], at) for at, (name, _) in enumerate(named)))

    @property
    def known(self) -> Statistics:
        return Statistics({("s", "t"): self.statistics})


def _site(connector: Any, count: Callable[[str], int], schema: str) -> Site:
    table = next(table for table in connector.tables() if table.name == "t")
    return Site(connector, table, connector.statistics([table], {})[schema, "t"], count)


@contextmanager
def postgresql(server: Server) -> Iterator[Site]:
    """Analysed just now, with an index on (b, a)."""
    server.run("DROP DATABASE IF EXISTS estimates", "CREATE DATABASE estimates")
    options = {**server.options, "database": "estimates"}
    with psycopg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, dbname="estimates",
        autocommit=True,
    ) as own:  # fmt: skip
        own.execute(_DDL.format(notnull=" NOT NULL", collation=' COLLATE "C"'))
        with own.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
            for row in data():
                copy.write_row(row)
        own.execute("CREATE INDEX ON t (b, a)")
        own.execute("ANALYZE t")
        connector = connect("postgresql", "s", options)

        def count(query: str) -> int:
            return int(own.execute(query).fetchone()[0])  # type: ignore[index]

        try:
            yield _site(connector, count, "public")
        finally:
            connector.close()


@contextmanager
def sqlite(folder: Path) -> Iterator[Site]:
    """Never analysed."""
    own = sqlite3.connect(folder / "t.sqlite")
    own.execute(_DDL.format(notnull=" NOT NULL", collation="").replace("bigint PRIMARY", "INTEGER PRIMARY"))
    own.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", [(*r[:3], r[3].isoformat(), r[4]) for r in data()])
    own.execute("CREATE INDEX t_b_a ON t (b, a)")
    own.commit()
    connector = connect("sqlite", "s", {"path": str(folder / "t.sqlite")})
    try:
        yield _site(connector, lambda query: int(own.execute(query.replace("DATE ", "")).fetchone()[0]), "main")
    finally:
        connector.close()
        own.close()


def _fill(own: duckdb.DuckDBPyConnection) -> None:
    names = list(KINDS)
    own.register("made", pa.table({name: [row[at] for row in data()] for at, name in enumerate(names)}))
    own.execute("INSERT INTO t SELECT * FROM made")
    own.unregister("made")


@contextmanager
def parquet(folder: Path) -> Iterator[Site]:
    """Row groups of 1,000 rows or so."""
    (folder / "files").mkdir()
    own = duckdb.connect()
    own.execute(_DDL.format(notnull=" NOT NULL", collation=""))
    _fill(own)
    own.execute(f"COPY t TO '{folder / 'files' / 't.parquet'}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    connector = connect("files", "s", {"folder": str(folder / "files")})

    def count(query: str) -> int:
        return int(own.execute(query).fetchone()[0])  # type: ignore[index]

    try:
        yield _site(connector, count, "main")
    finally:
        connector.close()
        own.close()


@contextmanager
def duck(folder: Path) -> Iterator[Site]:
    """A DuckDB file."""
    path = folder / "t.duckdb"
    with duckdb.connect(str(path)) as own:
        own.execute(_DDL.format(notnull=" NOT NULL", collation=""))
        _fill(own)
    connector = connect("duckdb", "s", {"path": str(path)})
    with duckdb.connect() as other:
        other.execute(_DDL.format(notnull=" NOT NULL", collation=""))
        _fill(other)

        def count(query: str) -> int:
            return int(other.execute(query).fetchone()[0])  # type: ignore[index]

        try:
            yield _site(connector, count, "main")
        finally:
            connector.close()


Case = tuple[Scalar, str]


def column(name: str) -> Col:
    return Col(IDS[name], PgType(KINDS[name]))


def constant(name: str) -> st.SearchStrategy[tuple[Lit, str]]:
    """A value of the column's type, in it or near it, and its SQL."""
    kind = PgType(KINDS[name])
    match kind.name:
        case "date":
            days = st.integers(-30, 1300).map(lambda n: (date(2020, 1, 1) + timedelta(days=n)).isoformat())
            return days.map(lambda v: (Lit(v, kind), f"DATE '{v}'"))
        case "text":
            texts = st.sampled_from(["", "a", "A", "b", "same", "w050", "w1", "zz", "Zoë", "nowhere", "~"])
            return texts.map(lambda v: (Lit(v, kind), f"'{v}'"))
        case _:
            numbers = st.one_of(st.integers(-5, 30), st.integers(-10, 6100))
            return numbers.map(lambda v: (Lit(str(v), kind), str(v)))


def _compared(drawn: tuple[str, str, tuple[Lit, str]]) -> Case:
    name, op, (literal, text) = drawn
    return Call(op, (column(name), literal), BOOL), f"{name} {op} {text}"


def _listed(drawn: tuple[str, str, list[tuple[Lit, str]]]) -> Case:
    name, op, members = drawn
    sql = f"{name} {'NOT IN' if op == 'notin' else 'IN'} ({', '.join(text for _, text in members)})"
    return Call(op, (column(name), *(literal for literal, _ in members)), BOOL), sql


_NAMES = st.sampled_from(list(KINDS))
_COMPARISONS = _NAMES.flatmap(
    lambda n: st.tuples(st.just(n), st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), constant(n))
).map(_compared)
_LISTS = _NAMES.flatmap(
    lambda n: st.tuples(st.just(n), st.sampled_from(["in", "notin"]), st.lists(constant(n), min_size=1, max_size=5))
).map(_listed)
_NULLS = st.tuples(_NAMES, st.sampled_from(["is null", "is not null"])).map(
    lambda d: (Call(d[1], (column(d[0]),), BOOL), f"{d[0]} {d[1].upper()}")
)
_LEAVES = st.one_of(_COMPARISONS, _COMPARISONS, _LISTS, _NULLS)


def _joined(drawn: tuple[str, list[Case]]) -> Case:
    op, cases = drawn
    return Call(op, tuple(p for p, _ in cases), BOOL), f" {op.upper()} ".join(f"({text})" for _, text in cases)


PREDICATES: st.SearchStrategy[Case] = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)).map(_joined),
        inner.map(lambda case: (Call("not", (case[0],), BOOL), f"NOT ({case[1]})")),
    ),
    max_leaves=4,
)
