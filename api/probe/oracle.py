"""What PostgreSQL makes of a relation over traps: the canon's own server, asked beside the queries that it serves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import pq

from api.probe.cases import LISTS
from connectors.postgresql import sql as postgresql_sql
from connectors.types import PgType
from planner import ir
from planner.emit import Emitter
from planner.targets import CanonTarget

Row = tuple[str | None, ...]
_REFUSED = """CREATE OR REPLACE FUNCTION pg_temp.refused(text, int, int) RETURNS SETOF int LANGUAGE plpgsql AS $$
DECLARE i int; x text;
BEGIN
  FOR i IN $2 .. $3 LOOP
    BEGIN EXECUTE $1 INTO x USING i; EXCEPTION WHEN others THEN RETURN NEXT i; END;
  END LOOP;
END $$"""


class Oracle:
    """One connection to PostgreSQL, in UTC; tables f0, f1 ... with columns c0, c1 ... are what `tables` says."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        connection.execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'")
        connection.execute(_REFUSED)

    def fill(self, table: str, kinds: Sequence[PgType], rows: Sequence[Row]) -> None:
        """A table of that name and of columns c0, c1 ... with these texts in it."""
        listed = ", ".join(f"c{n} {kind.sql}" for n, kind in enumerate(kinds))
        self.connection.execute(f"CREATE {'' if '.' in table else 'TEMP '}TABLE {table} ({listed})".encode())
        with self.connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def text(self, rel: ir.Rel, ids: Sequence[int], tables: Mapping[int, int]) -> str:
        """The relation as PostgreSQL reads it; leaf `id` (of the object) is f{tables[id]}."""
        cuts: dict[int, int] = {}

        def cut(node: ir.Rel) -> ir.Rel:
            if id(node) not in tables:
                return node
            made = node
            if isinstance(node, ir.Scan):
                made = ir.Cut("x", node, tuple((i, kind) for i, kind in ir.output(node) if kind is not None))
            cuts[id(made)] = tables[id(node)]
            return made

        made = ir.rewrite(rel, cut)
        return Emitter(CanonTarget(cuts)).query(made, [(i, f"c{n}") for n, i in enumerate(ids)]).sql("postgres")

    def rows(self, text: str) -> list[Row]:
        """The statement's rows as texts; psycopg's error where PostgreSQL has one."""
        result = self.connection.pgconn.exec_params(*_with_lists(text))
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise psycopg.DataError(result.error_message.decode())
        width = range(result.nfields)
        return [
            tuple(None if (v := result.get_value(r, c)) is None else v.decode() for c in width)
            for r in range(result.ntuples)
        ]

    def refused(self, text: str, rows: int) -> frozenset[int]:
        """Those of so many rows (numbered by the statement's c0) for which PostgreSQL has an error in c1."""
        one = f"SELECT q.c1 FROM ({text}) AS q WHERE q.c0 = $1".replace("'", "''")  # noqa: S608 -- our own text
        found = self.connection.execute(f"SELECT pg_temp.refused('{one}', 0, {rows - 1})".encode()).fetchall()
        return frozenset(row[0] for row in found)


def _with_lists(text: str) -> tuple[bytes, list[bytes | None]]:
    """The statement with only the parameters that it has, and their values."""
    numbers = list(dict.fromkeys(int(found) for found in re.findall(r"\$(\d+)", text)))
    at = {number: place for place, number in enumerate(numbers, 1)}

    def typed(match: re.Match[str]) -> str:
        number = int(match[1])
        return f"${at[number]}::{LISTS[number - 1].type.sql}"

    values = [(postgresql_sql.text_of(LISTS[number - 1].value) or "").encode() for number in numbers]
    return re.sub(r"\$(\d+)", typed, text).encode(), list(values)
