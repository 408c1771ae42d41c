"""Debian's chromium, driven by Playwright; and a page that notes what goes wrong in it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
# Without the background flags it looks for hosts of its maker; root needs --no-sandbox.
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb"),
)
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
PATIENCE = 30.0  # seconds


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """A browser with an empty profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A page at a server's dashboards, as one user. `wrong`: errors of scripts, of the console (policy violations
    among them) and of requests, but for answers that say no."""

    def __init__(self, browser: Browser, address: str, user: str, password: str, **options: Any) -> None:
        options = {"locale": "en-US", "timezone_id": "Europe/Berlin", **options}
        self.context = browser.new_context(http_credentials={"username": user, "password": password}, **options)
        self.address = address
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.most = self._running = 0
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self._listen(self.page)

    def _listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", self._said)
        page.on("request", self._begun)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)

    def _said(self, message: Any) -> None:
        refusal = "Failed to load resource: the server responded" in message.text
        if message.type in ("error", "warning") and not refusal:
            self.wrong.append(message.text)

    def _begun(self, request: Any) -> None:
        if "/panels/" in request.url:
            self.asked.append(request.url)
            self._running += 1
            self.most = max(self.most, self._running)

    def _ended(self, request: Any) -> None:
        self._running -= "/panels/" in request.url

    def open(self, path: str = "") -> Tab:
        """Go there, and wait until all panels have their answers."""
        self.page.goto(self.address + path)
        return self.settled()

    def settled(self) -> Tab:
        """All panels have answered."""
        self.page.locator("main h1").wait_for()
        self.until(lambda: self.page.locator(".panel[aria-busy=true]").count() == 0)
        return self

    def until(self, met: Callable[[], bool]) -> None:
        """Wait for a condition; AssertionError where it is not met in time."""
        deadline = time.monotonic() + PATIENCE
        while not met():
            assert time.monotonic() < deadline, "it did not come about"
            self.page.wait_for_timeout(50)

    def panel(self, name: str) -> Any:
        """The panel's element."""
        return self.page.locator(f"#panel-{name}")

    def text(self, name: str) -> str:
        """What a panel shows."""
        return str(self.panel(name).inner_text())

    def heard(self) -> str:
        """What a screen reader was told last."""
        return str(self.page.locator("#live").text_content())

    def press(self, *keys: str) -> None:
        """Keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def focused(self) -> str:
        """The tag and text of the element that has the focus."""
        return str(
            self.page.evaluate("document.activeElement.tagName + ' ' + document.activeElement.textContent.trim()")
        )

    def faults(self) -> list[str]:
        """What axe-core finds, of all its rules."""
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run()")["violations"]
        return [f"{one['id']}: {node['html'][:200]} {node['failureSummary']}" for one in found for node in one["nodes"]]

    def close(self) -> None:
        self.context.close()
