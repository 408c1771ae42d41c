"""What the canon's tests share: an event loop for a module, and a few virtual relations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from connectors.types import PgType, bpchar, numeric
from federation.canon.server import Canon
from federation.canon.shell import install_relations
from views.catalog import View

CUSTOMERS = View(
    "crm",
    "customers",
    (
        ("id", PgType("int8")),
        ("name", PgType("text")),
        ("balance", numeric(10, 2)),
        ("code", bpchar(3)),
        ("since", PgType("timestamptz", 3)),
        ("tags", PgType("_text")),
    ),
    comment="People who buy",
    column_comments={"name": "as they say it's written"},
)
ORDERS = View("shop", "orders", (("id", PgType("int8")), ("customer", PgType("int8")), ("total", numeric(12, 2))))


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """Runs coroutines of one module in one loop."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def shells(canon: Canon) -> Canon:
    """The canon with shells of CUSTOMERS and ORDERS."""
    install_relations(canon.dsn(), [CUSTOMERS, ORDERS])
    return canon
