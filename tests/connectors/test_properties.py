"""Values at random, whatever a type has of them: as a point and in bulk they are what the engine itself prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.base import Connector
from connectors.conformance import Case, Sample, Site
from connectors.conformance.asking import ask
from connectors.conformance.cells import printed_by
from connectors.conformance.fixtures import placed
from connectors.conformance.texts import column_texts
from connectors.registry import connect
from tests.connectors.cases import CASES
from tests.connectors.embedded_cases import EMBEDDED

_ENGINES = [case for case in (*CASES, *EMBEDDED) if case.kind in ("postgresql", "mariadb", "sqlite", "duckdb")]
# two hundred types of PostgreSQL at once take minutes
_DEEP = {"postgresql": (pytest.mark.deep,)}
_PARAMS = [pytest.param(c, id=c.kind, marks=(*c.marks, *_DEEP.get(c.kind, ()))) for c in _ENGINES]
_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
_TINY = 1e-30  # MariaDB's literals and SQLite's have no subnormal numbers


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _integers(bits: int) -> st.SearchStrategy[str]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).map(str)


def _decimals(digits: int, scale: int) -> st.SearchStrategy[str]:
    most = 10**digits - 1
    return st.integers(-most, most).map(
        lambda n: f"{'-' if n < 0 else ''}{abs(n) // 10**scale}.{abs(n) % 10**scale:0{scale}d}"
    )


def _reals(single: bool) -> st.SearchStrategy[str]:
    found = st.floats(allow_nan=False, allow_infinity=False, width=32 if single else 64, allow_subnormal=False)
    return found.filter(lambda value: value == 0 or abs(value) > _TINY).map(
        lambda value: f"{value!r}e0" if "e" not in repr(value) else repr(value)
    )


_MOMENTS = st.datetimes().map(lambda moment: quoted(moment.isoformat(" ")))
LITERALS: dict[str, st.SearchStrategy[str]] = {
    "smallint": _integers(16),
    "integer": _integers(32),
    "int": _integers(32),
    "bigint": _integers(64),
    "real": _reals(single=True),
    "float": _reals(single=True),
    "double precision": _reals(single=False),
    "double": _reals(single=False),
    "decimal(10,2)": _decimals(10, 2),
    "numeric(10,2)": _decimals(10, 2),
    "decimal(38,10)": _decimals(38, 10),
    "numeric(38,10)": _decimals(38, 10),
    "decimal(65,30)": _decimals(65, 30),
    "numeric": st.one_of(_decimals(60, 25), _integers(900)),
    "hugeint": _integers(128),
    "bigint unsigned": st.integers(0, 2**64 - 1).map(str),
    "ubigint": st.integers(0, 2**64 - 1).map(str),
    "text": _TEXT.map(quoted),
    "varchar": _TEXT.map(quoted),
    "longtext": _TEXT.map(quoted),
    "date": st.dates().map(lambda day: quoted(day.isoformat())),
    "timestamp": _MOMENTS,
    "datetime(6)": _MOMENTS,
    "time(6)": st.times().map(lambda moment: quoted(moment.isoformat())),
    "uuid": st.uuids().map(lambda one: quoted(str(one))),
    "interval": st.tuples(*(st.integers(-99_999, 99_999),) * 3).map(
        lambda n: f"INTERVAL '{n[0]} months {n[1]} days {n[2]} microseconds'"
    ),
}
_OTHERS = {
    ("sqlite", "integer"): _integers(64),
    ("sqlite", "real"): _reals(single=False),
    ("sqlite", "float"): _reals(single=False),
}
# SQLite keeps decimals as reals, and its texts of instants in one spelling only
_LEFT = {("sqlite", name) for name in ("decimal(10,2)", "numeric", "int", "timestamp")}


def drawn(case: Case) -> list[tuple[Sample, st.SearchStrategy[str]]]:
    """The case's samples of types that values can be made of."""
    found = [(sample, _OTHERS.get((case.kind, sample.ddl), LITERALS.get(sample.ddl))) for sample in case.samples]
    return [(sample, one) for sample, one in found if one is not None and (case.kind, sample.ddl) not in _LEFT]


@pytest.fixture(scope="module", params=_PARAMS)
def opened(request: pytest.FixtureRequest) -> Iterator[tuple[Case, Site, Connector]]:
    case: Case = request.param
    with ExitStack() as stack:
        site = stack.enter_context(case.open(request))
        connector = connect(case.kind, "shop", {**site.options, "pool_size": 2})
        stack.callback(connector.close)
        columns = ", ".join(f"{sample.column} {sample.ddl}" for sample, _ in drawn(case))
        site.run(f"CREATE TABLE random (id int, {columns})")
        yield case, site, connector


@given(data=st.data())
@settings(
    max_examples=5,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_what_comes_is_what_the_engine_prints(opened: tuple[Case, Site, Connector], data: st.DataObject) -> None:
    case, site, connector = opened
    chosen = drawn(case)
    rows = data.draw(st.lists(st.tuples(*(one for _, one in chosen)), min_size=4, max_size=8))
    values = ", ".join(f"({number}, {', '.join(row)})" for number, row in enumerate(rows))
    site.run("DELETE FROM random", f"INSERT INTO random VALUES {values}")
    prints = printed_by(replace(case, samples=tuple(sample for sample, _ in chosen)), site, placed(case, "random"))
    for sample, _ in chosen:
        for small in (True, False):
            text = f"SELECT {sample.column} FROM {placed(case, 'random')} ORDER BY id"
            column = ask(connector, text, columns=(sample.type,), small=small).column(0)
            assert column_texts(column, sample.type) == prints[sample.ddl], (sample.ddl, small)
