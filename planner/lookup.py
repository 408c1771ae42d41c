"""How a fragment takes keys: how many at the most, and whether several statements may share them out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from connectors.base import Collation, Column
from planner import ir
from planner.estimate import Estimator
from planner.ir import Rel
from planner.scalar import Col, KeyIn
from views.catalog import SourceTable

MOST_KEYS = 10_000  # that a bind join sends: beyond, a source scans rather than looks up anyway
_LEAST = 100  # keys that are always worth it
_LOOKUP = 8.0  # looking up a key costs what reading so many rows of a scan does

# Two different keys of these types are different for every source, so a row answers to one of them only. Not so
# numerics as text (1.0 and 1.00), floats (0 and -0), or text where case or blanks do not matter: cut into several
# statements, a row would come once for each.
_DISTINCT = frozenset({"int2", "int4", "int8", "oid", "date", "timestamp", "timestamptz", "uuid"})
_TEXTS = frozenset({"text", "varchar"})


def keys_in(rel: Rel) -> Iterator[KeyIn]:
    """Every predicate over keys in a relation."""
    if isinstance(rel, ir.Filter):
        yield from (p for p in rel.predicates if isinstance(p, KeyIn))
    for branch in ir.inputs(rel):
        yield from keys_in(branch)


def arranged(key: KeyIn, rel: Rel) -> KeyIn:
    """The combination with the columns that an index begins with in front, in its order: SQLite looks no further."""
    pairs = [(c, i) for c, i in zip(key.args, key.drivers, strict=True) if isinstance(c, Col)]
    scans = {i: scan for scan in _scans(rel) for i, _ in scan.columns}
    if len(pairs) < max(len(key.args), 2) or any(c.id not in scans for c, _ in pairs):
        return key
    scan = scans[pairs[0][0].id]
    names = {i: _column(scan.table, at).name for i, at in scan.columns}
    known = (*scan.table.table.keys, *scan.table.table.indexes) if scan.table.table is not None else ()
    wanted = {names.get(c.id) for c, _ in pairs}
    led = max((list(takewhile(wanted.__contains__, index)) for index in known), key=len, default=[])
    pairs.sort(key=lambda pair: led.index(names[pair[0].id]) if names.get(pair[0].id) in led else len(led))
    return KeyIn(tuple(c for c, _ in pairs), tuple(i for _, i in pairs), key.count)


def taken(rel: Rel, key: KeyIn, estimator: Estimator) -> tuple[int, bool]:
    """(the most keys that are worth sending, whether several statements may share them out)."""
    scans = {i: scan for scan in _scans(rel) for i, _ in scan.columns}
    columns = [c.id for c in key.args if isinstance(c, Col) and c.id in scans]
    if len(columns) < len(key.args) or len({id(scans[i]) for i in columns}) > 1:
        return MOST_KEYS, False
    scan = scans[columns[0]]
    known = {i: _column(scan.table, at) for i, at in scan.columns if i in columns}
    if not _indexed(scan.table, {column.name for column in known.values()}):
        return MOST_KEYS, False  # it is read from end to end once, whatever the number of keys
    rows = estimator.rows(ir.Scan(scan.table, scan.columns)).likely
    each = rows / max(estimator.distinct(scan, columns).likely, 1.0)
    most = rows / (_LOOKUP + each)
    return int(min(max(most, _LEAST), MOST_KEYS)), all(_distinct(column) for column in known.values())


def _scans(rel: Rel) -> Iterator[ir.Scan]:
    if isinstance(rel, ir.Scan):
        yield rel
    for branch in ir.inputs(rel):
        yield from _scans(branch)


def _column(table: SourceTable, at: int) -> Column:
    if table.table is None:
        raise TypeError(f"{table.schema}.{table.name} has no source table")
    return table.table.columns[at]


def _indexed(table: SourceTable, names: set[str]) -> bool:
    known = (*table.table.keys, *table.table.indexes) if table.table is not None else ()
    return any(index and index[0] in names for index in known)


def _distinct(column: Column) -> bool:
    if column.type.name in _TEXTS:
        return column.collation is not Collation.LOOSE
    return column.type.name in _DISTINCT
