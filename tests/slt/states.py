"""The states of a script's tables between its queries, as tables that can be placed anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg
import sqlglot
from sqlglot import exp

from connectors.types import BUILTIN, PgType
from tests.differential.data import Column, Table
from tests.differential.oracle import Answer, Oracle
from tests.fuzz.queries import Query
from tests.fuzz.schema import value_of
from tests.slt.script import Record

_NAMES = {oid: name for name, (oid, _, _) in BUILTIN.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """A query of a script with PostgreSQL's answer to it."""

    record: Record
    query: Query
    wanted: Answer


@dataclass(slots=True)
class State:
    """Tables and views (name, SELECT; tables named `schema`.x in it) of a script, and the queries asked of them."""

    schema: str
    tables: tuple[Table, ...]
    views: tuple[tuple[str, str], ...]
    asked: list[Asked] = field(default_factory=list)


@dataclass(slots=True)
class Played:
    """A script that was played in PostgreSQL: its states, statements that PostgreSQL refused, and records that the
    script has for other engines only."""

    states: list[State] = field(default_factory=list)
    refused: int = 0
    others: int = 0


def play(records: Sequence[Record], oracle: Oracle, schema: str) -> Played:
    """Run a script in PostgreSQL, in a schema of its own."""
    oracle.run(f"DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; SET search_path = {schema}")
    played = Played()
    changed = True
    for record in records:
        if not record.ours:
            played.others += 1
        elif not record.is_query:
            changed = True
            played.refused += not _done(oracle, record.sql)
        else:
            if changed:
                _look(played, oracle, schema)
                changed = False
            query = Query(record.sql, sorted=0, approx=True)
            played.states[-1].asked.append(Asked(record, query, oracle.ask(query.case)))
    return played


def _done(oracle: Oracle, sql: str) -> bool:
    try:
        oracle.run(sql)
    except psycopg.Error:
        return False
    return True


def _look(played: Played, oracle: Oracle, schema: str) -> None:
    """A new state, unless the tables are as they were."""
    tables, views = tuple(_tables(oracle, schema)), tuple(_views(oracle, schema))
    last = played.states[-1] if played.states else None
    if last is None or (last.tables, last.views) != (tables, views):
        played.states.append(State(schema, tables, views))


def _tables(oracle: Oracle, schema: str) -> Iterator[Table]:
    for name in _listed(oracle, schema, "r"):
        found = oracle.connection.execute(f'SELECT * FROM {schema}."{name}" LIMIT 0'.encode())
        columns = tuple(
            Column(c.name, PgType(_NAMES[c.type_code], c._fmod)) for c in found.description or ()
        )  # psycopg keeps the modifier for itself
        texts = ", ".join(f'"{c.name}"::text' for c in columns)
        rows = oracle.connection.execute(f'SELECT {texts} FROM {schema}."{name}"'.encode()).fetchall()
        values = tuple(tuple(value_of(c.type, v) for c, v in zip(columns, row, strict=True)) for row in rows)
        keys, indexes = _indexed(oracle, schema, name)
        yield Table(name, columns, values, keys[0] if keys else (), tuple(dict.fromkeys(indexes)))


def _listed(oracle: Oracle, schema: str, kind: str) -> list[str]:
    """Relations of a kind in the order in which they were made."""
    sql = "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = %s ORDER BY oid"
    return [name for (name,) in oracle.connection.execute(sql, (schema, kind))]


def _indexed(oracle: Oracle, schema: str, name: str) -> tuple[list[tuple[str, ...]], list[str]]:
    """(primary keys, first columns of other indexes) of a table."""
    sql = (
        "SELECT indisprimary, ARRAY(SELECT attname FROM unnest(indkey) WITH ORDINALITY k(n, at) JOIN pg_attribute "
        "ON attrelid = indrelid AND attnum = n ORDER BY at)::text[] FROM pg_index WHERE indrelid = %s::regclass"
    )
    found = oracle.connection.execute(sql, (f'{schema}."{name}"',)).fetchall()
    keys = [tuple(columns) for primary, columns in found if primary]
    return keys, [columns[0] for primary, columns in found if not primary and columns]


def _views(oracle: Oracle, schema: str) -> Iterator[tuple[str, str]]:
    oracle.run("SET search_path = ''")
    try:
        for name in _listed(oracle, schema, "v"):
            found = oracle.connection.execute("SELECT pg_get_viewdef(%s::regclass)", (f'{schema}."{name}"',)).fetchone()
            yield name, str(found[0] if found else "").strip().rstrip(";")
    finally:
        oracle.run(f"SET search_path = {schema}")


def order_of(sql: str) -> tuple[int, ...]:
    """The output columns, from 0, that ORDER BY names, as far as that is plain from the text."""
    try:
        tree = sqlglot.parse_one(sql, read="postgres")
    except sqlglot.errors.SqlglotError:
        return ()
    clause = tree.args.get("order")
    names = [e.alias_or_name for e in tree.expressions] if isinstance(tree, exp.Select) else []
    found: list[int] = []
    for item in clause.expressions if clause is not None else ():
        key = item.this
        if isinstance(key, exp.Literal) and not key.is_string:
            found.append(int(key.name) - 1)
        elif isinstance(key, exp.Column) and names.count(key.name) == 1 and not key.table:
            found.append(names.index(key.name))
        else:
            break
    return tuple(found)
