"""What a PostgreSQL server holds, read from its catalogs in a fixed number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connectors.base import Collation, Column, ForeignKey, Partitions, Profile, Table
from connectors.types import BUILTIN, PgType

Ask = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
_BYTE_COLLATIONS = ("C", "POSIX", "ucs_basic")
TEXT, _TEXT_OID = PgType("text"), 25

_COLUMNS = """
SELECT c.oid::int8, n.nspname::text, c.relname::text, c.reltuples::int8, obj_description(c.oid, 'pg_class'),
       a.attname::text, a.attnum, a.attnotnull, format_type(a.atttypid, a.atttypmod), a.atttypid::int8, a.atttypmod,
       a.attcollation::int8, col_description(c.oid, a.attnum), coalesce(collname::text, '')
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  AND ($1::text[] = '{}' OR n.nspname = ANY ($1::text[])) AND ($2::text[] = '{}' OR c.relname = ANY ($2::text[]))
  AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
ORDER BY n.nspname, c.relname, a.attnum
"""
_TYPES = """
SELECT t.oid::int8, t.typname::text, t.typtype::text, t.typbasetype::int8, t.typtypmod,
       t.typnamespace = 'pg_catalog'::regnamespace
FROM pg_type t WHERE t.typtype = 'd' OR t.typnamespace = 'pg_catalog'::regnamespace
"""
_PARTITIONS = """
SELECT p.partrelid::int8, p.partstrat::text,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(p.partattrs::int2[]) WITH ORDINALITY k(attnum, n)
        JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = k.attnum),
       0 = ANY (p.partattrs::int2[]), (SELECT count(*) FROM pg_inherits i WHERE i.inhparent = p.partrelid)
FROM pg_partitioned_table p WHERE p.partrelid = ANY ($1::oid[])
"""
_COLLATIONS = """
SELECT oid::int8, collname::text, collprovider::text, collcollate, collisdeterministic FROM pg_collation
"""
_DATABASE = """
SELECT current_setting('server_version_num')::int, current_setting('server_version'), datcollate, datctype,
       coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
       pg_encoding_to_char(encoding), pg_is_in_recovery(), current_setting('TimeZone'),
       EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements'),
       (SELECT array_agg(extname::text ORDER BY extname) FROM pg_extension),
       current_setting('client_connection_check_interval', true),
       (SELECT array_agg(name || ' = ' || coalesce(reset_val, setting) ORDER BY name) FROM pg_settings
        WHERE name IN ('default_transaction_read_only', 'default_transaction_isolation', 'statement_timeout',
                       'standard_conforming_strings', 'extra_float_digits', 'DateStyle', 'IntervalStyle', 'jit',
                       'max_connections', 'row_security')),
       EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper)
         OR EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
                      AND n.nspname !~ '^pg_(toast|temp)' AND has_schema_privilege(n.oid, 'USAGE')
                      AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
FROM pg_database d WHERE datname = current_database()
"""
_INDEXES = """
SELECT i.indrelid::int8, i.indisprimary, i.indisunique AND i.indimmediate AND i.indpred IS NULL,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.n <= i.indnkeyatts),
       (SELECT bool_and(a.attnotnull) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.n <= i.indnkeyatts),
       am.amname::text, i.indpred IS NOT NULL
FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_am am ON am.oid = ic.relam
WHERE i.indisvalid AND i.indexprs IS NULL AND i.indrelid = ANY ($1::oid[])
ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid
"""
_FOREIGN_KEYS = """
SELECT k.conrelid::int8, n.nspname::text, c.relname::text,
       (SELECT array_agg(a.attname::text ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(attnum, n)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum),
       (SELECT array_agg(a.attname::text ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY u(attnum, n)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum),
       k.convalidated AND NOT c.relrowsecurity  -- with row security we may not see what the server checks
FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conrelid = ANY ($1::oid[])
ORDER BY k.conrelid, k.conname
"""


def profile(ask: Ask) -> Profile:
    """Version and facts of the database that `ask` queries."""
    row = ask(_DATABASE, ())[0]
    names = (
        "collate",
        "ctype",
        "locale_provider",
        "locale",
        "encoding",
        "in_recovery",
        "time_zone",
        "pg_stat_statements",
    )
    facts = dict(zip(names, row[2:], strict=False))
    facts |= {
        "server_version": row[1],
        "extensions": tuple(row[10] or ()),
        "watches_clients": row[11] not in (None, "0"),
        "replica": facts["in_recovery"],
        "read_only_login": not row[13],
        "settings": tuple(row[12] or ()),
        "collation": _default_collation(facts).value,
        "standard_conforming_strings": True,  # the prologue sets it
    }
    return Profile("postgresql", (row[0] // 10000, row[0] % 10000), facts)


def tables(
    source: str, ask: Ask, facts: Mapping[str, Any], schemas: Sequence[str], names: Sequence[str]
) -> tuple[Table, ...]:
    """Tables, views, materialised views and foreign tables that may be read; partitions only as their parent."""
    rows: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in ask(_COLUMNS, (list(schemas), list(names))):
        rows[row[0]].append(row)
    oids = [list(rows)]
    types = {row[0]: row[1:] for row in ask(_TYPES, ())}
    collations = _collations(ask, facts)
    indexes, foreign = _by_table(ask(_INDEXES, oids)), _by_table(ask(_FOREIGN_KEYS, oids))
    parted = {row[0]: _partitions(row) for row in ask(_PARTITIONS, oids)}
    return tuple(
        replace(_table(source, group, types, collations, indexes[oid], foreign[oid]), partitions=parted.get(oid))
        for oid, group in rows.items()
    )


def _partitions(row: tuple[Any, ...]) -> Partitions:
    _, strategy, columns, computed, count = row
    kind = {"l": "list", "r": "range", "h": "hash"}[strategy]
    return Partitions(kind, () if computed else tuple(columns), count)


def _table(
    source: str,
    rows: Sequence[tuple[Any, ...]],
    types: Mapping[int, tuple[Any, ...]],
    collations: Mapping[int, Collation],
    indexes: Sequence[tuple[Any, ...]],
    foreign: Sequence[tuple[Any, ...]],
) -> Table:
    _, schema, name, row_count, comment = rows[0][:5]
    return Table(
        source=source,
        schema=schema,
        name=name,
        columns=tuple(_column(row, types, collations) for row in rows),
        keys=_distinct(tuple(row[3]) for row in indexes if row[2] and row[4] and row[3]),
        indexes=_distinct(tuple(row[3]) for row in indexes if row[5] in ("btree", "hash") and not row[6] and row[3]),
        foreign_keys=tuple(
            ForeignKey(tuple(row[3]), row[2] if row[1] == schema else f"{row[1]}.{row[2]}", tuple(row[4]), row[5])
            for row in foreign
        ),
        row_count=row_count if row_count >= 0 else None,
        comment=comment or "",
    )


def _column(row: tuple[Any, ...], types: Mapping[int, tuple[Any, ...]], collations: Mapping[int, Collation]) -> Column:
    name, _, not_null, native, oid, mod, collation, comment, named = row[5:14]
    kind = _type(oid, mod, types)
    # an enum, citext or any other type that is text here only has its own order, equality and operators
    foreign = kind == TEXT and _base(oid, -1, types)[0] != _TEXT_OID
    return Column(
        name=name,
        type=kind,
        nullable=not not_null,
        native=native,
        collation=Collation.LOOSE if foreign else _text_collation(collation, collations),
        collated=named,
        comment=comment or "",
        exact=not foreign,
    )


def _text_collation(collation: int, collations: Mapping[int, Collation]) -> Collation:
    return collations.get(collation, Collation.LOOSE) if collation else Collation.BYTES


def _type(oid: int, mod: int, types: Mapping[int, tuple[Any, ...]]) -> PgType:
    """Built-in types are themselves, a domain its base, anything else (enums, ranges, geometry ...) is read as text."""
    base, mod = _base(oid, mod, types)
    name, _, _, _, builtin = types.get(base, ("", "", 0, -1, False))
    if not builtin or name.removeprefix("_") not in BUILTIN or name == "unknown":
        return TEXT
    return PgType(name, -1 if name.startswith("_") else mod)


def _base(oid: int, mod: int, types: Mapping[int, tuple[Any, ...]]) -> tuple[int, int]:
    while oid in types and types[oid][1] == "d":
        oid, mod = types[oid][2], types[oid][3]
    return oid, mod


def _collations(ask: Ask, facts: Mapping[str, Any]) -> dict[int, Collation]:
    found = {}
    for oid, name, provider, locale, deterministic in ask(_COLLATIONS, ()):
        if provider == "d":
            found[oid] = _default_collation(facts)
        elif not deterministic:
            found[oid] = Collation.LOOSE
        else:
            found[oid] = _deterministic(provider, name if name in _BYTE_COLLATIONS else locale, facts)
    return found


def _default_collation(facts: Mapping[str, Any]) -> Collation:
    provider = facts["locale_provider"]
    return _deterministic(provider, facts["collate"], facts)


def _deterministic(provider: str, locale: str | None, facts: Mapping[str, Any]) -> Collation:
    # libc's C.UTF-8 is code-point order with glibc >= 2.35 only, which cannot be asked of a server
    if facts["encoding"] == "UTF8" and (provider == "b" or (provider == "c" and locale in _BYTE_COLLATIONS)):
        return Collation.BYTES
    return Collation.EQUAL


def _by_table(rows: Sequence[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
    grouped: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        grouped[row[0]].append(row)
    return grouped


def _distinct(items: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(items))
