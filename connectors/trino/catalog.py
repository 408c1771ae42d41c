"""What a catalog of Trino holds, read from its information_schema: tables and columns; it knows neither keys nor
indexes, and its texts compare byte by byte only where Trino itself does it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.base import Bound, Collation, Column, Profile, Table
from connectors.errors import SourceError
from connectors.trino.sql import literal, quoted
from connectors.trino.types import exact, mapped
from connectors.types import PgType

Ask = Callable[[str], list[list[Any]]]
TEXTS = PgType("_text")
# Trino reads their rows and computes itself. Others hand filters and groups on to a server with collations of its own.
OWN = frozenset(
    "memory tpch tpcds blackhole faker hive iceberg delta_lake hudi kafka kudu cassandra thrift jmx system".split()
)
# whose columns that are declared NOT NULL hold no NULL: their writers see to it
_ENFORCING = frozenset("memory tpch tpcds iceberg delta_lake postgresql mysql mariadb sqlserver oracle".split())
_CONNECTOR = "SELECT connector_name FROM system.metadata.catalogs WHERE catalog_name = {}"
_CATALOGS = "SELECT catalog_name FROM system.metadata.catalogs ORDER BY 1"
_UNSUPPORTED = "unsupported_type_handling"


def profile(ask: Ask, try_: Ask, catalog: str, texts: str) -> Profile:
    """Version of the server, and the connector behind the catalog; facts that may not be read are None.

    SourceError HV000 where there is no such catalog.
    """
    named = literal(Bound(PgType("text"), catalog))
    version = str(ask("SELECT version()")[0][0])
    found = try_(_CONNECTOR.format(named))
    if not found and (known := [row[0] for row in try_(_CATALOGS)]) and catalog not in known:
        raise SourceError(f'Trino has no catalog "{catalog}"', hint=f"its catalogs: {', '.join(known)}")
    connector = str(found[0][0]) if found else None
    facts: dict[str, Any] = {
        "server_version": version,
        "catalog": catalog,
        "connector": connector,
        "collation": _collation(connector, texts).value,
        "time_zone": "UTC",
        "session_properties": _properties(try_, catalog),
    }
    return Profile("trino", tuple(int(part) for part in re.findall(r"\d+", version)[:1]), facts)


def _properties(try_: Ask, catalog: str) -> tuple[str, ...]:
    """Names of the catalog's own session properties."""
    told = try_(f"SHOW SESSION LIKE {literal(Bound(PgType('text'), catalog + '.%'))}")
    return tuple(sorted(str(row[0]).removeprefix(f"{catalog}.") for row in told))


def converted(facts: Mapping[str, Any], own: Mapping[str, str]) -> dict[str, str]:
    """Session properties with which no column is left out for its type, unless the owner has set them."""
    name = f"{facts['catalog']}.{_UNSUPPORTED}"
    return {name: "CONVERT_TO_VARCHAR"} if _UNSUPPORTED in facts["session_properties"] and name not in own else {}


def _collation(connector: str | None, texts: str) -> Collation:
    if texts != "auto":
        return Collation.BYTES if texts == "bytes" else Collation.LOOSE
    return Collation.BYTES if connector in OWN else Collation.LOOSE


def tables(
    source: str, ask: Ask, try_: Ask, facts: Mapping[str, Any], schemas: Sequence[str], names: Sequence[str]
) -> tuple[Table, ...]:
    """Tables and views outside information_schema; two queries, however many tables."""
    catalog = str(facts["catalog"])
    where = _where(schemas, names, "table_schema", "table_name")
    grouped: dict[tuple[str, str], list[list[Any]]] = defaultdict(list)
    for row in ask(_COLUMNS.format(quoted(catalog)) + where + " ORDER BY table_schema, table_name, ordinal_position"):
        grouped[row[0], row[1]].append(row[2:])
    comments = _comments(try_, catalog, sorted({schema for schema, _ in grouped})) if grouped else {}
    collation, connector = Collation(facts["collation"]), facts["connector"]
    return tuple(
        Table(
            source=source,
            schema=key[0],
            name=key[1],
            columns=tuple(_column(row, collation, connector) for row in rows),
            comment=comments.get(key) or "",
        )
        for key, rows in grouped.items()
    )


_COLUMNS = """SELECT table_schema, table_name, column_name, data_type, is_nullable FROM {}.information_schema.columns
WHERE table_schema <> 'information_schema'"""
_COMMENTS = """SELECT schema_name, table_name, comment FROM system.metadata.table_comments
WHERE catalog_name = {} AND schema_name IN ({})"""


def _comments(try_: Ask, catalog: str, schemas: Sequence[str]) -> dict[tuple[str, str], str | None]:
    asked = _COMMENTS.format(literal(Bound(PgType("text"), catalog)), literal(Bound(TEXTS, list(schemas))))
    return {(row[0], row[1]): row[2] for row in try_(asked)}


def _where(schemas: Sequence[str], names: Sequence[str], schema: str, table: str) -> str:
    where = f" AND {schema} IN ({literal(Bound(TEXTS, list(schemas)))})" if schemas else ""
    return where + (f" AND {table} IN ({literal(Bound(TEXTS, list(names)))})" if names else "")


def _column(row: Sequence[Any], collation: Collation, connector: str | None) -> Column:
    name, native, nullable = row
    kind = mapped(native)
    textual = kind.name in ("text", "varchar", "bpchar", "json")
    return Column(
        name=name,
        type=kind,
        nullable=nullable != "NO" or connector not in _ENFORCING,
        native=native,
        collation=(collation if native.lower().startswith("varchar") else Collation.LOOSE)
        if textual
        else Collation.BYTES,
        exact=exact(native),
    )
