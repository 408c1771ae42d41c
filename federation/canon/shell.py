"""Shells: each virtual relation as a view of the right columns whose execution is an error, kept in step with the catalog."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from connectors.errors import ConfigError, Error
from views.catalog import Catalog, Relation, SourceTable

VIEWS, TABLES = "vdw_views", "vdw_tables"  # roles that may read all shells of that kind
LOCK_WAIT = "1s"  # a session idle in a transaction may hold a shell
TRIES = 3

# `param` stands for $n while a statement is analysed; `printed_...` print what the analysis made: names qualified
# and constants in one form, whatever the session's settings, and the parse tree.
SUPPORT = """
CREATE SCHEMA vdw;
GRANT USAGE ON SCHEMA vdw TO PUBLIC;
CREATE FUNCTION vdw.guard(relation text) RETURNS SETOF record LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RAISE 'virtual view % was reached without a plan', relation USING
    ERRCODE = 'XX000', HINT = 'Ask for it by a SELECT of its own: functions that run SQL text cannot reach it.';
END $$;
CREATE FUNCTION vdw.param(number integer, type anyelement) RETURNS anyelement LANGUAGE plpgsql STABLE AS $$
BEGIN
  RAISE 'parameter $% was not bound', number USING ERRCODE = 'XX000';
END $$;
CREATE FUNCTION vdw.printed_body(function oid, OUT text text, OUT tree text)
LANGUAGE sql STABLE SET search_path = '' SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres'
SET quote_all_identifiers = off SET extra_float_digits = 1 SET bytea_output = 'hex' AS
'SELECT pg_get_function_sqlbody(oid), prosqlbody::text FROM pg_proc WHERE oid = function';
CREATE FUNCTION vdw.printed_view(view regclass, OUT text text, OUT tree text)
LANGUAGE sql STABLE SET search_path = '' SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres'
SET quote_all_identifiers = off SET extra_float_digits = 1 SET bytea_output = 'hex' AS
'SELECT pg_get_viewdef(view, false), ev_action::text FROM pg_rewrite WHERE ev_class = view';
CREATE TABLE vdw.shell (schema text, name text, digest text NOT NULL, PRIMARY KEY (schema, name));
CREATE ROLE vdw_views;
CREATE ROLE vdw_tables;
CREATE ROLE vdw_merge LOGIN NOINHERIT;
ALTER ROLE vdw_merge SET default_transaction_read_only = on;
"""


def install(dsn: str, catalog: Catalog) -> None:
    """Bring the canon's shells in step with `catalog`, all or nothing; ConfigError names what cannot be a view."""
    install_relations(dsn, catalog.relations)


def install_relations(dsn: str, relations: Iterable[Relation]) -> None:
    """The same for a set of relations; a shell that is as it should be is not touched."""
    wanted = {relation.key: relation for relation in relations}
    for number in range(1, TRIES + 1):
        try:
            with psycopg.connect(dsn) as connection:
                connection.execute(SQL("SET LOCAL lock_timeout = {}").format(Literal(LOCK_WAIT)))
                _install(connection, wanted)
                return
        except psycopg.errors.LockNotAvailable as error:
            # A reload cannot wait for a client that sits in a transaction: its session ends.
            if number == TRIES:
                raise Error("the shells are locked by a running statement", sqlstate="55P03") from error
            if number == TRIES - 1:
                _evict(dsn)


def _evict(dsn: str) -> None:
    """End the sessions that sit idle in a transaction and hold a shell."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("""
            SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity AS a
            WHERE a.state LIKE 'idle in transaction%' AND EXISTS (
              SELECT FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
              JOIN vdw.shell AS s ON s.name = c.relname AND s.schema = c.relnamespace::regnamespace::text
              WHERE l.pid = a.pid)""")


def _install(connection: psycopg.Connection, wanted: Mapping[tuple[str, str], Relation]) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(3171)")
    if connection.execute("SELECT to_regclass('vdw.shell')").fetchone() == (None,):
        connection.execute(SUPPORT)
    standing = {(schema, name): digest for schema, name, digest in connection.execute("TABLE vdw.shell")}
    digests = {key: _digest(relation) for key, relation in wanted.items()}
    gone = [key for key, digest in standing.items() if digests.get(key) != digest]
    new = [relation for key, relation in wanted.items() if standing.get(key) != digests[key]]
    for schema, name in gone:
        connection.execute(SQL("DROP VIEW {} CASCADE").format(Identifier(schema, name)))
        connection.execute("DELETE FROM vdw.shell WHERE schema = %s AND name = %s", (schema, name))
    for schema in {schema for schema, _ in gone} - {schema for schema, _ in wanted} - {"public"}:
        connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))
    for schema in {relation.schema for relation in new}:
        connection.execute(_schema(schema))
    for relation in new:
        _create(connection, relation)
    if new:
        rows = [(*relation.key, digests[relation.key]) for relation in new]
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO vdw.shell VALUES (%s, %s, %s)", rows)


def _schema(schema: str) -> psycopg.sql.Composed:
    roles = SQL(", ").join([Identifier(VIEWS), Identifier(TABLES)])
    text = SQL("CREATE SCHEMA IF NOT EXISTS {name}; GRANT USAGE ON SCHEMA {name} TO {roles}")
    return text.format(name=Identifier(schema), roles=roles)


def _create(connection: psycopg.Connection, relation: Relation) -> None:
    try:
        connection.execute(_statement(relation))
    except psycopg.errors.LockNotAvailable:
        raise
    except psycopg.Error as error:
        raise ConfigError(
            f"{relation.schema}.{relation.name} cannot be made in the canon: {error.diag.message_primary}",
            place=f"{relation.schema}.{relation.name}",
        ) from error


def _statement(relation: Relation) -> psycopg.sql.Composed:
    name = Identifier(relation.schema, relation.name)
    columns = SQL(", ").join(
        SQL("{} {}").format(Identifier(column), SQL(kind.sql))  # type: ignore[arg-type]  # our own text of a type
        for column, kind in relation.columns
    )
    whole = Literal(f"{relation.schema}.{relation.name}")
    parts = [
        SQL("CREATE VIEW {} AS SELECT * FROM vdw.guard({}) AS shell({})").format(name, whole, columns),
        SQL("GRANT SELECT ON {} TO {}").format(name, Identifier(TABLES)),
    ]
    if not isinstance(relation, SourceTable):
        parts.append(SQL("GRANT SELECT ON {} TO {}").format(name, Identifier(VIEWS)))
    if relation.comment:
        parts.append(SQL("COMMENT ON VIEW {} IS {}").format(name, Literal(relation.comment)))
    for column, comment in _comments(relation).items():
        parts.append(SQL("COMMENT ON COLUMN {}.{} IS {}").format(name, Identifier(column), Literal(comment)))
    return SQL("; ").join(parts)


def _comments(relation: Relation) -> Mapping[str, str]:
    """Comments of columns, of those that the relation has."""
    told: Mapping[str, str] = getattr(relation, "column_comments", {})
    table = relation.table if isinstance(relation, SourceTable) else None
    if table is not None:
        told = {column.name: column.comment for column in table.columns if column.comment}
    names = {name for name, _ in relation.columns}
    return {name: comment for name, comment in told.items() if name in names and comment}


def _digest(relation: Relation) -> str:
    facts = (isinstance(relation, SourceTable), relation.columns, relation.comment, sorted(_comments(relation).items()))
    return hashlib.sha256(repr(facts).encode()).hexdigest()
