"""What a MariaDB or MySQL server holds, read from its information_schema in a fixed number of queries."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connectors.base import Bound, Collation, Column, ForeignKey, Partitions, Profile, Table
from connectors.mariadb.sql import literal
from connectors.types import PgType, bpchar, numeric, varchar

Row = tuple[str | None, ...]
Ask = Callable[[str], list[Row]]
Named = dict[tuple[str, str], list[Row]]

SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")
# code-point order, and no padding: the canon's own comparison
BYTE_COLLATIONS = frozenset(("utf8mb4_nopad_bin", "utf8mb4_0900_bin", "utf8mb3_nopad_bin", "utf8_nopad_bin"))
_VARIABLES = (
    "version", "version_comment", "sql_mode", "character_set_server", "collation_server", "character_set_database",
    "collation_database", "time_zone", "system_time_zone", "lower_case_table_names", "performance_schema",
    "max_allowed_packet", "read_only",
)  # fmt: skip
_SESSION = frozenset(("character_set_database", "collation_database"))
_GRANT = re.compile(r"GRANT (.+?) ON ", re.IGNORECASE)
_READING = frozenset(
    (
        "SELECT",
        "USAGE",
        "PROCESS",
        "SHOW VIEW",
        "SHOW DATABASES",
        "BINLOG MONITOR",
        "SLAVE MONITOR",
        "REPLICATION CLIENT",
    )
)
_SIMPLE = {
    "date": "date",
    "datetime": "timestamp",
    "timestamp": "timestamptz",
    "time": "time",
    "year": "int2",
    "float": "float4",
    "double": "float8",
    "json": "json",
    "uuid": "uuid",
}
_SIGNED = {"tinyint": "int2", "smallint": "int2", "mediumint": "int4", "int": "int4", "bigint": "int8"}
_UNSIGNED = {"tinyint": "int2", "smallint": "int4", "mediumint": "int4", "int": "int8"}
_BINARY = frozenset(
    "binary varbinary tinyblob blob mediumblob longblob geometry point linestring polygon multipoint"
    " multilinestring multipolygon geometrycollection geomcollection vector".split()
)


def profile(ask: Ask, engine: str, version: tuple[int, ...], replica: bool | None = None) -> Profile:
    """Facts of the server; its own modes and character sets, not those of our sessions."""
    scoped = (f"@@{name}" if name in _SESSION else f"@@GLOBAL.{name}" for name in _VARIABLES)
    row = ask("SELECT " + ", ".join(scoped))[0]
    facts: dict[str, Any] = dict(zip(_VARIABLES, row, strict=True))
    facts["performance_schema"] = facts["performance_schema"] == "1"
    facts["replica"] = replica
    facts["read_only_login"] = _reads_only([str(row[0]) for row in ask("SHOW GRANTS")])
    return Profile(engine, version, facts)


def _reads_only(grants: Sequence[str]) -> bool:
    """Whether grants let nobody write: each names what it allows, or a role, of which is not said what it may."""
    allowed = [_GRANT.match(grant) for grant in grants]
    words = [word.strip() for one in allowed if one is not None for word in one[1].upper().split(",")]
    return all(one is not None for one in allowed) and {re.sub(r"\(.*", "", word).strip() for word in words} <= _READING


def tables(source: str, ask: Ask, schemas: Sequence[str], names: Sequence[str]) -> tuple[Table, ...]:
    """Base tables and views outside the system's databases; seven queries, however many tables."""
    where = _where(schemas, names)
    found = _by_table(ask(_TABLES + where))
    columns = _by_table(ask(_COLUMNS + where + " ORDER BY table_schema, table_name, ordinal_position"))
    known = _columns_known(ask)
    indexes = _by_table(
        ask(_INDEXES.format(_unseen(known)) + where + " ORDER BY table_schema, table_name, index_name, seq_in_index")
    )
    foreign = _by_table(
        ask(_FOREIGN_KEYS + where + " ORDER BY table_schema, table_name, constraint_name, ordinal_position")
    )
    parted = _by_table(ask(_PARTITIONS + where + " ORDER BY table_schema, table_name, partition_ordinal_position"))
    documents = _json_columns(ask, known)
    return tuple(
        replace(
            _table(source, key, found[key][0], columns[key], indexes[key], foreign[key], documents),
            partitions=_partitions(parted[key]),
        )
        for key in sorted(found)
        if columns[key]
    )


_TABLES = """SELECT table_schema, table_name, table_type, table_rows, table_comment FROM information_schema.tables
WHERE table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')"""
_COLUMNS = """SELECT table_schema, table_name, column_name, is_nullable, data_type, column_type,
character_maximum_length, numeric_precision, numeric_scale, collation_name, column_comment
FROM information_schema.columns WHERE TRUE"""
_INDEXES = """SELECT table_schema, table_name, index_name, non_unique, column_name, nullable, sub_part, index_type, {}
FROM information_schema.statistics WHERE TRUE"""
_FOREIGN_KEYS = """SELECT table_schema, table_name, constraint_name, column_name, referenced_table_schema,
referenced_table_name, referenced_column_name FROM information_schema.key_column_usage
WHERE referenced_table_name IS NOT NULL"""
# MariaDB's json is longtext with this check
_JSON = """SELECT constraint_schema, table_name, check_clause FROM information_schema.check_constraints
WHERE check_clause LIKE 'json_valid(%'"""


_PARTITIONS = """SELECT DISTINCT table_schema, table_name, partition_name, partition_method, partition_expression,
partition_ordinal_position FROM information_schema.partitions WHERE partition_name IS NOT NULL"""


def _partitions(rows: Sequence[Row]) -> Partitions | None:
    """By columns where these are named as they are, by an expression else."""
    if not rows:
        return None
    method, expression = str(rows[0][3]).upper(), str(rows[0][4] or "")
    names = tuple(part.strip('`" ') for part in expression.split(",")) if expression else ()
    plain = all(re.fullmatch(r"\w+", name) for name in names)
    kind = next((kind for word, kind in _METHODS.items() if word in method), "hash")
    return Partitions(kind, names if plain else (), len(rows))


_METHODS = {"LIST": "list", "RANGE": "range", "SYSTEM_TIME": "range"}


def _where(schemas: Sequence[str], names: Sequence[str]) -> str:
    text = PgType("_text")
    where = f" AND table_schema NOT IN ({literal(Bound(text, SYSTEM))})"
    if schemas:
        where += f" AND table_schema IN ({literal(Bound(text, schemas))})"
    if names:
        where += f" AND table_name IN ({literal(Bound(text, names))})"
    return where


def _columns_known(ask: Ask) -> frozenset[str]:
    """Which columns of its own tables this server has of those that not all have."""
    rows = ask("""SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'information_schema' AND column_name IN ('TABLE_NAME', 'IS_VISIBLE', 'IGNORED')
AND table_name IN ('CHECK_CONSTRAINTS', 'STATISTICS')""")
    return frozenset(f"{row[0]}.{row[1]}".upper() for row in rows)


def _unseen(known: frozenset[str]) -> str:
    """SQL: whether the optimizer leaves an index alone. MySQL calls it invisible, MariaDB ignored."""
    if "STATISTICS.IS_VISIBLE" in known:
        return "is_visible = 'NO'"
    return "ignored = 'YES'" if "STATISTICS.IGNORED" in known else "FALSE"


def _json_columns(ask: Ask, known: frozenset[str]) -> frozenset[tuple[str, str, str]]:
    if "CHECK_CONSTRAINTS.TABLE_NAME" not in known:  # MySQL, which has a json type of its own
        return frozenset()
    return frozenset((str(row[0]), str(row[1]), str(row[2])[len("json_valid(") : -1].strip('`"')) for row in ask(_JSON))


def _table(
    source: str,
    key: tuple[str, str],
    row: Row,
    columns: Sequence[Row],
    indexes: Sequence[Row],
    foreign: Sequence[Row],
    documents: frozenset[tuple[str, str, str]],
) -> Table:
    view, rows, comment = row[2] == "VIEW", row[3], row[4]
    groups = _grouped(indexes, 2)
    whole = [group for group in groups if all(part[4] and part[6] is None for part in group)]
    unique = [group for group in whole if group[0][3] == "0" and not any(part[5] == "YES" for part in group)]
    return Table(
        source=source,
        schema=key[0],
        name=key[1],
        columns=tuple(_column(column, documents) for column in columns),
        keys=tuple(_names(group) for group in sorted(unique, key=lambda group: group[0][2] != "PRIMARY")),
        indexes=tuple(dict.fromkeys(_names(group) for group in whole if _serves(group))),
        foreign_keys=tuple(_foreign_key(key[0], group) for group in _grouped(foreign, 2)),
        row_count=int(rows) if rows is not None and not view else None,
        comment="" if view else comment or "",
    )


def _serves(index: Sequence[Row]) -> bool:
    """Whether the optimizer may look values up in it."""
    return index[0][7] in ("BTREE", "HASH") and index[0][8] != "1"


def _column(row: Row, documents: frozenset[tuple[str, str, str]]) -> Column:
    schema, table, name, nullable, _, native, _, _, _, collation, comment = row
    kind = PgType("json") if (schema, table, name) in documents else column_type(row[4:9])
    return Column(
        name=str(name),
        type=kind,
        nullable=nullable == "YES",
        native=str(native),
        collation=_collation(str(row[4]), collation),
        collated=collation or "",
        comment=comment or "",
    )


def column_type(row: Row) -> PgType:
    """PostgreSQL's type for data_type, column_type, character length, numeric precision and scale."""
    name, native, length, precision, scale = row
    data = str(name).lower()
    if data in _SIGNED:
        unsigned = "unsigned" in str(native)
        if unsigned and data == "bigint":
            return numeric(20, 0)
        return PgType((_UNSIGNED if unsigned else _SIGNED)[data])
    if data == "decimal":
        return numeric(int(precision or 10), int(scale or 0))
    if data == "bit":
        return PgType("bool" if precision == "1" else "bytea")
    if data in ("char", "varchar") and length not in (None, "0"):
        return (bpchar if data == "char" else varchar)(int(str(length)))
    return PgType("bytea" if data in _BINARY else _SIMPLE.get(data, "text"))


def _collation(data: str, collation: str | None) -> Collation:
    if data in ("enum", "set", "json"):
        return Collation.LOOSE
    return Collation.BYTES if collation is None or collation in BYTE_COLLATIONS else Collation.LOOSE


def _foreign_key(schema: str, group: Sequence[Row]) -> ForeignKey:
    _, _, _, _, other_schema, other, _ = group[0]
    table = str(other) if other_schema == schema else f"{other_schema}.{other}"
    return ForeignKey(tuple(str(part[3]) for part in group), table, tuple(str(part[6]) for part in group))


def _names(group: Sequence[Row]) -> tuple[str, ...]:
    return tuple(str(part[4]) for part in group)


def _grouped(rows: Iterable[Row], at: int) -> list[list[Row]]:
    groups: Mapping[str | None, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[at]].append(row)
    return list(groups.values())


def _by_table(rows: Iterable[Row]) -> Named:
    grouped: Named = defaultdict(list)
    for row in rows:
        grouped[str(row[0]), str(row[1])].append(row)
    return grouped
