"""Tables read from their copies at other sources: the scan of an original becomes one of the copy, columns by name."""

from __future__ import annotations

from dataclasses import replace

from connectors.types import PgType
from planner import ir
from planner.ir import Rel
from planner.plan import Copies
from views.catalog import Catalog, SourceTable

_TEXTS = frozenset(("text", "varchar"))


def copied(rel: Rel, copies: Copies, catalog: Catalog) -> Rel:
    """The relation with every scan of an original in `copies` made of its copy. Column ids stay, and so does all that
    is said of them."""
    chosen = dict(copies)

    def change(node: Rel) -> Rel:
        if not isinstance(node, ir.Scan) or node.table.key not in chosen:
            return node
        copy = posing(catalog.tables[chosen[node.table.key]], node.table)
        place = {name: at for at, (name, _) in enumerate(copy.columns)}
        return ir.Scan(copy, tuple((i, place[node.table.columns[at][0]]) for i, at in node.columns))

    return ir.rewrite(rel, change)


def posing(copy: SourceTable, original: SourceTable) -> SourceTable:
    """The copy with the types that the original's columns have, where its own are as good."""
    kinds = dict(original.columns)
    return replace(copy, columns=tuple((name, kinds.get(name, kind)) for name, kind in copy.columns))


def unlike(copy: SourceTable, original: SourceTable) -> str:
    """Why a table cannot stand for another: a column that it lacks, or has of another type; '' where it can.

    A text's declared length says nothing of its values, so text and varchar are as good as each other.
    """
    kinds = dict(copy.columns)
    full, whole = f"{copy.schema}.{copy.name}", f"{original.schema}.{original.name}"
    for name, kind in original.columns:
        if name not in kinds:
            return f'{full} is no copy of {whole}: it has no column "{name}"'
        if not _as_good(kinds[name], kind):
            return f'{full} is no copy of {whole}: its column "{name}" is {kinds[name].sql}, not {kind.sql}'
    return ""


def _as_good(copy: PgType, original: PgType) -> bool:
    return copy == original or (copy.name in _TEXTS and original.name in _TEXTS)
