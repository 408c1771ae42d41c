"""SQL in, Plan out. The phases by name, in their order:

lower     canonical text to the algebra, views spliced in (lower.py; opaque.py for what it does not model)
rewrite   RULES, one file each
place     what each source computes exactly (place.py, by connectors/capability)
assemble  fragments and residual written out (assemble.py)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cachetools import LRUCache

from connectors.errors import LimitExceeded
from connectors.types import PgType
from planner import ir
from planner import scalar as sc
from planner.assemble import assemble, straight
from planner.canonical import parse
from planner.context import Context
from planner.copies import copied
from planner.demands import check_demands, demanded
from planner.emptied import emptied
from planner.estimate import Estimator
from planner.fragments import Book
from planner.ir import Rel
from planner.lower import Lowering, scan
from planner.opaque import opaque
from planner.place import Placer
from planner.plan import Copies, Plan
from planner.relabel import relabel
from planner.required import restricted
from planner.rules.bind import bind_keys
from planner.rules.boundaries import Boundaries
from planner.rules.columns import prune_columns
from planner.rules.constants import tell_constants
from planner.rules.disjunctions import factor_disjunctions
from planner.rules.filters import push_filters
from planner.rules.joins import order_joins
from planner.rules.limits import push_limits
from planner.rules.partial import split_aggregates
from planner.rules.prune import prune
from planner.rules.ranges import add_ranges
from planner.rules.required import require_keys
from planner.rules.semi_joins import lower_semi_joins
from planner.rules.stable import Computed
from planner.rules.subqueries import join_laterals, join_subqueries
from planner.rules.unused import drop_joins
from planner.rules.zones import in_utc
from planner.scalar import BOOL, Call, Col, Param, Scalar, Verbatim
from planner.scope import Columns, Counter, Unmodelled
from planner.statement import Statement
from planner.targets import bindable
from planner.types import alike
from planner.values import Values
from views.catalog import Catalog, SourceTable, View

Rule = Callable[[Rel, Context], Rel]

# The order is the design: joins for sub-queries first, so that everything after sees joins only; then filters, since
# they decide which rows and so which keys, limits and columns remain; keys go between, so that they are pushed like
# any filter; columns last, when nothing adds a reader any more.
RULES: tuple[tuple[str, Rule], ...] = (
    ("constants", lambda rel, _: tell_constants(rel)),
    ("laterals", join_laterals),
    ("subqueries", join_subqueries),
    ("zones", in_utc),
    ("disjunctions", lambda rel, _: factor_disjunctions(rel)),
    ("filters", lambda rel, _: push_filters(rel)),
    ("ranges", add_ranges),
    ("prune", prune),
    ("unused joins", lambda rel, _: drop_joins(rel)),
    ("limits", lambda rel, _: push_limits(rel)),
    ("semi joins", lambda rel, _: lower_semi_joins(rel)),
    ("joins", order_joins),
    ("required", lambda rel, _: require_keys(rel)),
    ("bind", bind_keys),
    ("keys down", lambda rel, _: push_filters(rel)),
    ("partial aggregates", split_aggregates),
    ("columns", lambda rel, _: prune_columns(rel)),
)

_ALWAYS = frozenset(("required",))  # no statement over tables that must be given something is right without

_bound: LRUCache[tuple[str, str, str], tuple[Rel, Columns, str]] = LRUCache(maxsize=4096)


def plan(
    statement: Statement,
    catalog: Catalog,
    off: frozenset[str] = frozenset(),
    values: Values | None = None,
    copies: Copies = (),
    absent: frozenset[str] = frozenset(),
) -> Plan:
    """The plan of one analysed statement. Pure: reads nothing but its arguments; `off` names rules to leave out.

    `values` are the parameters' values, as far as they are known: where a rule reads one, the plan holds only under
    the guards that `values` has then. Of the originals in `copies` their copies are read, and the tables of the sources
    in `absent` are taken as empty. Never refuses (but where a
    view's owner demands a filter that is not there): what the algebra does not model runs as it stands in the canon,
    over fetched relations.
    """
    next_id = Counter()
    values = values or Values()
    values.zone = statement.zone
    context = Context(catalog, values, next_id, Estimator(catalog.statistics, values.peek))
    rel, columns, reason = _lower(statement.text, statement.columns, statement.relations, catalog, next_id)
    rel = copied(rel, copies, catalog) if copies else rel
    rel, left_out = emptied(rel, absent) if absent else (rel, ())
    rel = _set_apart(rel, values.apart)
    off |= {"computed", "boundaries"} if values.plain else set()
    if any(view.require_any_filter for view in catalog.views_behind(statement.relations)):
        check_demands(rel)
    computed = Computed()
    if "computed" not in off:
        rel = computed.fold(rel)
    boundaries = Boundaries(lambda sub: straight(_placed(sub, context, off)))
    if "boundaries" not in off:
        rel = boundaries.fold(rel)
    placed = _placed(rel, context, off)
    made = assemble(placed, columns, statement, context, computed.found, boundaries.found, reason)
    if copies or left_out:
        made = replace(made, copies=copies, left_out=left_out)
    return made


def _set_apart(rel: Rel, params: frozenset[int]) -> Rel:
    """These parameters as text that the canon alone understands."""
    if not params:
        return rel

    def change(e: Scalar) -> Scalar | None:
        if not isinstance(e, Param) or e.index not in params:
            return None
        return Verbatim((f"CAST(${e.index + 1} AS {e.type.sql})",), (), type=e.type)

    return ir.rewrite(rel, lambda node: ir.with_scalars(node, tuple(sc.transform(e, change) for e in ir.scalars(node))))


def _placed(rel: Rel, context: Context, off: frozenset[str]) -> Rel:
    """Rewritten, and cut into fragments."""
    for name, rule in RULES:
        if name not in off or name in _ALWAYS:
            rel = rule(rel, context)
    return prune_columns(Placer(context.catalog, context.estimator).run(rel))


def _lower(
    text: str,
    output: tuple[tuple[str, PgType], ...],
    relations: tuple[tuple[str, str], ...],
    catalog: Catalog,
    next_id: Counter,
) -> tuple[Rel, Columns, str]:
    """The algebra of canonical text, its columns, and why it is not modelled ('' where it is)."""

    def splice(schema: str, name: str) -> tuple[Rel, Columns] | None:
        return _splice(catalog, schema, name, next_id)

    try:
        rel, columns = Lowering(splice, next_id).statement(parse(text))
        if len(columns) != len(output):
            raise Unmodelled("its columns")
    except Unmodelled as reason:
        return (*opaque(text, output, relations, splice, next_id), str(reason))
    return rel, columns, ""


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


def unreadable(view: View, catalog: Catalog) -> LimitExceeded | None:
    """Why nobody can read a view, whatever values its columns are compared with; None where somebody can."""
    own = algebra(view, catalog)
    if not restricted(own):
        return None
    next_id = Counter()
    rel, _ = relabel(own, next_id)
    columns = [(i, kind) for i, kind in ir.output(rel) if kind is not None and bindable((kind,))]
    given = tuple(Call("=", (Col(i, kind), Param(at, kind)), BOOL) for at, (i, kind) in enumerate(columns))
    context = Context(catalog, Values(), next_id, Estimator(catalog.statistics))
    try:
        Book(context, _placed(ir.Filter(rel, given), context, frozenset()), run_time=False)
    except LimitExceeded as refused:
        return refused
    return None


def algebra(view: View, catalog: Catalog) -> Rel:
    """The view's query as the planner understands it, the views that it reads in place of their names."""
    return _view(view, catalog)[0]


def _view(view: View, catalog: Catalog) -> tuple[Rel, Columns]:
    """A view's algebra, lowered once per catalog."""
    key = (catalog.version, view.schema, view.name)
    if key not in _bound:
        next_id = Counter()
        rel, columns, reason = _lower(view.text, view.columns, view.depends, catalog, next_id)
        items = []
        for (_, i, own), (_, declared) in zip(columns, view.columns, strict=True):
            items.append((next_id(), ir.col((i, _agreed(own, declared)))))
        named = tuple((n, i, e.type) for (n, _), (i, e) in zip(view.columns, items, strict=True))
        _bound[key] = ir.Project(rel, tuple(items), demanded(view)), named, reason
    return _bound[key][:2]


def _agreed(own: PgType | None, declared: PgType) -> PgType | None:
    """The canon's type of a view's column; None, so nothing is proven of it, where ours is another."""
    return declared if own is None or alike(own, declared) else None
