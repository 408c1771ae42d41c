"""Which keys all grouping sets have, so that filters on them may go below the grouping."""

from __future__ import annotations

import pytest

from planner.grouping_sets import common_keys

A, B, C = (("(", at, ")") for at in range(3))


@pytest.mark.parametrize(
    ("sets", "keys"),
    [
        ((), set()),
        ((*A, ", ", *B), {0, 1}),
        ((*A, ", ", "ROLLUP (", *B, ")"), {0}),
        (("ROLLUP (", *A, ", ", *B, ")"), set()),
        (("CUBE (", *A, ")", ", ", *C), {2}),
        (("GROUPING SETS (", "(", *A, ", ", *B, ")", ", ", *A, ")"), {0}),
        (("GROUPING SETS (", *A, ", ", "(", ")", ")"), set()),
        (("GROUPING SETS (", *A, ", ", "ROLLUP (", *A, ")", ")"), set()),
        (("GROUPING SETS (", "GROUPING SETS (", *A, ")", ", ", "(", *A, ", ", *C, ")", ")"), {0}),
    ],
)
def test_common_keys(sets: tuple[str | int, ...], keys: set[int]) -> None:
    assert common_keys(sets) == keys
