"""How many rows a source must read for a fragment: which index serves the predicates, or none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from connectors.base import Table
from connectors.statistics import Estimate
from planner import ir
from planner.estimate import Estimator, equal_pairs, stack
from planner.ir import Rel
from planner.keys import unique_keys
from planner.plan import Expected
from planner.scalar import Call, Col, KeyIn, Lit, Param, Scalar

FEW = 100.0  # rows of a table that any source reads whole, index or not
ONE = Estimate(0.0, 1.0, 1.0)
SCATTERED = 0.2  # the share of a table above which a source may scan rather than use an index
_POINTS, _RANGES = frozenset(("=", "in", "any")), frozenset(("<", "<=", ">", ">="))


@dataclass(frozen=True, slots=True)
class Access:
    """How a table is read: the columns of `index` that serve, none of which means from end to end; rows read."""

    table: tuple[str, str]
    index: tuple[str, ...]
    examined: Estimate

    @property
    def sequential(self) -> bool:
        """Whether no index that we know of serves."""
        return not self.index


def accesses(rel: Rel, estimator: Estimator) -> tuple[Access, ...]:
    """How each table of a relation that runs at one source is read."""
    estimator.look(rel)
    return tuple(_walk(rel, estimator, ()))


def expected(rel: Rel, estimator: Estimator) -> Expected:
    """What a fragment is thought to cost its source."""
    if isinstance(stack(rel)[1], ir.Scan) and any(not key for key in unique_keys(rel)):
        return Expected(ONE, ONE, estimator.width(rel))  # a key is given: not worth a millisecond's thought
    found = accesses(rel, estimator)
    return Expected(
        rows=estimator.rows(rel),
        examined=_examined(rel, estimator, found),
        width=estimator.width(rel),
        sequential=tuple(dict.fromkeys(".".join(a.table) for a in found if a.sequential)),
        fingerprint=estimator.fingerprint(rel),
    )


def examined(rel: Rel, estimator: Estimator) -> Estimate:
    """Rows that the source reads to compute it: by its own EXPLAIN where that was asked, else by what we know."""
    return _examined(rel, estimator, None)


def _examined(rel: Rel, estimator: Estimator, found: tuple[Access, ...] | None) -> Estimate:
    if estimator.statistics.readings:
        read = estimator.statistics.readings.get(estimator.fingerprint(rel))
        if read is not None:
            return read
    total = Estimate.exactly(0.0)
    for access in accesses(rel, estimator) if found is None else found:
        total = total.plus(access.examined)
    return total


def serving(scan: ir.Scan, predicates: Sequence[Scalar], estimator: Estimator) -> Access:
    """The best index for a conjunction over one table, by leftmost prefixes."""
    estimator.look(scan)
    rows, table = estimator.table(scan).rows, scan.table.table
    share = estimator.selectivity().all_of(predicates)
    found = Access(scan.table.key, (), Estimate.of(rows.low * share.low, rows.likely, rows.high))
    if table is None:
        return found
    found = _pruned(found, rows, table, predicates, estimator)
    for index in dict.fromkeys((*table.indexes, *table.keys)):
        used, served = _prefix(index, predicates, estimator)
        if not used:
            continue
        part = estimator.selectivity().all_of(served)
        read = rows.times(part)
        if any(set(key) <= set(used) and all(map(_is_point, served)) for key in table.keys):
            read = read.at_most(float(_values(served)))
        high = rows.high if part.high > SCATTERED and rows.high > FEW else read.high
        read = Estimate.of(read.low, read.likely, max(high, read.high))
        if read.likely < found.examined.likely or found.sequential:
            found = Access(scan.table.key, used, read)
    return found


def _pruned(found: Access, rows: Estimate, table: Table, predicates: Sequence[Scalar], estimator: Estimator) -> Access:
    """A scan of those partitions that predicates leave: most likely fewer rows, surely no more."""
    parts = table.partitions
    if parts is None or parts.count < 2 or not parts.columns:
        return found
    used, served = _prefix(parts.columns, predicates, estimator)
    if not used or (parts.kind == "hash" and (len(used) < len(parts.columns) or not all(map(_is_point, served)))):
        return found
    share = max(estimator.selectivity().all_of(served).likely, 1 / parts.count)
    return replace(found, examined=Estimate.of(found.examined.low, rows.likely * min(share, 1.0), rows.high))


def _prefix(
    index: tuple[str, ...], predicates: Sequence[Scalar], estimator: Estimator
) -> tuple[tuple[str, ...], tuple[Scalar, ...]]:
    """The leading columns of an index that predicates fix or (the last of them) bound, and these predicates."""
    used: list[str] = []
    served: list[Scalar] = []
    for column in index:
        points = [p for p in predicates if _names(p, estimator) == column and _is_point(p)]
        bounds = [p for p in predicates if _names(p, estimator) == column and _is_range(p)]
        if not points and not bounds:
            break
        used.append(column)
        served += points or bounds
        if not points:
            break
    return tuple(used), tuple(served)


def _names(p: Scalar, estimator: Estimator) -> str:
    """The source's name of the column that a predicate compares with values; '' where it is of another shape."""
    column = _column(p)
    known = estimator.known(column.id) if column is not None else None
    return known.name if known is not None else ""


def _column(p: Scalar) -> Col | None:
    if isinstance(p, KeyIn):
        return p.args[0] if isinstance(p.args[0], Col) else None
    if not isinstance(p, Call) or (p.op not in _POINTS and p.op not in _RANGES):
        return None
    columns = [a for a in p.args if isinstance(a, Col)]
    if len(columns) != 1 or not all(isinstance(a, Col | Lit | Param) for a in p.args):
        return None
    return columns[0] if columns[0] is p.args[0] or p.op not in ("in", "any") else None


def _is_point(p: Scalar) -> bool:
    return isinstance(p, KeyIn) or (isinstance(p, Call) and p.op in _POINTS)


def _is_range(p: Scalar) -> bool:
    return isinstance(p, Call) and p.op in _RANGES


def _values(predicates: Sequence[Scalar]) -> float:
    """Combinations of values that point predicates ask for."""
    count = 1.0
    for p in predicates:
        if isinstance(p, KeyIn) or (isinstance(p, Call) and p.op == "any"):
            return float("inf")
        count *= len(p.args) - 1 if isinstance(p, Call) else 1
    return count


def _walk(rel: Rel, estimator: Estimator, above: tuple[Scalar, ...]) -> Iterable[Access]:
    predicates, below = stack(rel)
    match below:
        case ir.Scan():
            yield serving(below, (*predicates, *above), estimator)
        case ir.Cut():
            yield from _walk(below.rel, estimator, above)
        case ir.Join():
            yield from _joined(below, estimator)
        case ir.Limit() if below.count is not None:
            yield from _limited(below, estimator)
        case _:
            for branch in ir.inputs(below):
                yield from _walk(branch, estimator, ())


def _joined(rel: ir.Join, estimator: Estimator) -> Iterable[Access]:
    """Either side is read whole, or by an index once for each row of the other, whichever is less."""
    lefts, rights = list(_walk(rel.left, estimator, ())), list(_walk(rel.right, estimator, ()))
    to_right = _looked_up(rel.left, rel.right, [b for _, b in equal_pairs(rel)], estimator)
    to_left = _looked_up(rel.right, rel.left, [a for a, _ in equal_pairs(rel)], estimator)
    saved_right = _likely(rights) - (to_right.examined.likely if to_right is not None else _likely(rights))
    saved_left = _likely(lefts) - (to_left.examined.likely if to_left is not None else _likely(lefts))
    if to_left is not None and rel.kind == "inner" and saved_left > max(saved_right, 0.0):
        return (to_left, *rights)
    if to_right is not None and rel.kind != "full" and saved_right > 0:
        return (*lefts, to_right)
    return (*lefts, *rights)


def _looked_up(outer: Rel, inner: Rel, columns: Sequence[int], estimator: Estimator) -> Access | None:
    """The inner side read by an index for each row of the outer side; None where no index serves."""
    _, scan = stack(inner)
    if not isinstance(scan, ir.Scan) or scan.table.table is None:
        return None
    names = {known.name: i for i in columns if (known := estimator.known(i)) is not None}
    for index in dict.fromkeys((*scan.table.table.keys, *scan.table.table.indexes)):
        used = [c for c in index[: len(names)] if c in names]
        if not used or list(index[: len(used)]) != used:
            continue
        rows, count = estimator.rows(outer), estimator.distinct(scan, [names[c] for c in used])
        table = estimator.table(scan).rows
        each = table.likely / max(count.likely, 1.0)
        likely = rows.likely * max(each, 1.0)
        return Access(scan.table.key, tuple(used), Estimate.of(0.0, likely, table.high + rows.high * max(each, 1.0)))
    return None


def _limited(rel: ir.Limit, estimator: Estimator) -> Iterable[Access]:
    """A LIMIT right over a filtered table may end the reading early."""
    found = list(_walk(rel.input, estimator, ()))
    inner: Rel = rel.input
    while isinstance(inner, ir.Project | ir.Filter):
        inner = inner.input
    if not isinstance(inner, ir.Scan):
        return found
    share = estimator.rows(rel).likely / max(estimator.rows(rel.input).likely, 1.0)
    return [
        Access(a.table, a.index, Estimate.of(0.0, a.examined.likely * min(share, 1.0), a.examined.high)) for a in found
    ]


def _likely(found: Iterable[Access]) -> float:
    return sum(access.examined.likely for access in found)
