"""Whether an engine computes a scalar as the canon does: EXACT, SUPERSET or NO, with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.base import Collation, Unfit
from connectors.capability import Capability, V, family
from connectors.capability.rules import Arg, Digits
from planner import digits, scales
from planner import scalar as sc
from planner.scalar import Agg, Boundary, Call, Col, KeyIn, Lit, Once, Param, Scalar, Verbatim
from planner.targets import bindable, find, find_aggregate, python_value

_CHOSEN = frozenset(("case", "coalesce", "nullif", "cast"))  # these have values, of booleans too
_NARROW = frozenset(("duckdb", "trino"))  # whose decimals have 38 digits; a constant of more would be refused there
_OTHER = "stored values may not be of the column's type"
_COARSENESS = {Collation.BYTES: 0, Collation.EQUAL: 1, Collation.LOOSE: 2}


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of a column where it is computed: whether stored values are of its type, its collation, and how
    many digits behind the point all of a numeric's values have (None where these differ, see scales.py)."""

    exact: bool = True
    collation: Collation = Collation.BYTES
    scale: int | None = None
    digits: Digits | None = None
    unfit: Unfit = "error"  # what becomes of stored values that are not of its type


Facts = Mapping[int, Fact]


@dataclass(frozen=True, slots=True)
class Proof:
    """A verdict, the coarsest collation among the columns, and why it is no better."""

    verdict: V
    collation: Collation = Collation.BYTES
    reason: str = ""
    digits: Digits | None = None

    @property
    def fact(self) -> Fact:
        """What is then known of a column that holds this value."""
        return Fact(True, self.collation, digits=self.digits)


def coarser(a: Collation, b: Collation) -> Collation:
    """The coarser of two collations."""
    return a if _COARSENESS[a] >= _COARSENESS[b] else b


def prove(e: Scalar, capability: Capability, facts: Facts, *, condition: bool = False) -> Proof:
    """The verdict on one scalar, as a value or as a `condition`: what stands in WHERE, ON, AND, OR, NOT and WHEN."""
    if "conditions" in capability.features and family(e.type) == "bool" and condition is not _is_condition(e):
        return Proof(V.NO, reason=f"conditions are no values on {capability.engine}")
    if condition and _inexact(e, facts):
        return Proof(V.NO, reason=_OTHER)
    match e:
        case Col():
            return _column(e, facts)
        case Lit():
            return _literal(e, capability)
        case Param():
            return Proof(V.EXACT) if bindable((e.type,)) else Proof(V.NO, reason=f"parameter of {e.type.sql}")
        case Once() | Boundary():
            return Proof(V.EXACT)
        case Verbatim():
            text = "".join(p if isinstance(p, str) else "…" for p in e.parts)
            return Proof(V.NO, reason=f"no rule for {text[:60]}")
        case KeyIn():
            return _keys(e, capability, facts)
        case Call():
            return _call(e, capability, facts)
        case _:
            return Proof(V.NO, reason="sub-query" if isinstance(e, sc.Sub) else "aggregate")


def _is_condition(e: Scalar) -> bool:
    """Whether SQL without booleans calls it a condition."""
    return isinstance(e, KeyIn) or (isinstance(e, Call) and e.op not in _CHOSEN)


def _conditions(e: Call) -> Sequence[bool]:
    """Which arguments of a call are conditions."""
    if e.op == "case":
        return [at % 2 == 0 and at + 1 < len(e.args) for at in range(len(e.args))]
    return [e.op in ("and", "or", "not")] * len(e.args)


def _column(e: Col, facts: Facts) -> Proof:
    fact = facts.get(e.id)
    if fact is None:
        return Proof(V.NO, reason="a column of an enclosing query")
    known = fact.digits or digits.of_type(e.type)
    if known is None and fact.scale is not None:
        known = Digits(scales.MOST - fact.scale, fact.scale)
    return Proof(V.EXACT, fact.collation, digits=known)


def _literal(e: Lit, capability: Capability) -> Proof:
    narrow = capability.dialect in _NARROW and e.type.name == "numeric"
    if not bindable((e.type,)) or (narrow and not scales.exact_in_duckdb(e)):
        return Proof(V.NO, reason=f"constant of {e.type.sql}")
    try:
        python_value(e)
    except ValueError:
        return Proof(V.NO, reason=f"constant {e.type.sql} {e.value}")
    return Proof(V.EXACT, digits=digits.of_literal(e))


def _keys(e: KeyIn, capability: Capability, facts: Facts) -> Proof:
    if len(e.args) > 1 and ("any", "rows") not in capability.scalars:
        return Proof(V.NO)
    for column in e.args:
        kind = column.type
        if not isinstance(column, Col) or kind is None or not facts.get(column.id, Fact(exact=False)).exact:
            return Proof(V.NO)
        if capability.scalar("any", (kind, kind.bare.array)) is None:
            return Proof(V.NO)
    return Proof(V.SUPERSET)


def _inexact(e: Scalar, facts: Facts) -> bool:
    return isinstance(e, Col) and e.id in facts and not facts[e.id].exact


def _lossy(e: Scalar, facts: Facts) -> bool:
    """Whether a stored value may be NULL here."""
    return isinstance(e, Col) and e.id in facts and facts[e.id].unfit == "null"


def _texts(e: Scalar) -> bool:
    return family(e.type) == "text" and bool(sc.columns(e))


def _dangling(pattern: Scalar) -> bool:
    """Whether a LIKE pattern ends with a lone backslash, which PostgreSQL alone calls an error."""
    text = pattern.value if isinstance(pattern, Lit) else None
    return text is not None and (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _call(e: Call, capability: Capability, facts: Facts) -> Proof:
    places = zip(e.args, _conditions(e), strict=True)
    proofs = [prove(a, capability, facts, condition=condition) for a, condition in places]
    collation = Collation.BYTES
    for proof in proofs:
        collation = coarser(collation, proof.collation)
    worst = min(proofs, key=lambda p: p.verdict, default=Proof(V.EXACT))
    if worst.verdict is V.NO:
        return Proof(V.NO, collation, worst.reason)
    if e.op in ("and", "or"):
        known = (e.op, "bool", "...") in capability.scalars
        return Proof(worst.verdict, collation, worst.reason) if known else _ruleless(e, collation, capability)
    if worst.verdict is V.SUPERSET:
        return Proof(V.NO, collation, f"{worst.reason} below {e.op}")
    tested = _lossy if e.op in ("is null", "is not null") else _inexact
    if any(tested(a, facts) for a in e.args):
        return Proof(V.NO, collation, _OTHER)
    if "like" in e.op and _dangling(e.args[1]):
        return Proof(V.NO, collation, "the pattern ends in its escape character")
    if collation is not Collation.BYTES and sum(_texts(a) for a in e.args) > 1:
        return Proof(V.NO, collation, "texts of columns that may have unlike collations")
    rule = find(capability, e)
    if rule is None:
        return _ruleless(e, collation, capability)
    if "boundaries" not in capability.features and any(isinstance(a, Boundary) and not a.sure for a in e.args):
        verdict = min(rule.verdict(collation), V.SUPERSET)
        return Proof(verdict, Collation.BYTES, "the sub-query may have several rows, which is for the canon to say")
    verdict = rule.verdict(collation)
    why = "" if verdict is V.EXACT else rule.reason or f"collation compares {collation.value}"
    given = [p.digits for p in proofs]
    if rule.guard is not None:
        held = rule.guard(_guarded(e, given))
        if held:
            return Proof(V.NO, collation, held)
    # What a comparison gives is no text any more; what || or coalesce gives still is.
    kept = collation if family(e.type) == "text" else Collation.BYTES
    return Proof(verdict, kept, why, digits.of_call(e, given))


def _ruleless(e: Call, collation: Collation, capability: Capability) -> Proof:
    kinds = ", ".join(a.type.sql if a.type is not None else "?" for a in e.args)
    return Proof(V.NO, collation, f"no rule for {e.op}({kinds}) on {capability.engine}")


def _guarded(e: Call, given: list[Digits | None]) -> list[Arg]:
    made = [
        Arg(a.type, a.value, known, a.value is None) if isinstance(a, Lit) else Arg(a.type, None, known)
        for a, known in zip(e.args, given, strict=True)
    ]
    return [*made, Arg(e.type)] if e.op == "cast" else made


def prove_aggregate(e: Scalar, capability: Capability, facts: Facts) -> Proof:
    """The verdict on one aggregate call."""
    if not isinstance(e, Agg):
        return Proof(V.NO, reason="an aggregate that no rule knows")
    rule = find_aggregate(capability, e)
    if rule is None:
        return Proof(V.NO, reason=f"no rule for {e.name} on {capability.engine}")
    if e.where is not None and "filter" not in capability.features:
        return Proof(V.NO, reason="FILTER")
    proofs = [prove(a, capability, facts, condition=a is e.where) for a in sc.children(e)]
    if any(p.verdict is not V.EXACT for p in proofs):
        return Proof(V.NO, reason=next(p.reason for p in proofs if p.verdict is not V.EXACT))
    known = proofs[0].digits if e.args else None
    if e.name == "sum" and not _summable(e.args[0], known, capability):
        return Proof(V.NO, reason=f"a sum of so many digits may overflow in {capability.engine}")
    if rule.guard is not None:
        held = rule.guard([Arg(a.type, None, known) for a in e.args])
        if held:
            return Proof(V.NO, reason=held)
    counted = _lossy if e.name == "count" and not e.distinct else _inexact
    if any(counted(a, facts) for a in e.args) or (e.where is not None and _inexact(e.where, facts)):
        return Proof(V.NO, reason=_OTHER)
    collation = Collation.BYTES
    for proof in proofs[: len(e.args)]:
        collation = coarser(collation, proof.collation)
    verdict = rule.verdict(collation)
    kept = collation if family(e.type) == "text" else Collation.BYTES
    why = "" if verdict is V.EXACT else f"collation compares {collation.value}"
    return Proof(verdict if verdict is V.EXACT else V.NO, kept, why, digits.of_aggregate(e, known))


def _summable(e: Scalar, known: Digits | None, capability: Capability) -> bool:
    if e.type is None or e.type.name != "numeric" or capability.sum_digits is None:
        return True
    return known is not None and known.all <= capability.sum_digits


def prove_key(e: Scalar, capability: Capability, facts: Facts, table: str = "keys") -> Proof:
    """Whether values group (table 'keys') or sort ('order') there as in the canon."""
    proof = prove(e, capability, facts)
    if proof.verdict is not V.EXACT or _inexact(e, facts):
        return Proof(V.NO, reason=proof.reason or _OTHER)
    kind = family(e.type)
    verdicts = (capability.keys if table == "keys" else capability.order).get(kind)
    if verdicts is None or (kind == "numeric" and table == "keys" and not _one_scale(e, proof, facts)):
        return Proof(V.NO, reason=f"{table} of {e.type.sql if e.type else '?'}")
    verdict = verdicts[_COARSENESS[proof.collation]]
    if verdict is not V.EXACT:
        return Proof(V.NO, proof.collation, f"collation orders {proof.collation.value}")
    return proof


def _one_scale(e: Scalar, proof: Proof, facts: Facts) -> bool:
    """Whether equal numerics print the same."""
    known = facts.get(e.id) if isinstance(e, Col) else None
    return e.type is None or proof.digits is not None or (known is not None and known.scale is not None)


def weaken(e: Scalar, capability: Capability, facts: Facts) -> Scalar | None:
    """A pushable predicate that is true wherever `e` is; None where there is none."""
    if prove(e, capability, facts, condition=True).verdict is not V.NO:
        return e
    if not isinstance(e, Call) or e.op not in ("and", "or"):
        return None
    parts = [weaken(a, capability, facts) for a in e.args]
    kept = tuple(p for p in parts if p is not None)
    if not kept or (e.op == "or" and len(kept) < len(parts)):
        return None
    return kept[0] if len(kept) == 1 else Call(e.op, kept, sc.BOOL)
