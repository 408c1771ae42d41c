"""SQL in, Plan out. The phases by name, in their order:

lower     canonical text to the algebra, views spliced in (lower.py)
rewrite   RULES, one file each
place     what each source computes exactly (place.py, by connectors/capability)
assemble  fragments and residual written out (assemble.py)
"""

from __future__ import annotations

from collections.abc import Callable

from cachetools import LRUCache

from connectors.types import PgType
from planner import ir
from planner.assemble import assemble
from planner.ir import Rel
from planner.lower import Lowering, parse, scan
from planner.opaque import opaque
from planner.place import Placer
from planner.plan import Plan
from planner.relabel import relabel
from planner.rules.bind import bind_keys
from planner.rules.columns import prune_columns
from planner.rules.filters import push_filters
from planner.rules.limits import push_limits
from planner.rules.stable import Computed
from planner.scope import Columns, Counter, Unmodelled
from planner.statement import Statement
from views.catalog import Catalog, SourceTable, View

Rule = Callable[[Rel], Rel]

# The order is the design: filters first, since they decide which rows and so which keys, limits and columns remain;
# keys go between, so that they are pushed like any filter; columns last, when nothing adds a reader any more.
RULES: tuple[tuple[str, Rule], ...] = (
    ("filters", push_filters),
    ("limits", push_limits),
    ("bind", bind_keys),
    ("keys down", push_filters),
    ("columns", prune_columns),
)

_bound: LRUCache[tuple[str, str, str], tuple[Rel, Columns]] = LRUCache(maxsize=4096)


def plan(statement: Statement, catalog: Catalog, off: frozenset[str] = frozenset()) -> Plan:
    """The plan of one analysed statement. Pure: reads nothing but its arguments; `off` names rules to leave out.

    Never refuses: what the algebra does not model runs whole in the canon over fetched relations.
    """
    try:
        lowering = Lowering(lambda schema, name: _splice(catalog, schema, name, next_id), next_id := Counter())
        rel, columns = lowering.statement(parse(statement.text))
        columns = _typed(columns, statement)
        computed = Computed()
        placed = _placed(rel, catalog, off, computed)
        return assemble(placed, columns, statement, catalog, computed.found)
    except Unmodelled as reason:
        return opaque(statement, catalog, lambda named, words: _leaf(named, words, catalog, off), str(reason))


def _placed(rel: Rel, catalog: Catalog, off: frozenset[str], computed: Computed | None = None) -> Rel:
    for name, rule in RULES:
        if name not in off:
            rel = rule(rel)
    if computed is not None and "computed" not in off:
        rel = computed.fold(rel)
    return prune_columns(Placer(catalog).run(rel))


def _typed(columns: Columns, statement: Statement) -> Columns:
    """The output under the names and types that the canon gave it."""
    if len(columns) != len(statement.columns):
        raise Unmodelled("columns")
    return tuple((name, i, kind) for (name, kind), (_, i, _) in zip(statement.columns, columns, strict=True))


def _leaf(named: tuple[str, str], words: frozenset[str], catalog: Catalog, off: frozenset[str]) -> tuple[Rel, Columns]:
    found = _splice(catalog, *named, next_id=Counter())
    if found is None:
        raise Unmodelled(f"relation {named[0]}.{named[1]}")
    rel, columns = found
    kept = tuple(c for c in columns if c[0] in words) or columns[:1]
    picked = ir.Project(rel, tuple((i, ir.col((i, kind))) for _, i, kind in kept))
    fresh, at = relabel(picked, Counter(1_000_000))
    return _placed(fresh, catalog, off), tuple((n, at[i], kind) for n, i, kind in kept)


def _splice(catalog: Catalog, schema: str, name: str, next_id: Counter) -> tuple[Rel, Columns] | None:
    """The relation of that name under fresh ids: a table as a scan, a view as its pre-bound algebra."""
    try:
        relation = catalog.relation(schema, name)
    except KeyError:
        return None
    if isinstance(relation, SourceTable):
        return scan(relation, relation, next_id)
    rel, columns = _view(relation, catalog)
    copy, at = relabel(rel, next_id)
    return copy, tuple((n, at[i], kind) for n, i, kind in columns)


def _view(view: View, catalog: Catalog) -> tuple[Rel, Columns]:
    """A view's algebra, lowered once per catalog."""
    key = (catalog.version, view.schema, view.name)
    if key not in _bound:
        next_id = Counter()
        lowering = Lowering(lambda schema, name: _splice(catalog, schema, name, next_id), next_id)
        rel, columns = lowering.statement(parse(view.text))
        items = []
        for (_, i, own), (_, declared) in zip(columns, view.columns, strict=True):
            items.append((next_id(), ir.col((i, _agreed(own, declared)))))
        named = tuple((n, i, e.type) for (n, _), (i, e) in zip(view.columns, items, strict=True))
        _bound[key] = ir.Project(rel, tuple(items)), named
    return _bound[key]


def _agreed(own: PgType | None, declared: PgType) -> PgType | None:
    """The canon's type of a view's column; None, so nothing is proven of it, where ours is another."""
    return declared if own is None or own.name == declared.name else None
