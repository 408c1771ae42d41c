"""What a connector of somebody else's may do wrong: it is told as its own fault, and nothing of it gets through."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from connectors import arrow
from connectors.capability.spellings import base, castable
from connectors.errors import LimitExceeded, SourceError
from connectors.types import PgType
from federation.naming import named


def test_bytes_that_are_no_text_do_not_get_through() -> None:
    raw = [None, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"a\x81")]
    values = pa.Array.from_buffers(pa.string(), 2, raw)
    with pytest.raises(SourceError, match="bytes that are not UTF-8"):
        arrow.conform(values, PgType("text"), "c0")


def test_what_a_connector_did_not_expect_is_its_sources_error(caplog: pytest.LogCaptureFixture) -> None:
    def batches(error: Exception) -> Iterator[pa.RecordBatch]:
        raise error
        yield

    with pytest.raises(SourceError) as caught:
        next(named(batches(AttributeError("a value: 42")), "crm", "SELECT 1"))
    assert str(caught.value) == 'source "crm": the connector failed: AttributeError'
    assert caught.value.hint is not None and "report it to its makers" in caught.value.hint
    assert "AttributeError" in caplog.text
    with pytest.raises(LimitExceeded):
        next(named(batches(LimitExceeded("late")), "crm", "SELECT 1"))


@pytest.mark.parametrize(
    ("native", "name"),
    [
        ("NVARCHAR(MAX)", "NVARCHAR"),
        ("VARCHAR2(100 CHAR)", "VARCHAR2"),
        ("timestamp(3) with time zone", "TIMESTAMP WITH TIME ZONE"),
        ("enum('a','b,c)')", "ENUM"),
        ("decimal(10,2) unsigned", "DECIMAL UNSIGNED"),
        ("DateTime64(3, 'UTC')", "DATETIME64"),
        ("Nullable(String)", "NULLABLE(STRING)"),  # what is proven of it says nothing of Nullable(FixedString(3))
        ("Nullable(FixedString(3))", "NULLABLE(FIXEDSTRING)"),
    ],
)
def test_a_type_s_name_keeps_what_it_is_made_of(native: str, name: str) -> None:
    assert base(native) == name


def test_clickhouse_casts_to_types_that_hold_null() -> None:
    assert castable("Int32", "int4", "clickhouse") == "Nullable(Int32)"
    assert castable("LowCardinality(String)", "text", "clickhouse") == "LowCardinality(Nullable(String))"
    assert castable("Nullable(Decimal(9, 2))", "long", "clickhouse") == "Nullable(Decimal(38,10))"
