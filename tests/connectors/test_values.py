"""Conformance: every type comes out of every connector as it went in, and goes in as a parameter."""

from __future__ import annotations

import datetime
import math
import struct
from typing import Any

import pytest

from connectors.base import Bound, Connector, Table
from connectors.errors import SourceError
from connectors.types import PgType
from tests.connectors.asking import ask, stored
from tests.connectors.cases import INF_DAYS, INF_US, Case, Sample, Site

BOTH = pytest.mark.parametrize("small", [True, False], ids=["point", "bulk"])
INT4 = PgType("int4")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def column(sample: Sample) -> str:
    return "v_" + "".join(char if char.isalnum() else "_" for char in sample.ddl).lower()


@pytest.fixture(scope="module")
def samples(case: Case, site: Site) -> str:
    """A table with one column per sample, and as many rows as the longest sample has values."""
    columns = ", ".join(f"{column(sample)} {sample.ddl}" for sample in case.samples)
    site.run(f"CREATE TABLE samples (id int PRIMARY KEY, {columns})")
    for row in range(max(len(sample.values) for sample in case.samples)):
        literals = ", ".join(sample.values[row % len(sample.values)][0] for sample in case.samples)
        site.run(f"INSERT INTO samples VALUES ({row}, {literals})")
    return f"{case.schema}.samples" if case.schema else "samples"


def expected(sample: Sample, rows: int) -> list[Any]:
    return [sample.values[row % len(sample.values)][1] for row in range(rows)]


def same(got: Any, want: Any, kind: PgType) -> bool:
    if isinstance(want, float) and got is not None:
        if kind.name == "float4":
            want = struct.unpack("f", struct.pack("f", want))[0]
        return (math.isnan(got) and math.isnan(want)) or struct.pack("d", got) == struct.pack("d", want)
    return bool(got == want)


@BOTH
def test_every_type_round_trips(case: Case, connector: Connector, samples: str, small: bool) -> None:
    names = ", ".join(column(sample) for sample in case.samples)
    types = tuple(sample.type for sample in case.samples)
    table = ask(connector, f"SELECT {names} FROM {samples} ORDER BY id", columns=types, small=small)
    for index, sample in enumerate(case.samples):
        got = stored(table.column(index))
        want = expected(sample, table.num_rows)
        wrong = [pair for pair in zip(got, want, strict=True) if not same(*pair, sample.type)]
        assert not wrong, f"{sample.ddl}: (got, want) = {wrong}"


def test_types_are_introspected(case: Case, connector: Connector, samples: str) -> None:
    table = introspected(connector, "samples")
    assert {sample.ddl: table.column(column(sample)).type for sample in case.samples} == {
        sample.ddl: sample.type for sample in case.samples
    }
    assert all(table.column(column(sample)).native for sample in case.samples)


@BOTH
def test_values_go_in_as_parameters(case: Case, connector: Connector, samples: str, small: bool) -> None:
    for sample in (sample for sample in case.samples if sample.equal):
        for row, (_, value) in enumerate(sample.values):
            if value is None:
                continue
            bound = Bound(sample.type.bare, parameter(sample.type, value))
            found = ask(
                connector, f"SELECT id FROM {samples} WHERE {column(sample)} = ", bound, columns=(INT4,), small=small
            )
            assert row in found.column(0).to_pylist(), f"{sample.ddl}: {value!r}"


@BOTH
def test_lists_go_in_as_one_parameter(case: Case, connector: Connector, samples: str, small: bool) -> None:
    for sample in (sample for sample in case.samples if sample.equal):
        values = [parameter(sample.type, value) for _, value in sample.values if value is not None]
        bound = Bound(sample.type.array, values)
        text = f"SELECT id FROM {samples} WHERE {column(sample)} IN ("
        found = ask(connector, text, bound, ") ORDER BY id", columns=(INT4,), small=small).column(0).to_pylist()
        rows = range(max(len(other.values) for other in case.samples))
        assert found == [row for row in rows if sample.values[row % len(sample.values)][1] is not None], sample.ddl


@BOTH
def test_empty_lists(connector: Connector, samples: str, small: bool) -> None:
    none = Bound(INT4.array, [])
    columns = (INT4,)
    inside = ask(connector, f"SELECT id FROM {samples} WHERE id IN (", none, ")", columns=columns, small=small)
    outside = ask(connector, f"SELECT id FROM {samples} WHERE id NOT IN (", none, ")", columns=columns, small=small)
    assert inside.num_rows == 0
    assert outside.num_rows > 3


@BOTH
def test_a_null_parameter_equals_nothing(connector: Connector, samples: str, small: bool) -> None:
    null = Bound(INT4, None)
    assert ask(connector, f"SELECT id FROM {samples} WHERE id = ", null, columns=(INT4,), small=small).num_rows == 0


@BOTH
def test_an_empty_answer_has_the_schema(case: Case, connector: Connector, samples: str, small: bool) -> None:
    names = ", ".join(column(sample) for sample in case.samples)
    types = tuple(sample.type for sample in case.samples)
    assert ask(connector, f"SELECT {names} FROM {samples} WHERE id < 0", columns=types, small=small).num_rows == 0


@BOTH
def test_text_is_never_taken_for_sql(connector: Connector, samples: str, small: bool) -> None:
    for text in ("'; DROP TABLE samples; --", "\\'; --", "\\", "%s %(a)s {}", '"', "`", "$1", "?", ":a", "\n\t", "é'"):
        bound = Bound(PgType("text"), text)
        got = ask(connector, "SELECT ", bound, f" FROM {samples} WHERE id = 0", columns=(PgType("text"),), small=small)
        assert got.column(0).to_pylist() == [text]


@pytest.mark.slow
@BOTH
def test_a_value_that_does_not_fit_is_an_error(case: Case, connector: Connector, site: Site, small: bool) -> None:
    for number, (ddl, literal, kind) in enumerate(case.unfit):
        name = f"unfit_{number}_{small}"
        site.run(f"CREATE TABLE {name} (v {ddl})", f"INSERT INTO {name} VALUES ({literal})")
        where = f"{case.schema}.{name}" if case.schema else name
        with pytest.raises(SourceError) as caught:
            ask(connector, f"SELECT v FROM {where}", columns=(kind,), small=small)
        assert caught.value.sqlstate == "HV004", (ddl, str(caught.value))
        assert "c0" in caught.value.message
        assert caught.value.hint


def introspected(connector: Connector, name: str) -> Table:
    (table,) = connector.tables(tables=(name,))
    return table


def parameter(kind: PgType, value: Any) -> Any:
    """The Python value that a client's parameter of the type would be."""
    if value in (INF_DAYS, INF_US, -INF_DAYS, -INF_US) and kind.name in ("date", "timestamp", "timestamptz"):
        return "infinity" if value > 0 else "-infinity"
    if kind.name == "date":
        return (EPOCH + datetime.timedelta(days=value)).date() if -700_000 < value < 3_000_000 else _far(value)
    if kind.name in ("timestamp", "timestamptz"):
        if value < -60_000_000_000_000_000:
            return "4713-01-01 00:00:00 BC"
        moment = EPOCH + datetime.timedelta(microseconds=value)
        return moment if kind.name == "timestamptz" else moment.replace(tzinfo=None)
    if kind.name == "time":
        return "24:00:00" if value == 86_400_000_000 else (EPOCH + datetime.timedelta(microseconds=value)).time()
    return value


def _far(days: int) -> str:
    return {-2440550: "4713-01-01 BC", 2145042905: "5874897-12-31"}[days]
