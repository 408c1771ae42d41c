"""What becomes of values that do not fit: the policies of a source's file, laid on the tables that it tells of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from connectors.base import Collation, Column, Table, Unfit
from connectors.types import PgType
from views.project import Diagnostic, Places, place_of
from views.source_file import SourceFile
from views.validate import did_you_mean

DEFAULT = "default"


def applied(tables: Sequence[Table], policies: Mapping[str, Unfit]) -> tuple[Table, ...]:
    """The tables under their policies: a column that may lose values is NULL where it does, and no key; one that is
    text is of that type. Predicates on both stay here, as the source compares what it has stored."""
    if not policies:
        return tuple(tables)
    changed = {
        (table.name, column.name)
        for table in tables
        for column in table.columns
        if _policy(table, column, policies) != "error"
    }
    return tuple(_table(table, policies, changed) for table in tables)


def diagnostics(source: SourceFile, file: str, places: Places, tables: Sequence[Table]) -> Iterator[Diagnostic]:
    """Errors at the keys of `unfit` that name no column."""
    known = [_name(table, column) for table in tables for column in table.columns]
    for key in source.unfit:
        if key != DEFAULT and key not in known:
            line, at = place_of(places, ("unfit", key))
            yield Diagnostic("error", file, line, f'`unfit`: there is no column "{key}"', did_you_mean(key, known), at)


def _name(table: Table, column: Column) -> str:
    return f"{table.name}.{column.name}"


def _policy(table: Table, column: Column, policies: Mapping[str, Unfit]) -> Unfit:
    return policies.get(_name(table, column), policies.get(DEFAULT, "error"))


def _table(table: Table, policies: Mapping[str, Unfit], changed: set[tuple[str, str]]) -> Table:
    own = {name for owner, name in changed if owner == table.name}

    def kept(key: tuple[str, ...]) -> bool:
        return own.isdisjoint(key)

    return replace(
        table,
        columns=tuple(_column(column, _policy(table, column, policies)) for column in table.columns),
        keys=tuple(filter(kept, table.keys)),
        indexes=tuple(filter(kept, table.indexes)),
        foreign_keys=tuple(
            foreign
            for foreign in table.foreign_keys
            if kept(foreign.columns)
            and changed.isdisjoint((foreign.table.rpartition(".")[2], name) for name in foreign.references)
        ),
    )


def _column(column: Column, policy: Unfit) -> Column:
    if policy == "null":
        return replace(column, nullable=True, exact=False, unfit=policy)
    if policy == "text":
        return replace(column, type=PgType("text"), collation=Collation.LOOSE, exact=False, unfit=policy)
    return column
