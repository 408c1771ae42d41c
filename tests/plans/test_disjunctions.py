"""Rewritten ORs mean what they meant, in three-valued logic, over all values of their parts."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.types import PgType
from planner import ir
from planner import scalar as sc
from planner.rules.disjunctions import factor_disjunctions, weakened
from planner.scalar import Call, Col, Scalar

BOOL = PgType("bool")
LEAVES = [Col(i, BOOL) for i in range(4)]
LEFT = frozenset((0, 1))
Truth = bool | None


PREDICATES: st.SearchStrategy[Scalar] = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.builds(
        lambda op, args: Call(op, tuple(args), BOOL), st.sampled_from(["and", "or"]), st.lists(inner, min_size=2)
    ),
    max_leaves=9,
)


def value(e: Scalar, row: tuple[Truth, ...]) -> Truth:
    if isinstance(e, Col):
        return row[e.id]
    if e == sc.TRUE:
        return True
    assert isinstance(e, Call)
    found = [value(arg, row) for arg in e.args]
    decisive = e.op == "or"
    if decisive in found:
        return decisive
    return None if None in found else not decisive


def rows() -> list[tuple[Truth, ...]]:
    return list(product((True, False, None), repeat=len(LEAVES)))


@pytest.mark.slow
@given(PREDICATES)
def test_factored_predicates_are_together_what_they_were(p: Scalar) -> None:
    factored = factor_disjunctions(ir.Filter(ir.Values(((),), ()), (p,)))
    assert isinstance(factored, ir.Filter)
    whole = sc.conjoin(factored.predicates)
    assert all(value(whole, row) == value(p, row) for row in rows())


@given(PREDICATES)
def test_what_an_or_says_of_one_side_is_true_wherever_it_is(p: Scalar) -> None:
    weaker = weakened(p, LEFT)
    if weaker is not None:
        assert sc.columns(weaker) <= LEFT
        assert all(value(weaker, row) is True for row in rows() if value(p, row) is True)


def test_each_branch_has_to_say_something_of_the_side() -> None:
    a, b, c, d = LEAVES
    both = Call("or", (Call("and", (a, d), BOOL), Call("and", (b, c), BOOL)), BOOL)
    assert weakened(both, LEFT) == Call("or", (a, b), BOOL)
    assert weakened(Call("or", (Call("and", (a, c), BOOL), d), BOOL), LEFT) is None
