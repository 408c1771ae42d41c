"""The example's data marts: grain, shared dimensions, totals that agree, dashboards that ask little of the sources."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.project import open_project
from examples.crm import build, data
from examples.crm.oracle import holding
from federation.result import Part
from federation.session import Session
from tests.test_example import invented
from views.catalog import Catalog
from views.dashboards import Dashboard

MARTS = ("interaction_mart", "customer_mart", "product_mart", "partner_mart")
DASHBOARDS = (
    "campaign customer customers marketing partner partners product products sales service_quality support".split()
)

# fact, its column, dimension: each value of the column is in the dimension once
CONFORMED = (
    ("interaction_mart.fact_contact", "customer_id", "conformed.dim_customer"),
    ("interaction_mart.fact_contact", "channel_id", "conformed.dim_channel"),
    ("interaction_mart.fact_contact", "campaign_id", "interaction_mart.dim_campaign"),
    ("interaction_mart.fact_contact", "contacted_on", "conformed.dim_date"),
    ("interaction_mart.fact_conversion", "channel_id", "conformed.dim_channel"),
    ("interaction_mart.fact_service", "customer_id", "conformed.dim_customer"),
    ("interaction_mart.fact_service", "channel_id", "conformed.dim_channel"),
    ("interaction_mart.fact_service", "opened_on", "conformed.dim_date"),
    ("customer_mart.fact_order", "customer_id", "conformed.dim_customer"),
    ("customer_mart.fact_order", "ordered_on", "conformed.dim_date"),
    ("customer_mart.fact_purchase", "customer_id", "conformed.dim_customer"),
    ("customer_mart.fact_purchase", "product_id", "conformed.dim_product"),
    ("customer_mart.fact_visit", "visited_on", "conformed.dim_date"),
    ("product_mart.fact_review", "product_id", "conformed.dim_product"),
    ("product_mart.fact_review", "customer_id", "conformed.dim_customer"),
    ("product_mart.fact_review", "reviewed_on", "conformed.dim_date"),
    ("partner_mart.fact_delivery", "partner_id", "conformed.dim_partner"),
    ("partner_mart.fact_delivery", "product_id", "conformed.dim_product"),
    ("partner_mart.fact_delivery", "ordered_on", "conformed.dim_date"),
    ("conformed.dim_product", "partner_id", "conformed.dim_partner"),
)

STOOD = "FROM sales.orders WHERE status NOT IN ('cancelled', 'returned')"
# what two ways to a total have to agree on: the marts' own, and the sources'
TOTALS = {
    "revenue of customers": ("SELECT sum(revenue) FROM customer_mart.customer_summary", f"SELECT sum(amount) {STOOD}"),
    "revenue of segments": ("SELECT sum(revenue) FROM customer_mart.value_by_segment", f"SELECT sum(amount) {STOOD}"),
    "revenue of purchases": ("SELECT sum(revenue) FROM customer_mart.fact_purchase", f"SELECT sum(amount) {STOOD}"),
    "revenue of genres": ("SELECT sum(revenue) FROM product_mart.genre_month", f"SELECT sum(amount) {STOOD}"),
    "revenue of products": ("SELECT sum(revenue) FROM product_mart.product_performance", f"SELECT sum(amount) {STOOD}"),
    "revenue of weeks": ("SELECT sum(revenue) FROM product_mart.sales_week", f"SELECT sum(amount) {STOOD}"),
    "revenue of partners": ("SELECT sum(revenue) FROM partner_mart.sell_through", f"SELECT sum(amount) {STOOD}"),
    "discs of genres liked": ("SELECT sum(units) FROM customer_mart.genre_preference", f"SELECT sum(items) {STOOD}"),
    "orders of customers": ("SELECT sum(orders) FROM customer_mart.customer_summary", f"SELECT count(*) {STOOD}"),
    "contacts": (
        "SELECT sum(contacts) FROM interaction_mart.campaign_result",
        "SELECT (SELECT count(*) FROM marketing.contacts) + (SELECT count(*) FROM dwh.campaign_contacts)",
    ),
    "contacts of customers": (
        "SELECT sum(contacts) FROM customer_mart.customer_summary",
        "SELECT count(*) FROM interaction_mart.fact_contact",
    ),
    "orders of campaigns": (
        "SELECT sum(orders) FROM interaction_mart.campaign_result",
        "SELECT count(DISTINCT order_id) FROM interaction_mart.fact_conversion",
    ),
    "revenue of campaigns": (
        "SELECT sum(revenue) FROM interaction_mart.campaign_result",
        "SELECT sum(amount) FROM sales.orders o WHERE status NOT IN ('cancelled', 'returned')"
        " AND EXISTS (SELECT FROM interaction_mart.fact_contact f WHERE f.order_id = o.order_id)",
    ),
    "cost of campaigns": (
        "SELECT sum(cost) FROM interaction_mart.campaign_result",
        "SELECT sum(amount) FROM marketing.costs",
    ),
    "tickets": ("SELECT sum(tickets) FROM interaction_mart.service_quality", "SELECT count(*) FROM tickets.tickets"),
    "reviews": (
        "SELECT sum(reviews) FROM product_mart.review_trend",
        "SELECT (SELECT count(*) FROM shop.reviews) + (SELECT count(*) FROM dwh.reviews)",
    ),
    "orders of visits": (
        "SELECT sum(orders) FROM customer_mart.visit_funnel",
        "SELECT count(DISTINCT order_id) + (SELECT sum(orders) FROM dwh.click_months) FROM shop.clicks",
    ),
    "discs given to make": (
        "SELECT sum(allocated) FROM partner_mart.sell_through",
        "SELECT sum(allocated) FROM partner_mart.allocation_use",
    ),
    "discs delivered": (
        "SELECT sum(delivered) FROM partner_mart.sell_through",
        "SELECT sum(delivered) FROM partner_mart.fact_delivery",
    ),
    "owed": (
        "SELECT sum(owed) FROM partner_mart.credit_position",
        "SELECT sum(amount) FROM partners.invoices WHERE paid_on IS NULL",
    ),
}

# questions whose facts the warehouse has to add up itself: rows that may leave it, of the thousands that it holds
ADDED_UP = {
    "SELECT * FROM interaction_mart.campaign_result": 700,
    "SELECT * FROM product_mart.review_trend": 450,
    "SELECT * FROM partner_mart.scorecard": 60,
    "SELECT * FROM customer_mart.visit_funnel": 40,
    "SELECT sum(revenue) FROM customer_mart.fact_order": 5,
}

Rows = list[tuple[Any, ...]]
Ask = Callable[[str], tuple[Rows, list[Part]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("marts")
    build.write(made, data.build(invented(400), dt.datetime.now(dt.UTC).replace(microsecond=0)))
    return made


@pytest.fixture(scope="module")
def opened(folder: Path) -> Iterator[tuple[Any, Ask]]:
    """The project, and a way to ask it: rows as PostgreSQL's text of them, sorted, and what each source was asked."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        runtime = runner.run(stack.enter_async_context(open_project(folder)))

        async def answer(text: str) -> tuple[Rows, list[Part]]:
            result = await runtime.engine.query(text, Session(user="analyst", timeout=60))
            return plain(tuple(row.values()) for row in (await result.table()).to_pylist()), result.parts

        yield runtime, lambda text: runner.run(answer(text))
        runner.run(stack.aclose())


@pytest.fixture(scope="module")
def ask(opened: tuple[Any, Ask]) -> Ask:
    return opened[1]


@pytest.fixture(scope="module")
def oracle(folder: Path) -> Iterator[psycopg.Connection[Any]]:
    with holding(folder) as connection:
        yield connection


def plain(rows: Iterable[tuple[Any, ...]]) -> Rows:
    """Sorted, with numerics as their text (as Arrow has them where they have no scale) and instants in UTC."""
    return sorted((tuple(map(_plain, row)) for row in rows), key=repr)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC)
    return str(value) if isinstance(value, Decimal) else value


def sources(catalog: Catalog, name: tuple[str, str]) -> frozenset[str]:
    """The sources that a view reads, through all the views below it."""
    view = catalog.views.get(name)
    return frozenset({name[0]}) if view is None else frozenset().union(*(sources(catalog, on) for on in view.depends))


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_reads_two_live_sources_and_the_warehouse(opened: tuple[Any, Ask], mart: str) -> None:
    catalog = opened[0].engine.catalog
    read = frozenset().union(*(sources(catalog, name) for name in catalog.views if name[0] == mart))
    assert "dwh" in read
    assert len(read - {"dwh"}) >= 2


def test_facts_and_dimensions_tell_their_grain(opened: tuple[Any, Ask]) -> None:
    catalog = opened[0].engine.catalog
    found = {name: view for name, view in catalog.views.items() if name[0] in (*MARTS, "conformed")}
    assert [".".join(name) for name, view in found.items() if "Grain - one " not in view.comment] == []
    assert [".".join(name) for name, view in found.items() if not view.freshness_class] == []


@pytest.mark.parametrize(("fact", "column", "dimension"), CONFORMED)
def test_facts_join_shared_dimensions_without_loss(ask: Ask, fact: str, column: str, dimension: str) -> None:
    key = "day" if dimension.endswith("dim_date") else column
    text = f"SELECT count(*) FROM {fact} f"
    ((whole,),), _ = ask(f"{text} WHERE f.{column} IS NOT NULL")
    ((joined,),), _ = ask(f"{text} JOIN {dimension} d ON d.{key} = f.{column}")
    assert joined == whole > 0


@pytest.mark.parametrize("total", TOTALS)
def test_totals_agree(ask: Ask, oracle: psycopg.Connection[Any], total: str) -> None:
    mart, source = TOTALS[total]
    ((found,),), _ = ask(mart)
    assert Decimal(found) == oracle.execute(source.encode()).fetchall()[0][0] > 0


def test_an_order_comes_of_one_contact(oracle: psycopg.Connection[Any]) -> None:
    credited = oracle.execute(
        b"SELECT count(*), count(DISTINCT order_id), count(*) FILTER (WHERE ordered_on NOT BETWEEN contacted_on AND"
        b" contacted_on + 14) FROM interaction_mart.fact_conversion"
    ).fetchone()
    assert credited is not None
    assert credited[0] == credited[1] > 0
    assert credited[2] == 0
    facts = oracle.execute(b"SELECT count(order_id), sum(ordered) FROM interaction_mart.fact_contact").fetchone()
    assert facts == (credited[0], credited[0])


@pytest.mark.parametrize(
    "text",
    [
        "SELECT conversion_rate, response_rate, cost_per_acquisition, return_on_cost"
        " FROM interaction_mart.campaign_result WHERE state = 'planned'",
        "SELECT fill_rate, on_time_rate, lead_days, damage_rate FROM partner_mart.scorecard WHERE deliveries = 0",
        "SELECT credit_limit, credit_used, available FROM partner_mart.credit_position WHERE reviewed_on IS NULL",
        "SELECT units_effect FROM product_mart.change_effect WHERE units_before = 0",
        "SELECT trend, average_90 FROM product_mart.review_trend WHERE reviews_90 = 0",
    ],
)
def test_what_cannot_be_told_is_null(ask: Ask, text: str) -> None:
    """Nothing was sent, delivered, lent or reviewed: no rate, instead of an error or of a zero."""
    rows, _ = ask(text)
    assert rows
    assert {value for row in rows for value in row} == {None}


def values(dashboard: Dashboard, oracle: psycopg.Connection[Any]) -> Mapping[str, str | None]:
    """What a dashboard is opened with: its defaults, and a customer, campaign, product and partner with much to see."""
    busy = {
        "customer_id": "SELECT customer_id FROM customer_mart.customer_summary ORDER BY contacts DESC, 1 LIMIT 1",
        "campaign_id": "SELECT campaign_id FROM interaction_mart.campaign_result ORDER BY orders DESC, 1 LIMIT 1",
        "product_id": "SELECT product_id FROM product_mart.change_effect ORDER BY units_after DESC, 1 LIMIT 1",
        "partner_id": "SELECT partner_id FROM partner_mart.scorecard ORDER BY deliveries DESC, 1 LIMIT 1",
    }
    found = {name: str(oracle.execute(sql.encode()).fetchall()[0][0]) for name, sql in busy.items()}
    return {name: found.get(name, facts.default) for name, facts in dashboard.file.parameters.items()}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_answer_as_one_postgresql_would(
    opened: tuple[Any, Ask], oracle: psycopg.Connection[Any], name: str
) -> None:
    runtime, ask = opened
    dashboard = runtime.dashboards[name]
    assert dashboard.drawn == dashboard.panels
    given = values(dashboard, oracle)
    for panel in dashboard.drawn:
        text = panel.statement.named.literal(panel.statement.types, given).strip()
        rows, _ = ask(text)
        assert rows == plain(oracle.execute(text.encode()).fetchall()), panel.panel.title
        assert len(rows) <= panel.panel.rows, panel.panel.title


@pytest.mark.parametrize("text", ADDED_UP)
def test_the_warehouse_adds_up_its_own_facts(opened: tuple[Any, Ask], text: str) -> None:
    """What leaves it is sums: a dashboard's cost must not grow with the history."""
    _, ask = opened
    _, parts = ask(text)
    sent = sum(part.rows for part in parts if part.source == "dwh")
    assert 0 < sent <= ADDED_UP[text]


def test_the_latest_days_are_not_asked_of_the_warehouse(ask: Ask) -> None:
    _, parts = ask("SELECT * FROM interaction_mart.contact_pressure WHERE pressure = 'too much'")
    assert {part.source for part in parts if part.rows > 1} == {"marketing"}


def test_a_customer_is_looked_up_by_key_everywhere(ask: Ask) -> None:
    rows, parts = ask("SELECT * FROM customer_mart.customer_summary WHERE customer_id = 7")
    assert len(rows) == 1
    assert {part.source for part in parts} >= {"crm", "shop", "tickets", "marketing", "dwh"}
    assert max(part.rows for part in parts if part.source != "erp") < 60


def test_the_page_asks_what_can_be_asked(ask: Ask, oracle: psycopg.Connection[Any]) -> None:
    page = (build.HERE.parent.parent / "docs" / "crm" / "marts.md").read_text("utf-8")
    (text,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    rows, parts = ask(text)
    assert rows == plain(oracle.execute(text.encode()).fetchall())
    assert len(rows) > 1
    assert sum(part.rows for part in parts if part.source == "dwh") <= 1  # but how far it has come
    views = {name for mart in (*MARTS, "conformed") for name in re.findall(rf"`({mart}\.\w+)`", page)}
    assert views
    for view in views:
        ask(f"SELECT 1 FROM {view} WHERE false")
