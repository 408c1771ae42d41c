"""What an engine holds, by SQLAlchemy's Inspector; where that fails by its information schema, or by its answers."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.engine.reflection import Inspector, ObjectKind
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import NullType, TypeEngine

from connectors.alchemy.sql import asked
from connectors.alchemy.types import TEXT, mapped, textual
from connectors.base import Collation, Column, ForeignKey, Table

_log = logging.getLogger(__name__)
# Those that see to their keys; warehouses like Snowflake, BigQuery and Redshift only write them down.
_ENFORCING = frozenset(
    "postgresql mysql mariadb sqlite mssql oracle duckdb firebird cockroachdb db2 hana informix".split()
)
_DECLARED = re.compile(r"\s*([^(]+?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*")
Key = tuple[str | None, str]


def read(connection: Connection, source: str, schemas: Sequence[str], names: Sequence[str]) -> tuple[Table, ...]:
    """Tables and views of the schemas, of the connection's own where none is named.

    A fixed number of queries for each schema where the dialect reads many tables at once (PostgreSQL, Oracle, SQL
    Server); MySQL's and most others' ask some for each table.
    """
    inspector = sa.inspect(connection)
    found: list[Table] = []
    for schema in schemas or (None,):
        found += _Reader(connection, inspector, source, schema, list(names) or None).tables()
    return tuple(sorted(found, key=lambda table: (table.schema or "", table.name)))


class _Reader:
    """One schema; what a dialect cannot tell is left out, but never a table or a column."""

    def __init__(
        self, connection: Connection, inspector: Inspector, source: str, schema: str | None, names: list[str] | None
    ) -> None:
        self._connection = connection
        self._inspector = inspector
        self._source = source
        self._schema = schema
        self._names = names
        self._dialect = connection.dialect
        self._trusted = self._dialect.name in _ENFORCING

    def tables(self) -> list[Table]:
        """All of the schema."""
        columns = self._columns()
        keys, unique = self._told("get_multi_pk_constraint"), self._told("get_multi_unique_constraints")
        indexes, foreign = self._told("get_multi_indexes"), self._told("get_multi_foreign_keys")
        comments = self._told("get_multi_table_comment")
        return [
            Table(
                source=self._source,
                schema=self._schema or self._own,
                name=name,
                columns=tuple(self._column(column) for column in listed),
                keys=self._keys(listed, keys.get((schema, name)) or {}, unique.get((schema, name)) or []),
                indexes=_indexes(indexes.get((schema, name)) or []),
                foreign_keys=_foreign(foreign.get((schema, name)) or [], self._schema),
                comment=str((comments.get((schema, name)) or {}).get("text") or ""),
            )
            for (schema, name), listed in columns.items()
            if listed
        ]

    @property
    def _own(self) -> str | None:
        """The schema of the connection, where there is one."""
        return self._inspector.default_schema_name

    def _columns(self) -> Mapping[Key, list[dict[str, Any]]]:
        try:
            return self._inspector.get_multi_columns(  # type: ignore[return-value]
                schema=self._schema, filter_names=self._names, kind=ObjectKind.ANY
            )
        except (SQLAlchemyError, NotImplementedError, KeyError, TypeError, AttributeError) as error:
            self._connection.rollback()
            why = type(error).__name__
            _log.warning('source "%s": the dialect cannot tell its columns (%s)', self._source, why)
        try:
            return self._standard()
        except SQLAlchemyError:
            self._connection.rollback()
        return {(self._schema, name): self._described(name) for name in self._relations()}

    def _standard(self) -> dict[Key, list[dict[str, Any]]]:
        """By the information schema, which is standard SQL."""
        schema = self._schema or self._own
        rows = asked(
            self._connection,
            "SELECT table_name, column_name, data_type, is_nullable, table_schema FROM information_schema.columns"
            " ORDER BY table_name, ordinal_position",
        ).fetchall()
        found: dict[Key, list[dict[str, Any]]] = {}
        for row in rows:
            table, column, declared, nullable, where = tuple(row)
            if (schema is not None and where != schema) or (self._names is not None and table not in self._names):
                continue
            entry = {"name": column, "type": self._type(declared), "nullable": nullable != "NO", "native": declared}
            found.setdefault((self._schema, table), []).append(entry)
        return found

    def _type(self, declared: str) -> TypeEngine[Any]:
        """The dialect's own class for a declared type."""
        match = _DECLARED.fullmatch(declared)
        if match is None:
            return NullType()
        known: Mapping[str, Any] = getattr(self._dialect, "ischema_names", {})
        name = match[1].lower()
        zoned = name.endswith(" with time zone")
        kind = known.get(name) or known.get(name.removesuffix(" with time zone"))
        kind = kind or getattr(sa.types, name.upper().replace(" ", "_"), None)
        if kind is None:
            return NullType()
        digits = [int(part) for part in (match[2], match[3]) if part]
        try:
            return kind(timezone=True) if zoned else kind(*digits)  # type: ignore[no-any-return]
        except TypeError:
            return kind() if isinstance(kind, type) else NullType()

    def _relations(self) -> list[str]:
        names = [*self._inspector.get_table_names(self._schema), *self._inspector.get_view_names(self._schema)]
        return sorted(name for name in names if self._names is None or name in self._names)

    def _described(self, table: str) -> list[dict[str, Any]]:
        """By the names that an answer without rows has; every type is unknown."""
        prepared = self._dialect.identifier_preparer
        place = ".".join(prepared.quote(part) for part in (self._schema, table) if part)
        try:
            result = asked(self._connection, f"SELECT * FROM {place} WHERE 1 = 0")  # noqa: S608 - quoted
        except SQLAlchemyError as error:
            self._connection.rollback()
            _log.warning('source "%s": table %s cannot be read: %s', self._source, table, type(error).__name__)
            return []
        return [{"name": name, "type": NullType(), "nullable": True} for name in result.keys()]  # noqa: SIM118

    def _told(self, method: str) -> Mapping[Key, Any]:
        ask: Callable[..., Any] = getattr(self._inspector, method)
        try:
            return ask(schema=self._schema, filter_names=self._names, kind=ObjectKind.ANY)  # type: ignore[no-any-return]
        except Exception as error:  # whatever a dialect raises: less is known then, and nothing wrong
            self._connection.rollback()
            _log.info('source "%s": %s is not known: %s', self._source, method, type(error).__name__)
            return {}

    def _column(self, told: Mapping[str, Any]) -> Column:
        kind = told["type"]
        native = str(told.get("native") or self._native(kind))
        type_ = mapped(kind, self._dialect.name, native)
        return Column(
            name=str(told["name"]),
            type=type_,
            nullable=bool(told.get("nullable", True)),
            native=native,
            collation=Collation.LOOSE,
            comment=str(told.get("comment") or ""),
            # what is text here only compares otherwise there
            exact=type_ != TEXT or textual(kind),
        )

    def _native(self, kind: TypeEngine[Any]) -> str:
        try:
            return str(kind.compile(dialect=self._dialect))
        except Exception:  # a type that no compiler knows
            return type(kind).__name__

    def _keys(
        self, columns: Sequence[Mapping[str, Any]], primary: Mapping[str, Any], unique: Sequence[Mapping[str, Any]]
    ) -> tuple[tuple[str, ...], ...]:
        if not self._trusted:
            return ()
        nullable = {column["name"] for column in columns if column.get("nullable", True)}
        first = [tuple(primary.get("constrained_columns") or ())]
        others = [tuple(each["column_names"]) for each in unique if not nullable & {*each["column_names"]}]
        return tuple(dict.fromkeys(key for key in (*first, *others) if key))


def _indexes(told: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], ...]:
    """Those of whole columns, over all rows."""
    whole = [
        tuple(index["column_names"])
        for index in told
        if index.get("column_names")
        and all(isinstance(name, str) for name in index["column_names"])
        and not any(key.endswith(("_where", "_length")) for key in index.get("dialect_options") or {})
    ]
    return tuple(dict.fromkeys(whole))


def _foreign(told: Sequence[Mapping[str, Any]], schema: str | None) -> tuple[ForeignKey, ...]:
    return tuple(
        ForeignKey(
            tuple(key["constrained_columns"]),
            key["referred_table"]
            if key.get("referred_schema") in (None, schema)
            else f"{key['referred_schema']}.{key['referred_table']}",
            tuple(key["referred_columns"]),
        )
        for key in told
    )
