"""Tables of random types with hostile values: by every connector, as a point and in bulk, what the engine prints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from random import Random
from typing import Any

import pytest

from connectors.base import Connector
from connectors.conformance import Case, Site
from connectors.conformance.asking import ask
from connectors.conformance.fixtures import placed
from connectors.conformance.texts import column_texts
from connectors.errors import SourceError
from connectors.registry import connect
from connectors.types import PgType
from tests.connectors import random_types
from tests.connectors.alchemy_cases import ALCHEMY
from tests.connectors.cases import CASES
from tests.connectors.embedded_cases import EMBEDDED
from tests.connectors.odbc_cases import ODBC
from tests.connectors.random_types import POSTGRES_SETUP, Draw, Made

TEXT = PgType("text")
COLUMNS = 24
ENGINES = ("postgresql", "mariadb", "sqlite", "duckdb")
_NATIVE = [case for case in (*CASES, *EMBEDDED) if case.label != "parquet"]
_PARAMS = [pytest.param(case, id=case.name, marks=case.marks) for case in _NATIVE]
_PARAMS += [pytest.param(case, id=case.name, marks=(*case.marks, pytest.mark.deep)) for case in (*ODBC, *ALCHEMY)]


def engine(case: Case) -> str:
    """The engine behind a connector."""
    return next(name for name in ENGINES if name in case.name.lower())


@dataclass(frozen=True)
class Opened:
    """A source at work, read by a connector."""

    case: Case
    site: Site
    engine: str
    connector: Connector

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.site.run(*statements)


@pytest.fixture(scope="module", params=_PARAMS)
def source(request: pytest.FixtureRequest) -> Iterator[tuple[Case, Site]]:
    case: Case = request.param
    with case.open(request) as site:
        if engine(case) == "postgresql":
            site.run(*POSTGRES_SETUP)
        yield case, site


@pytest.fixture
def opened(source: tuple[Case, Site]) -> Iterator[Opened]:
    case, site = source
    connector = connect(case.kind, "shop", {**site.options, "pool_size": 2})
    yield Opened(case, site, engine(case), connector)
    connector.close()


def made(draw: Draw, engine: str) -> list[Made]:
    """Random columns, without their PostgreSQL types as yet."""
    found = islice(getattr(random_types, engine)(draw), COLUMNS)
    return [Made(ddl, TEXT, (), name=f"c{at}", literals=tuple(literals)) for at, (ddl, literals) in enumerate(found)]


def filled(opened: Opened, name: str, columns: list[Made]) -> list[Made]:
    """Make the table and put in what the engine takes; the columns that it takes at all."""
    kept = columns if _declared(opened, columns) else [one for one in columns if _declared(opened, [one])]
    opened.run(
        _table(name, kept), *(f"INSERT INTO {name} (id) VALUES ({row})" for row in range(len(kept[0].literals) + 1))
    )
    _tried(
        opened,
        [
            f"UPDATE {name} SET {one.column} = {literal} WHERE id = {row}"
            for one in kept
            for row, literal in enumerate(one.literals)
        ],
    )
    return kept


def _table(name: str, columns: list[Made]) -> str:
    return f"CREATE TABLE {name} (id int PRIMARY KEY, {', '.join(f'{one.column} {one.ddl}' for one in columns)})"


def _declared(opened: Opened, columns: list[Made]) -> bool:
    try:
        opened.run("DROP TABLE IF EXISTS tried", _table("tried", columns), "DROP TABLE tried")
    except Exception:
        return False
    return True


def _tried(opened: Opened, updates: list[str]) -> None:
    """Those that the engine takes, which is found by halves."""
    with contextlib.suppress(Exception):
        opened.run(*updates)
        return
    if len(updates) > 1:
        half = len(updates) // 2
        _tried(opened, updates[:half])
        _tried(opened, updates[half:])


def introspected(opened: Opened, name: str, columns: list[Made]) -> list[Made]:
    """The columns, none of which is missing, with the types that the connector reads them as."""
    (table,) = opened.connector.tables(tables=(name,))
    assert [column.name for column in table.columns] == ["id", *(one.column for one in columns)]
    return [replace(one, type=table.column(one.column).type) for one in columns]


def printed(opened: Opened, one: Made, name: str) -> list[Any]:
    """What the engine prints of a column, as it is."""
    printing = opened.case.printing
    assert printing is not None
    text = f"SELECT {printing.text(one)} FROM {name} ORDER BY id"
    return [row[0] for row in opened.run(*printing.prologue, text)]


def faults(opened: Opened, one: Made, name: str, small: bool) -> Iterator[str]:
    """Values of a column that do not come as the engine prints them, and those that are refused without need."""
    printing = opened.case.printing
    assert printing is not None
    table = placed(opened.case, name)
    raw = printed(opened, one, table)
    try:
        got = column_texts(
            ask(
                opened.connector, f"SELECT {one.column} FROM {table} ORDER BY id", columns=(one.type,), small=small
            ).column(0),
            one.type,
        )
    except SourceError as error:
        if error.sqlstate != "HV004":
            yield f"{error.sqlstate} {error.message}"
            return
        yield from _one_by_one(opened, one, table, raw, small)
        return
    for at, (value, text) in enumerate(zip(got, raw, strict=True)):
        want = None if text is None else printing.canonical(one, text)
        if value != want:
            yield f"{one.literals[at]:.90} comes as {value!s:.90}, printed {want!s:.90}"


def _one_by_one(opened: Opened, one: Made, table: str, raw: list[Any], small: bool) -> Iterator[str]:
    printing = opened.case.printing
    assert printing is not None
    texts = printed(opened, replace(one, type=TEXT), table)
    for at, text in enumerate(raw):
        where = f"SELECT {one.column} FROM {table} WHERE id = {at}"
        try:
            (value,) = column_texts(ask(opened.connector, where, columns=(one.type,), small=small).column(0), one.type)
        except SourceError as error:
            if error.sqlstate != "HV004":
                yield f"{one.literals[at]:.90}: {error.sqlstate} {error.message}"
            elif not allowed(opened.engine, one, texts[at]):
                yield f"{one.literals[at]:.90} ({texts[at]!s:.60}) is refused: {error.message}"
            try:
                (told,) = (
                    ask(opened.connector, where, columns=(TEXT,), small=small, unfit=((0, "text"),))
                    .column(0)
                    .to_pylist()
                )
            except SourceError as error:
                yield f"{one.literals[at]:.90} under text: {error.sqlstate} {error.message}"
                continue
            found = printing.canonical(replace(one, type=TEXT), texts[at])
            found = "\\x" + found.encode().hex() if "\0" in found else found
            if told != found:
                yield f"{one.literals[at]:.90} as text comes as {told!s:.90}, printed {found!s:.90}"
            continue
        want = None if text is None else printing.canonical(one, text)
        if value != want:
            yield f"{one.literals[at]:.90} comes as {value!s:.90}, printed {want!s:.90}"


def allowed(engine: str, one: Made, text: str | None) -> bool:
    """Whether the type that the column is read as cannot hold the value, so that it is right to refuse it."""
    kind, found = one.type.name, str(text)
    if engine == "sqlite":
        return True
    if engine == "postgresql":
        return (kind == "numeric" and found == "NaN") or (kind.startswith("timestamp") and found > "294246")
    if engine == "mariadb":
        return kind in ("date", "timestamp", "timestamptz", "time") or "\0" in found
    return kind in ("date", "timestamp", "timestamptz", "time") or "\0" in found


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.deep) for n in range(1, 12))])
def test_a_random_table_comes_as_the_engine_prints_it(opened: Opened, seed: int) -> None:
    draw = Draw(Random(f"{opened.engine} {seed}"))
    name = f"random_{seed}"
    columns = filled(opened, name, made(draw, opened.engine))
    typed = introspected(opened, name, columns)
    wrong = {}
    for one in typed:
        for small in (True, False):
            found = list(faults(opened, one, name, small))
            if found:
                wrong[one.column, one.ddl, one.type.sql, "point" if small else "bulk"] = found
    assert not wrong, "\n" + "\n".join(f"{at}: {each}" for at, found in wrong.items() for each in found)
