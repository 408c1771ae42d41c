"""Which share of a table's rows a predicate keeps: surely between two bounds, and likely."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from connectors.base import Collation
from connectors.base import Column as SourceColumn
from connectors.statistics import ColumnStatistics, Estimate, Position, TableStatistics, fold, position
from planner.scalar import Call, Col, KeyIn, Lit, Param, Scalar, bare

NOTHING, ALL = Estimate.exactly(0.0), Estimate.exactly(1.0)
EQUAL, RANGE, MATCH, OTHER, KEYS = 0.005, 0.3, 0.1, 0.5, 0.05  # likely shares where nothing is known
PREFIX = 0.02  # of a pattern that begins with at least so many characters
FIXED = 3
_DISCRETE = frozenset(("int2", "int4", "int8", "date"))
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "="}


@dataclass(frozen=True, slots=True)
class Known:
    """A column id's origin: a source's column, what is known of it, and of its table."""

    name: str
    column: SourceColumn
    statistics: ColumnStatistics
    table: TableStatistics
    unique: bool = False  # no two rows have the same value

    def place(self, e: Scalar, peek: Callable[[Scalar], object]) -> Position | None:
        """Where a constant lies among the column's values; None where it has no place there."""
        value = peek(e)
        at = position(value, self.column.type) if value is not None else None
        return fold(at, self.column.collation) if at is not None else None

    @property
    def ordered(self) -> bool:
        """Whether the source's order of the values is that of positions."""
        text = self.column.type.name in ("text", "varchar", "bpchar", "uuid")
        return not text or self.column.collation is Collation.BYTES

    @property
    def distinct(self) -> Estimate:
        """Non-null values: as the source counts them, and no more than whole numbers or days fit between the ends."""
        own, rows = self.statistics, self.table.rows
        high = min(own.distinct.high, rows.high)
        if self.column.type.name in _DISCRETE and isinstance(own.low, float) and isinstance(own.high, float):
            high = min(high, own.high - own.low + 1)
        likely = own.distinct.likely
        if math.isinf(likely):
            likely = rows.likely if self.unique else max(rows.likely / 10, min(rows.likely, 200.0), 1.0)
        return Estimate.of(own.distinct.low, likely, high)

    @property
    def nulls(self) -> Estimate:
        """The share of NULLs."""
        if not self.column.nullable:
            return NOTHING
        share = self.statistics.nulls
        return Estimate(0.0, 0.1, 1.0) if share is None else self.sampled(share)

    def sampled(self, share: float) -> Estimate:
        """A share that was found in a sample of the rows: four standard deviations on either side."""
        if self.table.exact:
            return Estimate.exactly(share)
        sample = self.table.sample
        if sample <= 0:
            return Estimate(0.0, share, min(1.0, max(4 * share, 0.1)))
        error = 4 * math.sqrt(share * (1 - share) / sample) + (8 / sample if sample < math.inf else 0.0)
        error += self.table.stale / max(self.table.rows.likely, 1.0)
        return Estimate.of(share - error, share, min(share + error, 1.0))


def peek_literal(e: Scalar) -> object:
    """The value of a constant; None for anything else."""
    return e.value if isinstance(e, Lit) else None


@dataclass(slots=True)
class Selectivity:
    """Shares of one relation's rows, by what is known of its columns."""

    known: Callable[[int], Known | None]
    peek: Callable[[Scalar], object] = peek_literal
    keys: Callable[[KeyIn], Estimate] = lambda _: Estimate(0.0, KEYS, 1.0)

    def all_of(self, predicates: Sequence[Scalar]) -> Estimate:
        """The share that meets every predicate. Ranges of one column are one predicate; the others are taken to
        depend on each other more the more there are (each next one counts by the root of the root ...)."""
        ranges: dict[int, list[Call]] = {}
        shares: list[Estimate] = []
        for p in predicates:
            bound = self._bound(p)
            if bound is not None:
                ranges.setdefault(bound[0], []).append(bound[1])
            else:
                shares.append(self.share(p))
        shares += [self._between(column, bounds) for column, bounds in ranges.items()]
        return both(shares)

    def share(self, p: Scalar) -> Estimate:
        """The share that meets one predicate."""
        if isinstance(p, KeyIn):
            return self.keys(p)
        if isinstance(p, Lit):
            return ALL if p.value in ("true", "t") else NOTHING
        if not isinstance(p, Call):
            return Estimate(0.0, OTHER, 1.0)
        match p.op:
            case "and":
                return self.all_of(p.args)
            case "or":
                return either([self.share(a) for a in p.args])
            case "not":
                return Estimate(0.0, 1 - self.share(p.args[0]).likely, 1 - self.share(p.args[0]).low)
            case "=" | "<" | "<=" | ">" | ">=":
                bound = self._bound(p)
                return self._between(bound[0], [bound[1]]) if bound is not None else self._compared(p)
            case "in" | "any" | "<>" | "notin":
                return self._listed(p)
            case "is null" | "is not null":
                return self._null(p)
            case "like" | "ilike":
                return Estimate(0.0, self._match(p), 1.0)
            case "notlike" | "notilike":
                return Estimate(0.0, 1 - self._match(p), 1.0)
            case _:
                return Estimate(0.0, OTHER, 1.0)

    def _match(self, p: Call) -> float:
        """The likely share that a pattern fits: a beginning says more than something in between."""
        pattern = self.peek(bare(p.args[1]))
        fixed = re.match(r"[^%_\\]*", pattern) if isinstance(pattern, str) else None
        return PREFIX if fixed is not None and len(fixed[0]) >= FIXED else MATCH

    def _bound(self, p: Scalar) -> tuple[int, Call] | None:
        """The column, and the comparison with the column on the left, where it compares one with a constant."""
        if not isinstance(p, Call) or p.op not in _TURNED or len(p.args) != 2:
            return None
        a, b = p.args
        if isinstance(a, Col) and isinstance(b, Lit | Param):
            return a.id, p
        if isinstance(b, Col) and isinstance(a, Lit | Param):
            return b.id, Call(_TURNED[p.op], (b, a), p.type)
        return None

    def _between(self, column: int, bounds: list[Call]) -> Estimate:
        known = self.known(column)
        if any(isinstance(p.args[1], Lit) and p.args[1].value is None for p in bounds):
            return NOTHING
        if known is None:
            return both([Estimate(0.0, EQUAL if p.op == "=" else RANGE, 1.0) for p in bounds])
        equal = [p.args[1] for p in bounds if p.op == "="]
        if equal:
            return both([self._equal(known, e) for e in equal])
        low: list[tuple[Position, bool]] = []
        high: list[tuple[Position, bool]] = []
        for p in bounds:
            at = known.place(p.args[1], self.peek)
            if at is not None and p.op in (">", ">="):
                low.append((at, p.op == ">="))
            elif at is not None:
                high.append((at, p.op == "<="))
        if len(low) + len(high) < len(bounds) or not known.ordered:
            values = complement(known.nulls)
            return Estimate(0.0, values.likely * RANGE / len(bounds), values.high)
        return spread(known, _inner(low, max), _inner(high, min))

    def _equal(self, known: Known, e: Scalar) -> Estimate:
        at = known.place(e, self.peek)
        own, rare = known.statistics, rarely(known)
        if at is None:
            most = next(iter(own.most_common.values()), None)
            high = rare.high if most is None else max(rare.high, known.sampled(most).high)
            return Estimate.of(0.0, average(known), high)
        if at in own.most_common:
            return known.sampled(own.most_common[at])
        if known.ordered and _outside(own, at):
            return Estimate(0.0, 0.0, 0.0 if known.table.exact else rare.high)
        return rare

    def _listed(self, p: Call) -> Estimate:
        if p.op in ("<>", "notin"):
            inner = Call("=" if p.op == "<>" else "in", p.args, p.type)
            share = self.share(inner)
            known = self.known(p.args[0].id) if isinstance(p.args[0], Col) else None
            values = complement(known.nulls) if known is not None else Estimate(0.0, 1.0, 1.0)
            low = max(0.0, values.low - share.high)
            return Estimate.of(low, values.likely - share.likely, min(values.high, 1 - share.low))
        if p.op == "any":
            return Estimate(0.0, MATCH, 1.0)
        first, *members = p.args
        shares = [self.share(Call("=", (first, e), p.type)) for e in dict.fromkeys(members)]
        total = Estimate(
            max((s.low for s in shares), default=0.0), sum(s.likely for s in shares), sum(s.high for s in shares)
        )
        return total.at_most(1.0)

    def _compared(self, p: Call) -> Estimate:
        """Something other than a column with a constant."""
        if p.op != "=":
            return Estimate(0.0, RANGE, 1.0)
        counts = [self.known(a.id) for a in p.args if isinstance(a, Col)]
        distinct = [k.statistics.distinct.likely for k in counts if k is not None]
        finite = [d for d in distinct if 0 < d < math.inf]
        return Estimate(0.0, 1 / max(finite) if finite else MATCH, 1.0)

    def _null(self, p: Call) -> Estimate:
        column = p.args[0]
        known = self.known(column.id) if isinstance(column, Col) else None
        if known is None:
            return Estimate(0.0, 0.1 if p.op == "is null" else 0.9, 1.0)
        return known.nulls if p.op == "is null" else complement(known.nulls)


def both(shares: Iterable[Estimate]) -> Estimate:
    """The share that meets all, whatever their correlation: by the least, and by what surely overlaps."""
    found = list(shares)
    if not found:
        return ALL
    likely, weight = 1.0, 1.0
    for share in sorted(max(s.likely, 0.0) for s in found):  # statistics that are false may say less than nothing
        likely *= share**weight
        weight /= 2
    low = sum(s.low for s in found) - (len(found) - 1)
    return Estimate.of(low, likely, min(s.high for s in found))


def either(shares: Iterable[Estimate]) -> Estimate:
    """The share that meets at least one."""
    found = list(shares)
    likely = 1 - math.prod(1 - s.likely for s in found)
    return Estimate.of(max((s.low for s in found), default=0.0), likely, min(1.0, sum(s.high for s in found)))


def complement(share: Estimate) -> Estimate:
    """All that is not in it."""
    return Estimate(1 - share.high, 1 - share.likely, 1 - share.low)


def average(known: Known) -> float:
    """The share of one value as it comes."""
    distinct = known.distinct.likely
    return (1 - known.nulls.likely) / distinct if distinct > 0 else EQUAL


def rarely(known: Known) -> Estimate:
    """The share of a value that is not among the most common."""
    own, nulls = known.statistics, known.nulls
    common = sum(own.most_common.values())
    left = max(0.0, 1 - nulls.likely - common)
    others = known.distinct.likely - len(own.most_common)
    likely = left / others if others > 0 else average(known)
    exact = known.table.exact
    if not own.most_common:
        rows = known.table.rows
        spare = max(known.distinct.low - 1, 0.0) / rows.high if rows.high else 0.0  # each other value has a row too
        return Estimate.of(0.0, likely, max(0.0, complement(nulls).high - (spare if exact else 0.0)))
    least = min(own.most_common.values())
    high = min(least, left) if exact else min(1.0, known.sampled(least).high)
    return Estimate.of(0.0, likely, high)


def spread(known: Known, low: tuple[Position, bool] | None, high: tuple[Position, bool] | None) -> Estimate:
    """The share of values between two bounds (position, whether it is included)."""
    own, values = known.statistics, complement(known.nulls)
    if low is not None and high is not None and (low[0], not low[1]) > (high[0], not high[1]):
        return NOTHING
    common = [share for at, share in own.most_common.items() if _above(at, low) and _below(at, high)]
    inside = overlap = part = 0.0
    for bucket in own.buckets:
        if not (_above(bucket.high, low) and _below(bucket.low, high)):
            continue
        overlap += bucket.share
        if _above(bucket.low, low) and _below(bucket.high, high):
            inside += bucket.share
            part += bucket.share
        else:
            part += bucket.share * _part(bucket.low, bucket.high, low, high)
    if not own.buckets and own.low is not None and own.high is not None:
        rest = max(0.0, values.high - sum(own.most_common.values()))
        if _above(own.high, low) and _below(own.low, high):
            overlap, part = rest, rest * _part(own.low, own.high, low, high)
            inside = rest if _above(own.low, low) and _below(own.high, high) and own.nulls is not None else 0.0
    elif not own.buckets and own.distinct.high > len(own.most_common):
        return Estimate.of(
            sum(common), sum(common) + RANGE * (values.likely - sum(own.most_common.values())), values.high
        )
    return _sampled_range(known, sum(common) + inside, sum(common) + part, sum(common) + overlap)


def _sampled_range(known: Known, low: float, likely: float, high: float) -> Estimate:
    values = complement(known.nulls)
    rows = max(known.table.rows.likely, 1.0)
    slack = 3 / rows  # a row that is the border of two buckets, and what rounding loses
    if known.table.exact:
        return Estimate.of(low - slack, likely, min(high + slack, values.high))
    return Estimate.of(known.sampled(low).low - slack, likely, min(known.sampled(high).high + slack, 1.0))


def _inner(
    bounds: list[tuple[Position, bool]], most: Callable[..., tuple[Position, bool]]
) -> tuple[Position, bool] | None:
    """The tightest of several bounds; where two are equal, the one that excludes the border."""
    if not bounds:
        return None
    at = most(bounds, key=lambda bound: bound[0])[0]
    return at, all(included for place, included in bounds if place == at)


def _above(at: Position, low: tuple[Position, bool] | None) -> bool:
    return low is None or at > low[0] or (low[1] and at == low[0])  # type: ignore[operator]


def _below(at: Position, high: tuple[Position, bool] | None) -> bool:
    return high is None or at < high[0] or (high[1] and at == high[0])  # type: ignore[operator]


def _outside(own: ColumnStatistics, at: Position) -> bool:
    return (own.low is not None and at < own.low) or (own.high is not None and at > own.high)  # type: ignore[operator]


def _part(
    first: Position, last: Position, low: tuple[Position, bool] | None, high: tuple[Position, bool] | None
) -> float:
    """How much of [first, last] lies between the bounds, its values taken to lie evenly."""
    if isinstance(first, str) or isinstance(last, str):
        return 1.0 if _above(first, low) and _below(last, high) else 0.5
    start = first if low is None or isinstance(low[0], str) else max(first, low[0])
    end = last if high is None or isinstance(high[0], str) else min(last, high[0])
    return 1.0 if last <= first else max(0.0, min(1.0, (end - start) / (last - first)))
