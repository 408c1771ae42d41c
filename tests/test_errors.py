"""Errors as protocols tell them; what is our own bug tells nothing but its number."""

from __future__ import annotations

import logging

import pytest

from api import errors
from connectors.errors import ConfigError, Error, LimitExceeded, QueryError, SourceError


def test_fields() -> None:
    error = QueryError("no such column", sqlstate="42703", hint="look", position=8)
    assert errors.fields(error) == {
        "severity": "ERROR", "sqlstate": "42703", "message": "no such column", "hint": "look", "position": 8,
    }  # fmt: skip
    assert errors.letters(error) == {
        "S": "ERROR", "V": "ERROR", "C": "42703", "M": "no such column", "H": "look", "P": "8",
    }  # fmt: skip


def test_a_bug_leaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "vdw"):
        told = errors.fields(RuntimeError("password=geheim"))
    assert told["sqlstate"] == "XX000"
    assert "geheim" not in str(told)
    assert told["message"].split()[-1].rstrip(")") in caplog.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (QueryError("x"), 400),
        (QueryError("x", sqlstate="42501"), 403),
        (QueryError("x", sqlstate="28P01"), 401),
        (SourceError("x"), 502),
        (LimitExceeded("x", sqlstate="57014"), 504),
        (LimitExceeded("x"), 429),
        (ConfigError("x"), 500),
        (Error("x"), 400),
        (ValueError("x"), 500),
    ],
)
def test_status(error: Exception, status: int) -> None:
    assert errors.status(error) == status
