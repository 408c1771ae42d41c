"""The example's dashboards in the browser: each one, and each that a row of another leads to. Pictures for docs/ too.

`pytest tests/dashboards/test_example.py --update-screenshots` writes docs/images anew.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Browser

from api.serve import serving
from examples.crm import build, cdnow, data
from tests.dashboards.browser import Tab, launched
from tests.serving import Serving as InThread
from tests.test_example import invented

pytestmark = [pytest.mark.service, pytest.mark.slow]
ROOT = Path(__file__).parent.parent.parent
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
NAMES = sorted(path.stem for path in build.HERE.glob("dashboards/*.yml"))
PICTURES = {"index": "light", "sales": "light", "complaints": "dark", "complaint": "light", "segmentation": "light"}


class Example:
    """The example, built and served."""

    def __init__(self, folder: Path, purchases: list[cdnow.Purchase]) -> None:
        build.write(folder, data.build(purchases, NOW))
        file = folder / "vdw.yml"
        file.write_text(file.read_text().replace("port: 8080", "port: 0").replace("port: 5433", "port: 0"))
        self.password = (folder / "secrets" / "analyst").read_text().strip()
        self.project = InThread(folder)
        self.stack = contextlib.AsyncExitStack()
        where: Any = self.project.wait(self.stack.enter_async_context(serving(self.project.runtime, explore=True)))
        self.address = "http://{}:{}/dashboards/".format(*where.http)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, auth=("analyst", self.password), timeout=120)

    def close(self) -> None:
        self.project.wait(self.stack.aclose())
        self.project.close()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Example]:
    """With invented purchases; with the real ones where pictures are taken."""
    real = pytestconfig.getoption("--update-screenshots")
    purchases = cdnow.purchases(cdnow.default_cache()) if real else invented()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
        made = Example(tmp_path_factory.mktemp("crm"), purchases)
        yield made
        made.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as made:
        yield made


@pytest.fixture(scope="module")
def addresses(example: Example) -> dict[str, str]:
    """An address of each dashboard: those that ask for a value are found as a reader finds them, by a link."""
    with example.client() as client:
        about = {name: client.get(f"{name}.json").json() for name in NAMES}
        open_ = {one["name"] for one in client.get("index.json").json()["dashboards"] if not one["asks"]}
        found = dict.fromkeys(sorted(open_), "")
        looked: set[str] = set()
        while set(found) - looked:
            name = sorted(set(found) - looked)[0]
            looked.add(name)
            for panel in about[name]["panels"]:
                for link in panel.get("links", []):
                    if link["dashboard"] not in found:
                        target = led(client, f"{name}/panels/{panel['name']}?{found[name]}", link)
                        found |= {link["dashboard"]: target} if target else {}
    return {name: f"{name}?{query}" if query else name for name, query in found.items()}


def led(client: httpx.Client, panel: str, link: dict[str, Any]) -> str:
    """Where the first row that can be followed leads, as a query."""
    rows = client.get(panel).json().get("rows", [])
    named = {name: column for name, column in link["parameters"].items() if not column.startswith(":")}
    values = ({name: row.get(column) for name, column in named.items()} for row in rows)
    return next((urlencode(one) for one in values if None not in one.values()), "")


def test_every_file_is_right(example: Example) -> None:
    assert [one for one in example.project.diagnostics if "dashboards/" in one] == []


def test_every_dashboard_can_be_reached(addresses: dict[str, str]) -> None:
    assert sorted(addresses) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_shows_all_its_panels(
    browser: Browser, example: Example, addresses: dict[str, str], name: str
) -> None:
    page = Tab(browser, example.address, "analyst", example.password)
    try:
        page.open(addresses[name])
        assert page.page.locator(".panel").count() > 1
        assert page.page.locator(".failed, .notice.bad").all_inner_texts() == []
        assert page.page.locator(".panel:not(:has(.source)):not(#panel-alerts)").count() == 0  # each tells its age
        assert page.wrong == []
    finally:
        page.close()


@pytest.mark.parametrize(("name", "scheme"), [("complaints", "dark"), ("marketing", "light"), ("customer", "dark")])
def test_it_is_accessible(
    browser: Browser, example: Example, addresses: dict[str, str], name: str, scheme: Any
) -> None:
    page = Tab(browser, example.address, "analyst", example.password, color_scheme=scheme)
    try:
        assert page.open(addresses[name]).faults() == []
    finally:
        page.close()


@pytest.mark.parametrize(("name", "scheme"), PICTURES.items())
def test_pictures_of_the_documentation(
    browser: Browser,
    example: Example,
    addresses: dict[str, str],
    name: str,
    scheme: Any,
    pytestconfig: pytest.Config,
    tmp_path: Path,
) -> None:
    update = pytestconfig.getoption("--update-screenshots")
    folder = ROOT / "docs" / "images" if update else tmp_path
    folder.mkdir(exist_ok=True)
    window = {"width": 1280, "height": 860}
    page = Tab(browser, example.address, "analyst", example.password, color_scheme=scheme, viewport=window)
    try:
        page.open("" if name == "index" else addresses[name])
        page.page.screenshot(path=folder / f"dashboard-{name}.png")
    finally:
        page.close()
    assert (folder / f"dashboard-{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert (ROOT / "docs" / "images" / f"dashboard-{name}.png").exists()
