"""now(), current_date and arithmetic on them are constants of one query: computed once, then sent as values."""

from __future__ import annotations

from connectors.capability.signatures import ZONED
from connectors.types import PgType
from planner import ir
from planner import scalar as sc
from planner.functions import CLOCK
from planner.ir import Rel
from planner.scalar import Call, Lit, Once, Param, Scalar, Verbatim
from planner.targets import bindable

_MOVES = frozenset(("timestamptz", "timestamp", "date"))


class Computed:
    """Collects the expressions of one statement that are to be computed before its fragments run."""

    def __init__(self) -> None:
        self.found: list[tuple[Scalar, PgType]] = []

    def fold(self, rel: Rel) -> Rel:
        """Comparisons with such an expression get a marker in its place."""
        return ir.rewrite(rel, self._node)

    def _node(self, rel: Rel) -> Rel:
        if not isinstance(rel, ir.Filter | ir.Join):
            return rel
        return ir.with_scalars(rel, tuple(sc.transform(e, self._comparison) for e in ir.scalars(rel)))

    def _comparison(self, e: Scalar) -> Scalar | None:
        if not isinstance(e, Call) or e.op not in ("=", "<", "<=", ">", ">="):
            return None
        args = tuple(self._value(a) for a in e.args)
        return Call(e.op, args, e.type) if args != e.args else None

    def _value(self, e: Scalar) -> Scalar:
        kind = stable_type(e)
        if kind is None or isinstance(e, Lit | Param) or not bindable((kind,)):
            return e
        for at, (known, _) in enumerate(self.found):
            if known == e:
                return Once(at, (e,), kind)
        self.found.append((e, kind))
        return Once(len(self.found) - 1, (e,), kind)


def stable_type(e: Scalar) -> PgType | None:
    """The type of an expression over the clock and constants that cannot fail; None for any other."""
    match e:
        case Lit() | Param():
            return e.type
        case Verbatim() if len(e.parts) == 1 and str(e.parts[0]).upper() in CLOCK:
            return e.type
        case Call() if e.op.startswith("date_trunc "):
            inner = stable_type(e.args[0])
            return inner if inner is not None and inner.name != "date" else None
        case Call() if e.op in ("+", "-") and len(e.args) == 2:
            return _moved(e.op, *(stable_type(a) for a in e.args))
        case Call() if e.op in ("cast", "cast" + ZONED) and e.type is not None:
            inner = stable_type(e.args[0])
            moves = inner is not None and inner.name in _MOVES and e.type.name in _MOVES and e.type.mod < 0
            return e.type if moves else None
        case _:
            return None


def _moved(op: str, left: PgType | None, right: PgType | None) -> PgType | None:
    if left is None or right is None or left.name not in _MOVES:
        return None
    if right.name == "interval":
        return PgType("timestamp") if left.name == "date" else left
    if left.name == "date" and right.name == "int4":
        return left
    del op
    return None
