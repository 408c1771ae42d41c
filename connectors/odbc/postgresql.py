"""PostgreSQL behind ODBC (psqlODBC): rows by its own text of a record, and the native connector's readers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors import arrow
from connectors.base import Bound, Profile, SourceQuery, Table
from connectors.errors import Error, LimitExceeded
from connectors.link import Link, timed
from connectors.odbc.engine import CANARY, Engine, Facts, Given, Where
from connectors.odbc.rows import cells, text
from connectors.postgresql import catalog as postgresql_catalog
from connectors.postgresql import explain as postgresql_explain
from connectors.postgresql import link as postgresql_link
from connectors.postgresql import statistics as postgresql_statistics
from connectors.postgresql.drivers import meaning, prologue
from connectors.postgresql.sql import inlined, literal
from connectors.postgresql.text import days, instants
from connectors.reading import Reading
from connectors.statistics import Key, TableStatistics
from connectors.tls import Tls
from connectors.types import PgType

_FETCH = 1000  # rows that the driver holds at once
# a network that swallows what is sent is noticed within a minute
_LIBPQ = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3", "tcp_user_timeout": "60000"}
_SETTINGS = {"application_name": "vdw", "cursor_tuple_fraction": "1"}
_PARAMETER = re.compile(r"\$(\d+)")
_TEXTS = PgType("_text")
_OIDS = PgType("_oid")
_PLAIN = re.compile(r"[A-Za-z0-9 .,:;+_@/()=<>%*&^~#!\[\]{}\"-]*")


class Postgresql(Engine):
    """The engine of which the capability table is proven; its session is that of the native connector."""

    name, title, proven = "postgresql", "PostgreSQL", True
    dbms = ("PostgreSQL",)
    drivers = ("postgres", "psqlodbc")

    def keywords(self, where: Where) -> dict[str, Any]:
        tls, libpq = where.tls, dict(_LIBPQ)
        if tls is not None and tls.mode not in ("disable", "prefer"):
            libpq |= {"sslrootcert": tls.authorities} if tls.verifies else {}
            libpq |= {"sslcert": tls.certificate, "sslkey": tls.key} if tls.certificate and tls.key else {}
        return {
            "SERVER": where.server,
            "PORT": where.port,
            "DATABASE": where.database,
            "SSLMODE": None if tls is None else tls.mode,
            # rows come in portions, not all at once
            "UseDeclareFetch": 1,
            "Fetch": _FETCH,
            "UseServerSidePrepare": 0,
            "MaxLongVarcharSize": 8190,
            "pqopt": " ".join(f"{key}={_conninfo(value)}" for key, value in libpq.items()),
        }

    def canary(self) -> str:
        return f"SELECT {quoted(CANARY)}::text"

    def prologue(self, facts: Facts) -> tuple[str, ...]:
        del facts
        # cursors, by which the driver reads, are planned for all of their rows
        return (f"SELECT q::text FROM ({prologue(_SETTINGS)}) AS q",)  # noqa: S608 -- our own text

    def limit(self, milliseconds: int, facts: Facts) -> str | None:
        del facts
        return f"SET statement_timeout = {milliseconds}"

    def statement(self, query: SourceQuery, facts: Facts) -> tuple[str, tuple[Any, ...]]:
        del facts
        names = ", ".join(f"c{i}" for i in range(len(query.columns)))
        said = inlined(query, None, quoted)
        return f"SELECT q::text AS r FROM ({said}) AS q({names})", ()  # noqa: S608

    def batch(self, rows: Sequence[Any], query: SourceQuery, description: Any) -> pa.RecordBatch:
        del description
        columns = cells([row[0][1:-1] for row in rows], len(query.columns))
        return arrow.assembled(query, columns, lambda at, values: _decode(values, query.columns[at], f"c{at}"))

    def profile(self, given: Given) -> Profile:
        found = postgresql_catalog.profile(_asking(given))
        return replace(found, facts={**found.facts, "question_marks": True})  # parameters, to every driver of ODBC

    def tables(self, given: Given, schemas: tuple[str, ...], tables: tuple[str, ...]) -> tuple[Table, ...]:
        ask = _asking(given)
        facts = postgresql_catalog.profile(ask).facts
        return postgresql_catalog.tables(given.source, ask, facts, schemas, tables)

    def statistics(
        self, given: Given, tables: Sequence[Table], known: Mapping[Key, TableStatistics]
    ) -> dict[Key, TableStatistics]:
        return postgresql_statistics.read(_asking(given), tables, known)

    def explain(self, given: Given, query: SourceQuery) -> Reading:
        told = given.ask("EXPLAIN (FORMAT JSON) " + inlined(query, quote=quoted))
        return postgresql_explain.read(json.loads("\n".join(str(row[0]) for row in told)))

    def link(self, given: Given, tls: Tls | None) -> Link | None:
        ((row,), when) = timed(lambda: _asking(given)(postgresql_link.QUESTION, ()))
        return when.link(*postgresql_link.read(row, tls, None))

    def error(self, source: str, state: str, code: int, message: str, late: LimitExceeded) -> Error:
        del code
        ours = state in ("HYT00", "HYT01", "HY008")
        gone = state == "HY000" and any(word in message for word in _GONE)
        return late if ours else meaning(source, None if gone else state, message, "", late)


_GONE = (
    "server closed the connection",
    "no connection to the server",
    "could not receive data",
    "terminating connection",
)


def quoted(value: str) -> str:
    """A literal that the driver, which looks for parameters and escapes, cannot take for anything else: letters,
    digits and few signs as they are, all else by number, so that no quote and no backslash at an end is in it."""
    if _PLAIN.fullmatch(value) and not set("?{}\\'") & set(value):
        return f"'{value}'"
    return "U&'" + "".join(c if c.isascii() and c.isalnum() else f"\\+{ord(c):06X}" for c in value) + "'"


def _conninfo(value: str) -> str:
    """A value of libpq's own connection string."""
    return value if value.isdigit() else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _asking(given: Given) -> postgresql_catalog.Ask:
    """The catalog's questions as JSON, which keeps integers, booleans and arrays what they are."""

    def ask(question: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        kinds = [_OIDS if value and isinstance(value[0], int) else _TEXTS for value in values]
        bound = [literal(Bound(kind, value), quoted) for kind, value in zip(kinds, values, strict=True)]
        said = _PARAMETER.sub(lambda match: bound[int(match[1]) - 1], question)
        rows = given.ask(f"SELECT row_to_json(q)::text AS r FROM ({said}) AS q")  # noqa: S608
        return [json.loads(row[0], object_pairs_hook=lambda pairs: tuple(value for _, value in pairs)) for row in rows]

    return ask


def _decode(values: pa.Array, kind: PgType, name: str) -> pa.Array:
    """A record's cells: PostgreSQL's text of each, with its backslashes doubled."""
    strings = text(values, name, kind)
    if kind.name == "bytea":
        return pa.array(
            [None if value is None else bytes.fromhex(value[3:]) for value in strings.to_pylist()], pa.binary()
        )
    if pa.types.is_string(kind.arrow):
        return arrow.conform(pc.replace_substring(strings, "\\\\", "\\"), kind, name)
    if kind.name == "date":
        return days(strings, kind, name)
    if kind.name in ("timestamp", "timestamptz"):
        return instants(strings, kind, name)
    return arrow.conform(strings, kind, name)
