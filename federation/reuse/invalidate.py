"""What the cache must forget when a source, a table, a view or one row of a view has changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlglot
from sqlglot import exp

from cache.results import ResultCache, Work
from connectors.errors import QueryError
from connectors.types import PgType
from federation.reuse.allowed import Unclear, plain
from federation.reuse.reading import Reading
from views.catalog import Catalog, SourceTable, View
from views.validate import did_you_mean

Key = tuple[str, str]
_INTEGERS = frozenset(("int2", "int4", "int8"))


@dataclass(frozen=True, slots=True)
class Stale:
    """What a change makes out of date: what is kept of these tags, but for what is proven to be of other keys."""

    tags: tuple[str, ...]
    spare: Callable[[Work], bool] | None = None

    def forget(self, cache: ResultCache, refresh: bool = False) -> int:
        """Forget it; with `refresh` it is read again at once. Says how many values."""
        if refresh:
            return sum(cache.refresh(tag, self.spare) for tag in self.tags)
        return sum(cache.invalidate(tag, self.spare) for tag in self.tags)


def changed(name: str, catalog: Catalog, key: Mapping[str, Any] | None = None) -> Stale:
    """Of a source ("crm"), of a table or view ("crm.customers"), or of the rows of a view that have these values of its
    key's columns. QueryError 42P01 where there is no such thing, 42703 for a column that is no part of the key."""
    if key:
        return _of_key(_view(name, catalog), key, catalog)
    if name in catalog.sources:
        return Stale((f"source:{name}",))
    schema, _, relation = name.partition(".")
    if (schema, relation) in catalog.views:
        return Stale((f"view:{name}",))
    if (schema, relation) in catalog.tables:
        return Stale((f"table:{name}",))
    raise _unknown(name, catalog)


def _view(name: str, catalog: Catalog) -> View:
    schema, _, relation = name.partition(".")
    view = catalog.views.get((schema, relation))
    if view is None:
        raise _unknown(name, catalog)
    return view


def _unknown(name: str, catalog: Catalog) -> QueryError:
    known = [*catalog.sources, *(".".join(key) for key in (*catalog.views, *catalog.tables))]
    return QueryError(f'there is no "{name}" in the cache', sqlstate="42P01", hint=did_you_mean(name, known) or None)


def _of_key(view: View, key: Mapping[str, Any], catalog: Catalog) -> Stale:
    """All that is kept of the tables behind the view, but for statements about rows of other keys."""
    for column in key:
        if column not in view.key_columns:
            told = f"its key is ({', '.join(view.key_columns)})" if view.key_columns else "its header has no key"
            name = f"{view.schema}.{view.name}"
            raise QueryError(f'"{column}" is not of the key of {name}', sqlstate="42703", hint=told)
    read = _tables(view.key, catalog)
    tags = tuple(sorted(f"table:{schema}.{name}" for schema, name in read))
    origins = {column: _origin(view.key, column, catalog) for column in key}
    once = [
        (*origin, value)
        for column, value in key.items()
        if (origin := origins[column]) is not None and read[origin[0].key] == 1
    ]
    return Stale(tags, partial(_of_others, once) if once else None)


def _of_others(origins: Sequence[tuple[SourceTable, str, Any]], work: Work) -> bool:
    """Whether a statement's own conditions leave out the rows with one of these values."""
    run = work.run
    if not isinstance(run, Reading) or run.scope is None:
        return False
    region = run.step.fragment.region
    if region is None or region.repeated:
        return False
    return any(
        table.schema == run.step.fragment.source and _excluded(run, table, column, value)
        for table, column, value in origins
    )


def _excluded(run: Reading, relation: SourceTable, column: str, value: Any) -> bool:
    table = relation.table
    if table is None or run.scope is None:
        return False
    at = [name for name, _ in relation.columns].index(column)
    path, own = f"{table.schema!r}.{table.name!r}", repr(table.columns[at].name)
    named = re.compile(rf"{re.escape(path)}#\d+\.{re.escape(own)}")
    for (text, *_), limit in run.scope.limits.items():
        if named.fullmatch(str(text)) is None:
            continue
        try:
            kind = PgType(limit.kind)
            return not limit.values.admits(*plain(kind, [_read(value, kind)]))
        except (Unclear, ValueError, TypeError):
            return False
    return False


def _read(value: Any, kind: PgType) -> Any:
    return int(value) if kind.name in _INTEGERS and isinstance(value, str) else value


def _tables(key: Key, catalog: Catalog) -> Counter[Key]:
    """The sources' tables behind a view, and how often each stands there."""
    found: Counter[Key] = Counter()
    for name in _named(catalog.views[key].text):
        found += _tables(name, catalog) if name in catalog.views else Counter([name] if name in catalog.tables else [])
    return found


def _named(text: str) -> list[Key]:
    return [(table.db, table.name) for table in sqlglot.parse_one(text, dialect="postgres").find_all(exp.Table)]


def _origin(key: Key, column: str, catalog: Catalog) -> tuple[SourceTable, str] | None:
    """The source's column that a view's column is, unchanged; None for any other."""
    view = catalog.views.get(key)
    if view is None:
        table = catalog.tables.get(key)
        known = table is not None and table.table is not None and column in [name for name, _ in table.columns]
        return (table, column) if table is not None and known else None
    tree = sqlglot.parse_one(view.text, dialect="postgres")
    if not isinstance(tree, exp.Select) or tree.args.get("with") or tree.args.get("with_"):
        return None
    made = next((each for each in tree.selects if each.alias_or_name == column), None)
    found = made.unalias() if made is not None else None
    if not isinstance(found, exp.Column):
        return None
    for source in tree.find_all(exp.From, exp.Join):
        if source.parent is tree and isinstance(source.this, exp.Table) and source.this.alias_or_name == found.table:
            return _origin((source.this.db, source.this.name), found.name, catalog)
    return None
