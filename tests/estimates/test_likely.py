"""Likely numbers where no statistics tell: what a plan is chosen by must not be far off, nor nothing at all."""

from __future__ import annotations

import pytest

from connectors.types import PgType
from planner import ir
from planner import scalar as sc
from planner.estimate import Estimator
from planner.scalar import Call, Col, Lit
from planner.selectivity import MATCH, PREFIX, Selectivity
from views.catalog import Statistics

INT, TEXT = PgType("int8"), PgType("text")


@pytest.mark.parametrize(
    ("op", "pattern", "share"),
    [
        ("like", "forest%", PREFIX),
        ("like", "fo%", MATCH),
        ("like", "%green%", MATCH),
        ("like", "f_rest%", MATCH),
        ("ilike", "forest%", PREFIX),
        ("notlike", "forest%", 1 - PREFIX),
        ("notlike", "%green%", 1 - MATCH),
    ],
)
def test_a_pattern_that_begins_with_characters_keeps_less(op: str, pattern: str, share: float) -> None:
    p = Call(op, (Col(1, TEXT), Lit(pattern, TEXT)), sc.BOOL)
    found = Selectivity(lambda _: None).share(p)
    assert (found.low, found.likely, found.high) == (0.0, pytest.approx(share), 1.0)


def test_an_anti_join_that_may_leave_nothing_is_not_taken_to() -> None:
    left, right = (ir.Values(((Lit("1", INT),),) * 100, ((i, INT),)) for i in (1, 2))
    on = (Call("=", (Col(1, INT), Col(2, INT)), sc.BOOL),)
    rows = Estimator(Statistics()).rows(ir.Join("anti", left, right, on))
    assert 0 < rows.likely < 100
