"""Preparing: one analysis and one plan a shape, plans that hold under guards, and PostgreSQL's word where in doubt."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Bound
from connectors.errors import QueryError
from connectors.types import PgType
from federation.canon.server import Canon
from federation.prepare import Family, Preparer
from federation.session import Session
from planner.plan import Copies, Plan
from planner.planner import plan
from planner.scalar import Lit, Param
from planner.statement import Statement
from planner.values import Values
from tests.test_engine import ANN, engine, rows
from views.catalog import Catalog

INT = PgType("int4")
NOTHING = Catalog({}, {}, {}, "1")


def sensitive(
    statement: Statement,
    catalog: Catalog,
    off: frozenset[str],
    values: Values,
    _copies: Copies = (),
    _absent: frozenset[str] = frozenset(),
) -> Plan:
    """A planner that looks whether its first parameter is below 10."""
    below = values.compare(Param(0, INT), Lit("10", INT))
    made = plan(statement, catalog, off)
    return Plan(made.fragments, made.columns, made.params, made.residual, why_canon=str(below))


def family() -> Family:
    statement = Statement("", "SELECT 1 AS a", (("a", INT),), (INT,))
    return Preparer(None, sensitive, NOTHING).planned(statement).family  # type: ignore[arg-type]


def why(of: Family, value: int | None) -> str:
    return of.choose((None if value is None else Bound(INT, value),)).plan.why_canon


def test_a_plan_is_used_only_while_its_guards_hold() -> None:
    made = family()
    assert [why(made, value) for value in (3, 5, 30, 10, 9, 11)] == ["-1", "-1", "1", "0", "-1", "1"]
    assert len(made.variants) == 4  # with the one for values that are not known yet
    assert (why(made, None), made.counts.planned) == ("None", 4)


def test_no_more_variants_than_are_worth_it() -> None:
    made = family()
    made.plan = lambda s, c, o, v, *_: sensitive(s, c, o, v) if v.integer(Param(0, INT)) is None else plan(s, c, o)
    for value in range(50):
        made.choose((Bound(INT, value),))
    assert len(made.variants) == 8


async def prepared(made: Any, *texts: str, session: Session = ANN) -> list[Any]:
    return [await made.prepare(text, session) for text in texts]


def test_statements_of_one_shape_are_analysed_and_planned_once(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, _):
            texts = [f"SELECT id FROM crm.customers WHERE id = {i} OR name = 'n{i}'" for i in range(20)]
            found = await prepared(made, *texts, *texts)
            counts = made.preparing
            assert (counts.asked, counts.texts, counts.shapes, counts.planned) == (40, 20, 19, 1)
            assert {id(each.plan) for each in found} == {id(found[0].plan)}
            assert [bound.value for bound in found[7].slots] == [7, "n7"]
            assert found[7].statement.params == ()
            for i in (2, 5, 9999):
                result = await made.query(f"SELECT id FROM crm.customers WHERE id = {i}", ANN)
                assert await rows(result) == ([(i,)] if i < 9999 else [])

    asyncio.run(run())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("SELECT id FROM crm.customers WHERE id = 5", "SELECT id FROM crm.customers WHERE id = 5000000000"),
        ("SELECT id FROM crm.customers WHERE id = 5", "SELECT id FROM crm.customers WHERE id = 5.5"),
        ("SELECT id FROM crm.customers ORDER BY 1", "SELECT id FROM crm.customers ORDER BY 1 DESC"),
        ("SELECT id FROM crm.customers WHERE id IN (1)", "SELECT id FROM crm.customers WHERE id IN (1, 2)"),
    ],
)
def test_unlike_shapes(tmp_path: Path, canon: Canon, first: str, second: str) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, _):
            one, other = await prepared(made, first, second)
            assert one.plan is not other.plan

    asyncio.run(run())


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("SELECT id FROM crm.customers WHERE id = 'x'", "22P02"),
        ("SELECT id FROM crm.customers WHERE name = 5", "42883"),
        ("SELECT id FROM crm.customers WHERE id = '99999999999999999999'", "22003"),
        ("SELECT id FROM crm.customers WHERE id = 5 AND nothing = 6", "42703"),
        ("SELECT id FROM crm.customers WHERE now() > '2023-02-29'", "22008"),
    ],
)
def test_errors_are_those_of_the_text_itself(tmp_path: Path, canon: Canon, sql: str, sqlstate: str) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, _):
            await made.prepare("SELECT id FROM crm.customers WHERE id = '5'", ANN)
            with pytest.raises(QueryError) as told:
                await made.query(sql, ANN)
            assert told.value.sqlstate == sqlstate

    asyncio.run(run())


def test_parameters_of_the_client_come_before_slots(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, _):
            found = await made.prepare("SELECT id FROM crm.customers WHERE id < $1 AND id > 2 AND id <> 4", ANN)
            assert len(found.statement.params) == 1
            with pytest.raises(QueryError, match="0 parameters"):
                found.given(())
            result = await made.query(found.statement.sql and "SELECT id FROM crm.customers WHERE id < $1 AND id > 2",
                                      ANN, (Bound(INT, 6),))  # fmt: skip
            assert sorted(await rows(result)) == [(3,), (4,), (5,)]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("condition", "params", "count"),
    [
        ("date '2024-01-01' + c.id::int < current_date + 1000000 + $1::int", (Bound(INT, 5),), 2999),
        ("c.id < $1::numeric", (Bound(PgType("numeric"), "NaN"),), 2999),
        ("c.id < $1::numeric", (Bound(PgType("numeric"), "Infinity"),), 2999),
        ("c.id < $1::numeric", (Bound(PgType("numeric"), "1" * 45),), 2999),
        ("$1 > current_date and c.id < 5", (Bound(PgType("date"), "infinity"),), 4),
        ("c.day > '9999-12-30'::date + $1::int", (Bound(INT, 5),), 0),
        ("c.id < $1", (Bound(INT, 5),), 4),
    ],
)
def test_values_that_sources_have_not_are_compared_in_the_canon(
    tmp_path: Path, canon: Canon, condition: str, params: tuple[Bound, ...], count: int
) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, _):
            sql = (
                "SELECT count(*) FROM (SELECT id, current_date AS day FROM crm.customers WHERE id < 3000) c "
                f"WHERE {condition}"
            )
            assert await rows(await made.query(sql, ANN, params)) == [(count,)]

    asyncio.run(run())
