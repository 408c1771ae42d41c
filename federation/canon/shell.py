"""Shells: each virtual relation as a view of the right columns, whose execution is an error."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import psycopg

from connectors.errors import ConfigError, Error
from views.catalog import OWNED, SYSTEM, Catalog, Relation, SourceTable

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
GRANT SELECT ON vdw.shell TO PUBLIC; -- a session's own backend asks which relations are virtual
CREATE TABLE vdw.reads (role text, schema text, name text, PRIMARY KEY (role, schema, name));
CREATE FUNCTION vdw.grant_reads() RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  one record;
BEGIN
  -- what should be against what is, so that a privilege that stands is never missing for a moment
  FOR one IN
    WITH wanted AS (
      SELECT r.role, s.schema, s.name FROM vdw.reads AS r JOIN vdw.shell AS s
      ON r.schema IN (CASE WHEN s.schema NOT IN (OWNED) THEN '*' END, s.schema) AND r.name IN ('*', s.name)
      GROUP BY 1, 2, 3),
    standing AS (
      SELECT pg_catalog.pg_get_userbyid(a.grantee)::text AS role, s.schema, s.name FROM vdw.shell AS s
      JOIN pg_catalog.pg_namespace AS n ON n.nspname = s.schema
      JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = s.name
      CROSS JOIN pg_catalog.aclexplode(c.relacl) AS a
      WHERE a.grantee NOT IN (0, c.relowner) AND a.privilege_type = 'SELECT'),
    changes AS (
      SELECT w.*, true AS give FROM (TABLE wanted EXCEPT TABLE standing) AS w
      UNION ALL SELECT s.*, false FROM (TABLE standing EXCEPT TABLE wanted) AS s)
    SELECT give, role, string_agg(format('%I.%I', schema, name), ', ') AS names FROM changes GROUP BY give, role
  LOOP
    EXECUTE format(CASE WHEN one.give THEN 'GRANT SELECT ON %s TO %I' ELSE 'REVOKE SELECT ON %s FROM %I' END,
      one.names, one.role);
  END LOOP;
  FOR one IN
    SELECT DISTINCT r.role, s.schema FROM vdw.reads AS r JOIN vdw.shell AS s
    ON r.schema IN (CASE WHEN s.schema NOT IN (OWNED) THEN '*' END, s.schema) AND r.name IN ('*', s.name)
    WHERE NOT has_schema_privilege(r.role, s.schema, 'USAGE')
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', one.schema, one.role);
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION vdw.grant_reads() FROM PUBLIC;
CREATE ROLE vdw_open;
CREATE ROLE vdw_merge LOGIN NOINHERIT;
ALTER ROLE vdw_merge SET default_transaction_read_only = on;
""".replace("OWNED", ", ".join(f"'{schema}'" for schema in sorted(OWNED)))


# A session's last answer, by source: what its setting of that name holds, which the front puts there (JSON).
PROVENANCE = "vdw.provenance"
TELLS = f"""
CREATE OR REPLACE FUNCTION vdw.provenance(
  OUT source text, OUT origin text, OUT as_of timestamptz, OUT read_at timestamptz, OUT age interval, OUT ttl interval,
  OUT class text, OUT rows bigint, OUT statements bigint, OUT missing boolean, OUT policy text, OUT why text,
  OUT tables text[], OUT views text[], OUT copies text[], OUT left_out jsonb)
RETURNS SETOF record LANGUAGE sql STABLE ROWS 3 AS $$
SELECT p.source, p.origin, p.as_of, p.read_at, make_interval(secs => p.age), make_interval(secs => p.ttl), p.class,
  p.rows, p.statements, p.missing, p.policy, p.why, p.tables, p.views, p.copies, p.left_out
FROM jsonb_to_recordset(coalesce(nullif(current_setting('{PROVENANCE}', true), ''), '[]')::jsonb) AS p(
  source text, origin text, as_of timestamptz, read_at timestamptz, age float8, ttl float8, class text, rows bigint,
  statements bigint, missing boolean, policy text, why text, tables text[], views text[],
  copies text[], left_out jsonb)
$$;
COMMENT ON FUNCTION vdw.provenance() IS
  'Where the last answer over virtual relations in this session came from, by source, and what it lacks';
"""  # noqa: S608  (a name of ours)

LOCK = "SELECT pg_advisory_xact_lock(3171)"
DURABLE = "SET LOCAL synchronous_commit = on"  # a crash of the server must not undo it
BEGIN = (DURABLE, f"SET LOCAL lock_timeout = '{LOCK_WAIT}'", LOCK)
STANDING = "SELECT schema, name, digest FROM vdw.shell"
# Schemas that hold nothing any more go, then who may read what is settled.
FINISH = (
    """DO $$ DECLARE one text; BEGIN
    FOR one IN SELECT nspname FROM pg_namespace AS n
      WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'vdw', 'information_schema')
      AND NOT EXISTS (SELECT FROM vdw.shell AS s WHERE s.schema = n.nspname)
    LOOP EXECUTE format('DROP SCHEMA %I CASCADE', one); END LOOP; END $$""",
    "SELECT vdw.grant_reads()",
)
# Sessions that sit idle in a transaction and hold a shell.
EVICT = """
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity AS a
WHERE a.state LIKE 'idle in transaction%' AND EXISTS (
  SELECT FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN vdw.shell AS s ON s.name = c.relname AND s.schema = n.nspname WHERE l.pid = a.pid)"""


def install(dsn: str, catalog: Catalog) -> None:
    """Bring the canon's shells in step with `catalog`, all or nothing; ConfigError names what cannot be a view."""
    install_relations(dsn, catalog.relations)


def install_relations(dsn: str, relations: Iterable[Relation]) -> None:
    """The same for a set of relations; a shell that is as it should be is not touched."""
    wanted = {relation.key: relation for relation in relations}
    for number in range(1, TRIES + 1):
        try:
            with psycopg.connect(dsn) as connection:
                _install(connection, wanted)
                return
        except psycopg.errors.LockNotAvailable as error:
            # A reload cannot wait for a client that sits in a transaction: its session ends.
            if number == TRIES:
                raise Error("the shells are locked by a running statement", sqlstate="55P03") from error
            if number == TRIES - 1:
                with psycopg.connect(dsn, autocommit=True) as connection:
                    connection.execute(EVICT)


def support(dsn: str) -> None:
    """Make what shells and analysis stand on, once."""
    with psycopg.connect(dsn) as connection:
        connection.execute(DURABLE)
        connection.execute(LOCK)
        if connection.execute("SELECT to_regclass('vdw.shell')").fetchone() == (None,):
            connection.execute(SUPPORT)
        if connection.execute("SELECT to_regprocedure('vdw.provenance()')").fetchone() == (None,):
            connection.execute(TELLS.encode())


def _install(connection: psycopg.Connection, wanted: Mapping[tuple[str, str], Relation]) -> None:
    for statement in BEGIN:
        connection.execute(statement)
    if connection.execute("SELECT to_regclass('vdw.shell')").fetchone() == (None,):
        connection.execute(SUPPORT)
    standing = {(schema, name): digest for schema, name, digest in connection.execute(STANDING)}
    for key in standing.keys() - wanted.keys():
        connection.execute("; ".join(drop(key)).encode())
    for key, relation in wanted.items():
        if standing.get(key) != digest(relation):
            _create(connection, [*(drop(key) if key in standing else ()), *create(relation)], relation)
    for statement in FINISH:
        connection.execute(statement)


def _create(connection: psycopg.Connection, statements: Iterable[str], relation: Relation) -> None:
    try:
        connection.execute("; ".join(statements).encode())
    except psycopg.errors.LockNotAvailable:
        raise
    except psycopg.Error as error:
        raise ConfigError(
            f"{relation.schema}.{relation.name} cannot be made in the canon: {error.diag.message_primary}",
            place=f"{relation.schema}.{relation.name}",
        ) from error


def drop(key: tuple[str, str]) -> list[str]:
    """Statements that take a shell away, and with it what clients' temporary views made of it."""
    schema, name = map(_literal, key)
    return [
        f"DROP VIEW {_name(*key)} CASCADE",
        f"DELETE FROM vdw.shell WHERE schema = {schema} AND name = {name}",  # noqa: S608
    ]


def create(relation: Relation) -> list[str]:
    """Statements that make a shell."""
    name = _name(*relation.key)
    columns = ", ".join(f"{_quoted(column)} {kind.sql}" for column, kind in relation.columns)
    full = _literal(f"{relation.schema}.{relation.name}")
    told = ", ".join(map(_literal, (*relation.key, digest(relation))))
    parts = [
        f"CREATE SCHEMA IF NOT EXISTS {_quoted(relation.schema)}",
        f"CREATE VIEW {name} AS SELECT * FROM vdw.guard({full}) AS shell({columns})",  # noqa: S608
        f"INSERT INTO vdw.shell VALUES ({told})",  # noqa: S608
    ]
    if relation.schema == SYSTEM:  # for everybody: its rows depend on who asks
        parts.append(f"GRANT SELECT ON {name} TO PUBLIC")
    if relation.comment:
        parts.append(f"COMMENT ON VIEW {name} IS {_literal(relation.comment)}")
    for column, comment in _comments(relation).items():
        parts.append(f"COMMENT ON COLUMN {name}.{_quoted(column)} IS {_literal(comment)}")
    return parts


def digest(relation: Relation) -> str:
    """Differs between two shells that differ."""
    facts = (relation.columns, relation.comment, sorted(_comments(relation).items()))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _comments(relation: Relation) -> Mapping[str, str]:
    """Comments of columns, of those that the relation has."""
    told: Mapping[str, str] = getattr(relation, "column_comments", {})
    table = relation.table if isinstance(relation, SourceTable) else None
    if table is not None:
        told = {column.name: column.comment for column in table.columns if column.comment}
    names = {name for name, _ in relation.columns}
    return {name: comment for name, comment in told.items() if name in names and comment}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _name(schema: str, name: str) -> str:
    return f"{_quoted(schema)}.{_quoted(name)}"


def _literal(text: str) -> str:
    """A constant that reads the same whatever standard_conforming_strings is; a NUL has no place in PostgreSQL."""
    return " E'" + text.replace("\0", "").replace("\\", "\\\\").replace("'", "''") + "'"
