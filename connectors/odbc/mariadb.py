"""MariaDB and MySQL behind ODBC: rows as one text that the server makes, and the native connector's readers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from connectors import arrow
from connectors.base import Profile, SourceQuery, Table
from connectors.errors import Error, LimitExceeded, SourceError
from connectors.link import Link
from connectors.mariadb import catalog as mariadb_catalog
from connectors.mariadb import explain as mariadb_explain
from connectors.mariadb import link as mariadb_link
from connectors.mariadb import statistics as mariadb_statistics
from connectors.mariadb.drivers import UNREADABLE, limiting, meaning, prologue
from connectors.mariadb.sql import derived, inlined
from connectors.odbc.engine import CANARY, Engine, Facts, Given, Where
from connectors.odbc.rows import cells, text, unhexed
from connectors.reading import Reading
from connectors.statistics import Key, TableStatistics
from connectors.tls import Tls
from connectors.types import PgType

# kinds whose text can hold neither a comma, nor a quote, nor the end of a line
_BARE = frozenset(
    ("bool", "int2", "int4", "int8", "oid", "float4", "float8", "numeric", "date", "time", "timestamp", "timestamptz")
)
_CODE = re.compile(r"\((\d+)\) \(SQL")


class Mariadb(Engine):
    """The engine of which the capability table is proven; its session is that of the native connector."""

    name, title, proven = "mariadb", "MariaDB", True
    dbms = ("MariaDB",)
    drivers = ("maria", "maodbc")
    numbered = "SELECT CONNECTION_ID()"
    answers: ClassVar[str] = "mariadb"  # the engine whose capability table and timeouts hold

    def keywords(self, where: Where) -> dict[str, Any]:
        return {
            "SERVER": where.server,
            "PORT": where.port,
            "DATABASE": where.database,
            "CONN_TIMEOUT": where.seconds,
            "AUTO_RECONNECT": 0,
            # releases from 3.2 on stream with both; earlier ones hold an answer whole
            "FORWARDONLY": 1,
            "STREAMRS": 1,
            **_encryption(where.tls),
        }

    def holds(self, facts: Facts) -> bool:
        words = facts.driver_version.split(".")
        return "maodbc" in facts.driver and tuple(int(word) for word in words[:2] if word.isdigit()) < (3, 2)

    def hold(self, rows: int) -> tuple[str, ...]:
        return (f"SET SESSION sql_select_limit = {rows}",)

    def kill(self, number: str) -> str:
        return f"KILL QUERY {int(number)}"  # the driver's cancel frees rows that another thread may be reading

    def canary(self) -> str:
        return f"SELECT CONVERT(X'{CANARY.encode().hex()}' USING utf8mb4)"

    def prologue(self, facts: Facts) -> tuple[str, ...]:
        return prologue(self.answers, facts.numbers)

    def limit(self, milliseconds: int, facts: Facts) -> str | None:
        del facts
        return limiting(self.answers, milliseconds)

    def statement(self, query: SourceQuery, facts: Facts) -> tuple[str, tuple[Any, ...]]:
        del facts
        cells = ", ',', ".join(_cell(f"c{at}", kind) for at, kind in enumerate(query.columns))
        return derived(inlined(query, exact=False), [f"CONCAT({cells}, '') AS r"], len(query.columns)), ()

    def batch(self, rows: Sequence[Any], query: SourceQuery, description: Any) -> pa.RecordBatch:
        del description
        pairs = zip(cells([row[0] for row in rows], len(query.columns)), query.columns, strict=True)
        columns = [_raw(values, kind) for values, kind in pairs]
        return arrow.assembled(query, columns, lambda at, values: _decode(values, query.columns[at], f"c{at}"))

    def profile(self, given: Given) -> Profile:
        return mariadb_catalog.profile(partial(_told, given), self.answers, given.facts.numbers)

    def tables(self, given: Given, schemas: tuple[str, ...], tables: tuple[str, ...]) -> tuple[Table, ...]:
        return mariadb_catalog.tables(given.source, partial(_told, given), schemas or given.schemas, tables)

    def statistics(
        self, given: Given, tables: Sequence[Table], known: Mapping[Key, TableStatistics]
    ) -> dict[Key, TableStatistics]:
        del known
        return mariadb_statistics.read(partial(_told, given), partial(_tried, given), tables)

    def explain(self, given: Given, query: SourceQuery) -> Reading:
        said = inlined(query)
        return mariadb_explain.read(_told(given, mariadb_explain.question(said, self.answers)), said, self.answers)

    def link(self, given: Given, tls: Tls | None) -> Link | None:
        return mariadb_link.link(partial(_told, given), tls)

    def error(self, source: str, state: str, code: int, message: str, late: LimitExceeded) -> Error:
        return meaning(source, code, message, late, lost=state.startswith("08"))


class Mysql(Mariadb):
    """MySQL behind either driver."""

    name, title, proven = "mysql", "MySQL", False
    dbms = ("MySQL",)
    drivers = ("mysql", "myodbc")
    answers = "mysql"


def _encryption(tls: Tls | None) -> dict[str, Any]:
    """The driver's keywords; it cannot check an authority without the name, nor encrypt only where the server can."""
    if tls is None or tls.mode in ("disable", "prefer"):
        return {}
    verified = {"SSLVERIFY": 1, "SSLCA": tls.authorities} if tls.verifies else {}
    return {"FORCETLS": 1, **verified, "SSLCERT": tls.certificate, "SSLKEY": tls.key}


def _cell(name: str, kind: PgType) -> str:
    """One cell of a line of CSV. A result longer than max_allowed_packet is NULL to the server, and so then is the
    whole line: no part of it may turn such a NULL into an empty text."""
    if kind.name == "bytea":
        made = f"CONCAT('x', HEX(CAST({name} AS BINARY)))"
    elif kind.name == "bool":
        made = f"({name} + 0)"
    elif kind.name == "float4":  # the server prints but six digits of a FLOAT
        made = f"({name} + 0e0)"
    elif kind.name in _BARE:
        made = name
    else:
        text = f"CONVERT({name} USING utf8mb4)"
        whole = f"""CONCAT('"t', REPLACE({text}, '"', '""'), '"')"""
        made = (
            f"IF(INSTR(CAST({text} AS BINARY), X'00'), CONCAT('z', HEX({text})), {whole})"  # drivers would cut it there
        )
    return f"CASE WHEN {name} IS NULL THEN '' ELSE {made} END"


def _raw(values: pa.Array, kind: PgType) -> pa.Array:
    """The bytes of the value in each cell."""
    if kind.name == "bytea":
        return unhexed(values)
    if kind.name in _BARE:
        return values
    if pc.any(pc.starts_with(values, "z")).as_py():
        pieces = values.to_pylist()
        found = [one and (bytes.fromhex(str(one[1:], "ascii")) if one[:1] == b"z" else one[1:]) for one in pieces]
        return pa.array(found, pa.binary())
    return pc.utf8_slice_codeunits(values.view(pa.string()), 1).view(pa.binary())


def _decode(values: pa.Array, kind: PgType, name: str) -> pa.Array:
    return values if kind.name == "bytea" else arrow.conform(text(values, name, kind), kind, name)


def _told(given: Given, question: str) -> list[tuple[str | None, ...]]:
    """Rows as the wire protocol's texts, which the native connector's readers know."""
    return [tuple(map(_as_text, row)) for row in given.ask(question)]


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _tried(given: Given, question: str) -> list[tuple[str | None, ...]]:
    """As `_told`; nothing where the server has no such table or does not let us read it."""
    try:
        return _told(given, question)
    except SourceError as error:
        if (error.detail or "").removeprefix("error ") in UNREADABLE:
            return []
        raise
