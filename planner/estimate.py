"""How many rows every relation has: an interval that holds if the statistics are true, and a likely number inside."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from connectors.statistics import ANY, ColumnStatistics, Estimate, TableStatistics
from planner import ir
from planner.fingerprint import fingerprint
from planner.ir import Rel
from planner.keys import unique_keys
from planner.scalar import Call, Col, KeyIn, Lit, Scalar
from planner.selectivity import ALL, KEYS, Known, Selectivity, both, peek_literal
from views.catalog import Statistics

WIDTHS = {
    "bool": 1.0, "int2": 2.0, "int4": 4.0, "int8": 8.0, "float4": 4.0, "float8": 8.0, "date": 4.0, "timestamp": 8.0,
    "timestamptz": 8.0, "uuid": 36.0, "numeric": 16.0,
}  # fmt: skip
MET = 0.9  # the largest likely share of rows with a partner: a tenth without one is left for an anti join
TEXT_WIDTH = 24.0  # bytes of a value of any other type, where nothing is known
_NO_COLUMN = ColumnStatistics()
_SURE = frozenset(("inner", "left", "full", "semi", "anti"))


class Estimator:
    """Numbers of rows of one plan's relations. Remembers what it has worked out; use one for each plan.

    `peek` gives the value of a constant or parameter where it is known, without binding the plan to it: an estimate
    may change how fast an answer comes, never which it is.
    """

    def __init__(self, statistics: Statistics, peek: Callable[[Scalar], object] = peek_literal) -> None:
        self.statistics = statistics
        self.peek = peek
        self._known: dict[int, Known] = {}
        self._renamed: dict[int, int] = {}
        self._rows: dict[int, tuple[Rel, Estimate]] = {}
        self._fingerprints: dict[int, tuple[Rel, str]] = {}
        self._sharing: dict[int, Rel] = {}

    def rows(self, rel: Rel) -> Estimate:
        """Rows of a relation: as measured when the same was fetched before, else estimated."""
        found = self._rows.get(id(rel))
        if found is None:
            found = rel, self._measured(rel, self._bounded(rel, self._one(rel)))
            self._rows[id(rel)] = found
        return found[1]

    def distinct(self, rel: Rel, columns: Iterable[int]) -> Estimate:
        """Combinations of values that these columns have, NULL counted as one."""
        rows, wanted = self.rows(rel), tuple(dict.fromkeys(columns))
        if not wanted:
            return rows.at_most(1.0)
        if any(key <= frozenset(wanted) for key in unique_keys(rel)):
            return rows
        counts = sorted((self._values(i) for i in wanted), key=lambda e: e.likely, reverse=True)
        likely, high, weight = 1.0, 1.0, 1.0
        for count in counts:
            likely *= max(min(count.likely, rows.likely), 0.0) ** weight if count.likely > 1 else 1.0
            high *= count.high
            weight /= 2
        together = self._together(wanted)
        if together is not None:
            likely, high = together.likely, min(high, together.high)
        low = 0.0
        if _whole(rel):
            low = max((max(count.low, 1.0) for count in counts), default=1.0)
        return Estimate.of(min(low, rows.low), min(likely, rows.likely), min(high, rows.high))

    def width(self, rel: Rel) -> float:
        """Bytes of a row."""
        return sum(self._width(i, kind.name if kind is not None else "") for i, kind in ir.output(rel)) + 4.0

    def known(self, column: int) -> Known | None:
        """The source's column that an id stands for, in relations that were looked at; None where it is computed."""
        seen: set[int] = set()
        while column not in self._known and column in self._renamed and column not in seen:
            seen.add(column)
            column = self._renamed[column]
        return self._known.get(column)

    def table(self, rel: ir.Scan) -> TableStatistics:
        """What is known of a scan's table."""
        found = self.statistics.tables.get(rel.table.key)
        if found is not None:
            return found
        count = rel.table.table.row_count if rel.table.table is not None else None
        if count is None or count < 0:
            return TableStatistics(ANY)
        return TableStatistics(Estimate(0.0, max(float(count), 1.0), math.inf))

    def fingerprint(self, rel: Rel) -> str:
        """`planner.fingerprint`, worked out once."""
        found = self._fingerprints.get(id(rel))
        if found is None:
            found = self._fingerprints[id(rel)] = (rel, fingerprint(rel))
        return found[1]

    def selectivity(self) -> Selectivity:
        """Shares by what is known of the columns met so far."""
        return Selectivity(self.known, self.peek, self._keys)

    def look(self, rel: Rel) -> None:
        """Learn where the columns below come from."""
        self.rows(rel)

    # -- nodes

    def _one(self, rel: Rel) -> Estimate:
        match rel:
            case ir.Scan():
                return self._scan(rel)
            case ir.Filter():
                return self._filter(rel)
            case ir.Project():
                inner = self.rows(rel.input)
                self._renamed.update((i, e.id) for i, e in rel.items if isinstance(e, Col) and i != e.id)
                return inner
            case ir.Join():
                return self._join(rel)
            case ir.Aggregate():
                return self._aggregate(rel)
            case ir.Distinct():
                self.rows(rel.input)
                keys = [e.id for e in rel.on if isinstance(e, Col)] if rel.on is not None else list(ir.ids(rel))
                if rel.on is not None and len(keys) < len(rel.on):
                    return _some(self.rows(rel.input))
                return self.distinct(rel.input, keys)
            case ir.Limit():
                return self._limit(rel)
            case ir.SetOp():
                return self._set(rel)
            case ir.Values():
                return Estimate.exactly(float(len(rel.rows)))
            case _:
                return self._other(rel)

    def _other(self, rel: Rel) -> Estimate:
        match rel:
            case ir.Sort():
                return self.rows(rel.input)
            case ir.Window():
                inner = self.rows(rel.input)
                returning = any(getattr(e, "kind", "") == "srf" for _, e in rel.items)
                return Estimate(0.0, inner.likely * 10, math.inf) if returning else inner
            case ir.Cut():
                return self.rows(rel.rel)
            case ir.Shared():
                self._sharing[rel.id] = rel.body
                self.rows(rel.body)
                return self.rows(rel.input)
            case ir.CteRef():
                body = self._sharing.get(rel.id)
                return self.rows(body) if body is not None else Estimate(0.0, 1000.0, math.inf)
            case ir.Recursive():
                base = self.rows(rel.base)
                return Estimate(base.low if rel.all else min(base.low, 1.0), base.likely * 10, math.inf)
            case _:
                for branch in ir.inputs(rel):
                    self.rows(branch)
                return Estimate(0.0, 1000.0, math.inf)

    def _scan(self, rel: ir.Scan) -> Estimate:
        table = self.table(rel)
        if rel.table.table is not None:
            for i, at in rel.columns:
                column = rel.table.table.columns[at]
                statistics = table.columns.get(column.name, _NO_COLUMN)
                unique = (column.name,) in rel.table.table.keys
                self._known[i] = Known(column.name, column, statistics, table, unique)
        return table.rows

    def _filter(self, rel: ir.Filter) -> Estimate:
        """A chain of filters down to a table is one conjunction; elsewhere values may lie in any way."""
        inner = self.rows(rel.input)
        predicates, below = stack(rel)
        share = self.selectivity().all_of(predicates)
        if isinstance(below, ir.Scan):
            if not any(isinstance(p, KeyIn) for p in predicates):
                share = self._by_combination(predicates, share)
            return whole(self.rows(below).times(share).within(inner))
        own = self.selectivity().all_of(rel.predicates)
        return Estimate.of(0.0, inner.likely * own.likely, inner.high if own.high else 0.0)

    def _by_combination(self, predicates: tuple[Scalar, ...], share: Estimate) -> Estimate:
        """Better where the source has counted the combinations of columns that are all given."""
        fixed = tuple(dict.fromkeys(i for p in predicates for i in fixes(p)))
        together = self._together(fixed) if len(fixed) > 1 else None
        if together is None or together.likely <= 0:
            return share
        others = [p for p in predicates if not fixes(p)]
        rest = self.selectivity().all_of(others) if others else ALL
        return Estimate.of(share.low, both([Estimate(0.0, 1 / together.likely, 1.0), rest]).likely, share.high)

    def _join(self, rel: ir.Join) -> Estimate:
        left, right = self.rows(rel.left), self.rows(rel.right)
        if rel.kind not in _SURE:
            return left  # mark and single joins: a column more for each row
        inner = self._matches(rel, left, right)
        if rel.kind in ("semi", "anti"):
            met = min(MET, inner.likely / max(left.likely, 1.0))
            return Estimate(0.0, left.likely * (met if rel.kind == "semi" else 1 - met), left.high)
        if rel.kind == "inner":
            return inner
        most = max(left.high, inner.high + (left.high if not _unique(rel.right, _ids(rel), rel.right) else 0.0))
        if rel.kind == "left":
            return Estimate.of(left.low, max(left.likely, inner.likely), most)
        both_sides = inner.plus(left).plus(right).high
        return Estimate.of(max(left.low, right.low), max(left.likely, right.likely, inner.likely), both_sides)

    def _matches(self, rel: ir.Join, left: Estimate, right: Estimate) -> Estimate:
        """Pairs of rows that meet the condition."""
        pairs = list(equal_pairs(rel))
        others = [p for p in rel.on if not _equates(p)]
        likely = left.likely * right.likely
        for a, b in pairs:
            counts = [min(self._values(i).likely, n) for i, n in ((a, left.likely), (b, right.likely))]
            likely /= max(1.0, *(c for c in counts if c < math.inf))
        if others:
            likely *= self.selectivity().all_of(others).likely
        cross = left.times(right)
        high, used = cross.high, _ids(rel)
        if _unique(rel.right, used, rel.right):
            high = min(high, left.high)
        if _unique(rel.left, used, rel.left):
            high = min(high, right.high)
        return Estimate.of(0.0 if rel.on else cross.low, likely, high)

    def _aggregate(self, rel: ir.Aggregate) -> Estimate:
        inner = self.rows(rel.input)
        if rel.sets:
            return Estimate(0.0, inner.likely / 5, (inner.high + 1) * 2.0 ** min(len(rel.keys), 12))
        if not rel.keys:
            return Estimate.exactly(1.0)
        self._renamed.update((i, e.id) for i, e in rel.keys if isinstance(e, Col) and i != e.id)
        columns = [e.id for _, e in rel.keys if isinstance(e, Col)]
        if len(columns) == len(rel.keys):
            return self.distinct(rel.input, columns)
        return _some(inner)

    def _limit(self, rel: ir.Limit) -> Estimate:
        inner = self.rows(rel.input)
        skipped = 0.0 if rel.offset is None else self._number(rel.offset)
        if skipped is None:
            inner = Estimate(0.0, inner.likely, inner.high)
        elif skipped:
            inner = Estimate(*(max(0.0, n - skipped) for n in (inner.low, inner.likely, inner.high)))
        count = math.inf if rel.count is None else self._number(rel.count)
        if count is None:
            return Estimate(0.0, min(inner.likely, 100.0), inner.high)
        return Estimate.of(min(inner.low, count), inner.likely, inner.high) if rel.ties else inner.at_most(count)

    def _number(self, e: Scalar) -> float | None:
        if isinstance(e, Lit) and e.value is None:
            return None
        value = self.peek(e)
        try:
            return float(str(value)) if value is not None else None
        except ValueError:
            return None

    def _set(self, rel: ir.SetOp) -> Estimate:
        branches = [self.rows(branch) for branch, _ in rel.inputs]
        first = branches[0]
        if rel.kind == "intersect":
            least = min(b.high for b in branches)
            return Estimate.of(0.0, min(b.likely for b in branches) / 2, least)
        if rel.kind == "except":
            return Estimate.of(0.0, first.likely / 2, first.high)
        total = Estimate.exactly(0.0)
        for branch in branches:
            total = total.plus(branch)
        if rel.all:
            return total
        return Estimate.of(min(1.0, total.low), total.likely * 0.7, total.high)

    # -- what bounds them

    def _bounded(self, rel: Rel, rows: Estimate) -> Estimate:
        if isinstance(rel, ir.Filter | ir.Join | ir.Aggregate) and any(not key for key in unique_keys(rel)):
            return rows.at_most(1.0)
        return rows

    def _measured(self, rel: Rel, rows: Estimate) -> Estimate:
        """What was seen counts more than what was thought; values may differ, so it is no bound."""
        if not self.statistics.measured or not isinstance(rel, ir.Filter | ir.Join | ir.Aggregate | ir.Distinct):
            return rows
        seen = self.statistics.measured.get(self.fingerprint(rel))
        if seen is None:
            return rows
        return Estimate.of(seen.low / 2, seen.likely, seen.high * 2)

    def _values(self, column: int) -> Estimate:
        """Values of a column in its own table; NULL is one."""
        known = self.known(column)
        if known is None:
            return Estimate(0.0, 200.0, math.inf)
        count, nulls = known.distinct, known.nulls
        return Estimate(
            count.low + (1.0 if nulls.low > 0 else 0.0),
            count.likely + (1.0 if nulls.likely > 0 else 0.0),
            count.high + (1.0 if nulls.high > 0 else 0.0),
        )

    def _together(self, columns: tuple[int, ...]) -> Estimate | None:
        """Combinations that a source has counted of just these columns of one table."""
        known = [k for k in map(self.known, columns) if k is not None]
        if len(columns) < 2 or len(known) < len(columns) or any(k.table is not known[0].table for k in known):
            return None
        return known[0].table.distinct.get(tuple(sorted(k.name for k in known)))

    def _keys(self, p: KeyIn) -> Estimate:
        """The share of rows whose column is among the driver's values."""
        columns = [c.id for c in p.args if isinstance(c, Col) and self.known(c.id) is not None]
        if len(columns) < len(p.args) or math.isinf(p.count):
            return Estimate(0.0, KEYS, 1.0)
        mine = 1.0
        for column in columns:
            mine *= max(self._values(column).likely, 1.0)
        together = self._together(tuple(columns))
        return Estimate.of(0.0, min(1.0, p.count / max(1.0, mine if together is None else together.likely)), 1.0)

    def _width(self, column: int, kind: str) -> float:
        known = self.known(column)
        if known is not None and known.statistics.width:
            return known.statistics.width
        return WIDTHS.get(kind, TEXT_WIDTH)


def whole(rows: Estimate) -> Estimate:
    """Bounds as whole rows; what floats lose must not exclude the truth."""
    if rows.high == math.inf:
        return rows
    return Estimate.of(max(0.0, math.ceil(rows.low - 0.1)), rows.likely, math.floor(rows.high + 0.1))


def stack(rel: Rel) -> tuple[tuple[Scalar, ...], Rel]:
    """All predicates of a chain of filters, and what they filter, looking through projections and orders."""
    predicates: tuple[Scalar, ...] = ()
    while isinstance(rel, ir.Filter | ir.Project | ir.Sort):
        if isinstance(rel, ir.Filter):
            predicates += rel.predicates
        rel = rel.input
    return tuple(dict.fromkeys(predicates)), rel


def fixes(p: Scalar) -> tuple[int, ...]:
    """The column of `column = constant`."""
    if not isinstance(p, Call) or p.op != "=":
        return ()
    columns = [a.id for a in p.args if isinstance(a, Col)]
    return tuple(columns) if len(columns) == 1 else ()


def equal_pairs(rel: ir.Join) -> Iterable[tuple[int, int]]:
    """Pairs (left column, right column) that the join compares for equality."""
    left = ir.ids(rel.left)
    for p in rel.on:
        if isinstance(p, Call) and _equates(p):
            a, b = p.args
            if isinstance(a, Col) and isinstance(b, Col) and (a.id in left) != (b.id in left):
                yield (a.id, b.id) if a.id in left else (b.id, a.id)


def _equates(p: Scalar) -> bool:
    return isinstance(p, Call) and p.op == "=" and all(isinstance(a, Col) for a in p.args)


def _ids(rel: ir.Join) -> frozenset[int]:
    return frozenset(i for pair in equal_pairs(rel) for i in pair)


def _unique(rel: Rel, used: frozenset[int], side: Rel) -> bool:
    return any(key <= used & ir.ids(side) for key in unique_keys(rel))


def _whole(rel: Rel) -> bool:
    """Whether it has all rows of a table."""
    while isinstance(rel, ir.Project | ir.Sort):
        rel = rel.input
    return isinstance(rel, ir.Scan)


def _some(rows: Estimate) -> Estimate:
    """Groups of which nothing is known."""
    return Estimate.of(min(1.0, rows.low), rows.likely / 10, rows.high)
