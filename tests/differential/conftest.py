"""Which queries the gate asks where: each of them at two of the three sites, another one left out each time."""

from __future__ import annotations

import pytest

from tests.differential.test_differential import CASES, FAST_SHARE, SERVED

SITES = (None, *SERVED)  # embedded, and each placement on servers


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The rest is marked deep."""
    numbers = {case.name: number for number, case in enumerate(CASES)}
    for item in items:
        if getattr(item, "originalname", "") in ("test_embedded", "test_served") and "differential" in item.nodeid:
            params = item.callspec.params  # type: ignore[attr-defined]
            number, site = numbers[params["case"].name], SITES.index(params.get("served"))
            if number % len(SITES) == site and (site or number % FAST_SHARE):
                item.add_marker("deep")
