"""Conformance: types as they are introspected, values as parameters, and errors for what does not fit."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from connectors.base import Bound, Connector, Table
from connectors.conformance.asking import ask, stored
from connectors.conformance.case import Case, Sample, Site
from connectors.conformance.fixtures import placed
from connectors.conformance.texts import column_texts
from connectors.errors import SourceError
from connectors.types import PgType

BOTH = pytest.mark.parametrize("small", [True, False], ids=["point", "bulk"])
INT4 = PgType("int4")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DAYS = (datetime.date.min.toordinal() - 719_163, datetime.date.max.toordinal() - 719_163)  # that Python has
_DAY = 86_400_000_000


def test_types_are_introspected(case: Case, connector: Connector, samples: str) -> None:
    table = introspected(connector, samples.rpartition(".")[2])
    assert {sample.ddl: table.column(sample.column).type for sample in case.samples} == {
        sample.ddl: sample.type for sample in case.samples
    }
    assert all(table.column(sample.column).native for sample in case.samples if sample.ddl)


def test_no_type_of_the_engine_is_missing(case: Case, site: Site, samples: str) -> None:
    if case.types is None:
        pytest.skip("the engine has no list of its types")
    missing = {row[0] for row in site.run(case.types.missing.format(table=samples.rpartition(".")[2]))}
    assert missing == set(case.types.apart)


def test_no_column_vanishes(case: Case, connector: Connector, samples: str) -> None:
    table = introspected(connector, samples.rpartition(".")[2])
    assert [column.name for column in table.columns] == ["id", *(sample.column for sample in case.samples)]


@BOTH
def test_values_go_in_as_parameters(case: Case, connector: Connector, samples: str, small: bool) -> None:
    for sample in (sample for sample in case.samples if sample.equal):
        for row, value in enumerate(parameters(connector, sample, samples)):
            if value is None:
                continue
            bound = Bound(sample.type.bare, value)
            text = f"SELECT id FROM {samples} WHERE {sample.column} = "
            found = ask(connector, text, bound, columns=(INT4,), small=small)
            assert row in found.column(0).to_pylist(), f"{sample.ddl}: {str(value)[:80]!r}"


@BOTH
def test_lists_go_in_as_one_parameter(case: Case, connector: Connector, samples: str, small: bool) -> None:
    for sample in (sample for sample in case.samples if sample.equal):
        values = parameters(connector, sample, samples)
        bound = Bound(sample.type.array, [value for value in values if value is not None])
        text = f"SELECT id FROM {samples} WHERE {sample.column} IN ("
        found = ask(connector, text, bound, ") ORDER BY id", columns=(INT4,), small=small).column(0).to_pylist()
        rows = range(max(len(other.values) for other in case.samples))
        assert found == [row for row in rows if values[row % len(values)] is not None], sample.ddl


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
    names = ", ".join(sample.column for sample in case.samples)
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
        with pytest.raises(SourceError) as caught:
            ask(connector, f"SELECT v FROM {placed(case, name)}", columns=(kind,), small=small)
        assert caught.value.sqlstate == "HV004", (ddl, str(caught.value))
        assert "c0" in caught.value.message
        assert caught.value.hint


def introspected(connector: Connector, name: str) -> Table:
    (table,) = connector.tables(tables=(name,))
    return table


def parameters(connector: Connector, sample: Sample, table: str) -> list[Any]:
    """The sample's values as a client's parameters; they are read as they come, which other tests prove to be right."""
    text = f"SELECT {sample.column} FROM {table} WHERE id < {len(sample.values)} ORDER BY id"
    column = ask(connector, text, columns=(sample.type,), small=True).column(0)
    texts = column_texts(column, sample.type)
    return [parameter(sample.type, *pair) for pair in zip(stored(column), texts, strict=True)]


def parameter(kind: PgType, value: Any, text: str | None) -> Any:
    """The Python value that a client's parameter of the type would be; text where Python has no such date or time."""
    if value is None or kind.name not in ("date", "time", "timestamp", "timestamptz"):
        return value
    if kind.name == "time":
        return text if value == _DAY else (EPOCH + datetime.timedelta(microseconds=value)).time()
    days = value if kind.name == "date" else value // _DAY
    if not _DAYS[0] < days < _DAYS[1]:
        return text
    if kind.name == "date":
        return (EPOCH + datetime.timedelta(days=value)).date()
    moment = EPOCH + datetime.timedelta(microseconds=value)
    return moment if kind.name == "timestamptz" else moment.replace(tzinfo=None)
