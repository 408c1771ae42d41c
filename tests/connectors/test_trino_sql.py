"""Statements as they are written for Trino, which takes no parameters here."""

from __future__ import annotations

import pytest

from connectors.base import Bound
from connectors.trino.sql import text_of
from connectors.types import PgType

INT8 = PgType("int8")


@pytest.mark.parametrize(
    ("word", "value", "written"),
    [
        ("LIMIT ", 10, "10"),
        ("offset ", 3, "3"),
        ("LIMIT ", None, "ALL"),
        ("OFFSET ", None, "0"),
        ("> ", 10, "BIGINT '10'"),
    ],
)
def test_counts_are_bare_numbers(word: str, value: int | None, written: str) -> None:
    assert text_of(("SELECT 1 ", word, 0), (Bound(INT8, value),)) == f"SELECT 1 {word}{written}"
