"""The page in a real browser: rendering, keyboard, themes, errors, parameters, drill-down, hostile data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

from tests.dashboards.browser import CHROMIUM, Tab, launched
from tests.dashboards.world import HOSTILE, PASSWORDS, World

pytestmark = [pytest.mark.service, pytest.mark.slow]
Open = Callable[..., Tab]
SHOWN = "12,345,678,901,234,567,890.123456789012345678"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM.exists(), "install Debian's package chromium"
    with launched() as made:
        yield made


@pytest.fixture
def tab(browser: Browser, world: World) -> Iterator[Open]:
    """Opens tabs, and sees that nothing went wrong in them."""
    tabs: list[Tab] = []

    def made(path: str = "", user: str = "ada", **options: Any) -> Tab:
        tabs.append(Tab(browser, world.address, user, PASSWORDS[user], **options))
        return tabs[-1].open(path)

    yield made
    unforeseen = [one.page.locator(".failed:is(.unknown, .undefined)").all_inner_texts() for one in tabs]
    for one in tabs:
        one.close()
    assert [one for one in unforeseen if one] == []
    assert [one.wrong for one in tabs if one.wrong] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "main", "person", "person?person_id=1", "faults", "nothing"])
def test_each_page_is_accessible(tab: Open, path: str, scheme: str) -> None:
    page = tab(path, color_scheme=scheme)
    for button in page.page.locator("#panel-by_day .foot button, #panel-people .foot button").all():
        button.click()  # table view, sources and SQL
    assert page.faults() == []


def test_every_kind_of_panel_shows_its_data(tab: Open) -> None:
    page = tab("main")
    total = page.text("total")
    assert "€1,176.00" in total
    assert "Warning" in total
    assert "2,252% against €50.00" in total
    assert page.panel("by_day").locator("canvas").bounding_box()["height"] > 200
    assert "Line chart, 12 places, from Jan 2026 to Dec 2026" in page.panel("by_day").locator(".stage").get_attribute(
        "aria-label"
    )
    assert page.panel("by_day").locator(".legend button").all_inner_texts() == ["shop", "web"]
    assert page.panel("shares").locator(".legend li").count() == 2
    assert "50.5%" in page.text("shares")
    assert SHOWN in page.text("people")
    assert "1–10 of 40" in page.text("people")
    assert "Nothing to show" in page.text("nobody")
    assert re.search(r"file\s+(live|cache)", total)


def test_requests_are_bounded(tab: Open) -> None:
    page = tab("main")
    assert len(page.asked) >= 7
    assert 1 < page.most <= 4


def test_the_table_view_of_a_chart(tab: Open) -> None:
    page = tab("main")
    panel = page.panel("by_day")
    panel.get_by_role("button", name="Table").click()
    assert panel.locator("tbody tr").first.inner_text().split("\t") == ["Jan 1, 2026", "shop", "€11.00"]
    assert panel.locator("canvas").count() == 0
    panel.get_by_role("button", name="Table").click()
    assert panel.locator("canvas").is_visible()


def test_a_table_is_sorted_searched_and_paged(tab: Open) -> None:
    page = tab("main")
    panel = page.panel("people")
    panel.get_by_role("button", name="Balance").click()
    assert panel.locator("th[aria-sort=descending]").inner_text() == "Balance\n▼"
    assert panel.locator("tbody tr td:nth-child(3)").first.inner_text() == SHOWN
    panel.get_by_role("button", name="Next").click()
    assert "11–20 of 40" in panel.inner_text()
    panel.get_by_label("Search").fill("person 39")
    assert panel.locator("tbody tr").count() == 1
    page.until(lambda: page.heard().startswith("1 row"))
    panel.get_by_label("Search").fill("zzz")
    assert "No row holds “zzz”." in panel.inner_text()


def test_keyboard_alone(tab: Open) -> None:
    page = tab("main")
    page.press("Tab")
    assert page.focused() == "A Skip to content"
    before = len(page.asked)
    page.press("Enter")
    assert page.page.evaluate("document.activeElement.id") == "main"
    page.page.wait_for_url("**/main#main")
    assert len(page.asked) == before, "a link within the page asks the sources nothing"
    page.page.locator("#panel-by_kind .stage").focus()
    page.press("ArrowRight", "ArrowRight")
    page.until(lambda: page.heard().strip() == "web: Amount 582")
    page.press("Home")
    page.until(lambda: page.heard().strip() == "shop: Amount 594")
    page.press("Tab")
    assert page.focused() == "BUTTON Table"
    page.press("Tab", "Tab")
    assert page.focused() == "BUTTON SQL"
    page.press("Enter", "Tab", "Tab")
    assert page.focused() == "BUTTON Copy"
    page.page.locator("#panel-by_kind .stage").focus()
    page.press("ArrowRight", "Enter")
    page.page.wait_for_url("**/person?person_id=1")
    page.settled()


def test_the_focus_is_seen(tab: Open) -> None:
    page = tab("main")
    for _ in range(25):
        page.press("Tab")
        seen = page.page.evaluate(
            "(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.outlineWidth })()"
        )
        assert seen == "solid3px" or page.page.evaluate("document.activeElement === document.body")


def test_parameters_stand_in_the_address(tab: Open) -> None:
    page = tab("main")
    page.page.get_by_label("Kind", exact=True).select_option("web")
    page.page.wait_for_url("**/main?kind=web")
    page.settled()
    page.until(lambda: "€582.00" in page.text("total"))
    page.page.get_by_label("Least", exact=True).fill("50")
    page.press("Enter")
    page.page.wait_for_url("**/main?kind=web&least=50")
    page.until(lambda: "€417.00" in page.text("total"))
    page.page.go_back()
    page.until(lambda: "€582.00" in page.text("total"))
    assert page.page.get_by_label("Kind", exact=True).input_value() == "web"
    again = tab("main?kind=shop")
    assert "€582.00" not in again.text("total")
    assert again.page.get_by_label("Kind", exact=True).input_value() == "shop"


def test_a_bad_parameter_is_told_in_the_panel(tab: Open) -> None:
    page = tab("main?least=lots")
    assert "The question is not right" in page.text("total")
    assert '`least` cannot be "lots": it is a number, such as 12.50' in page.text("total")
    assert "SQLSTATE 22P02" in page.text("total")


def test_a_required_parameter_is_asked_for(tab: Open) -> None:
    page = tab("person")
    assert "Choose Person number first" in page.text("card")
    assert page.asked == []
    page.page.get_by_label("Person number").fill("2")
    page.page.get_by_role("button", name="Show").click()
    page.page.wait_for_url("**/person?person_id=2")
    page.until(lambda: "Person 2" in page.text("card"))
    assert "Feb 3, 1952" in page.text("card")


def test_a_row_leads_on(tab: Open) -> None:
    page = tab("main")
    page.panel("people").get_by_role("link", name="Person 2", exact=True).click()
    page.page.wait_for_url("**/person?person_id=2")
    page.settled()
    assert "Person 2" in page.text("card")
    page.page.go_back()
    page.settled()
    canvas = page.panel("by_kind").locator("canvas")
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 0.3, "y": box["height"] * 0.7})
    page.page.wait_for_url("**/person?person_id=1")


def test_hostile_data_is_text(tab: Open) -> None:
    page = tab("person?person_id=1")
    assert HOSTILE in page.text("card")
    assert "<b>bold</b>" in page.text("calls")
    for path in (
        f"person?person_id={quote(HOSTILE)}",
        f"main?kind={quote(HOSTILE)}",
        f"{quote(HOSTILE.partition('</')[0])}",
        f"main?{quote(HOSTILE)}=1",
    ):
        page.open(path)
        assert page.page.locator("main img, main script, main b").count() == 0
        assert "owned" not in page.page.title()
    page.open("main?kind=" + quote(HOSTILE))
    page.panel("total").get_by_role("button", name="SQL").click()
    assert HOSTILE.replace("'", "''") in page.text("total")


def test_the_policy_forbids_what_is_not_the_page_s_own(tab: Open) -> None:
    page = tab("main")
    refused = page.page.evaluate(
        "(() => { try { document.body.innerHTML = '<b>x</b>'; return false } catch { return true } })()"
    )
    assert refused
    assert page.page.locator("[style*=javascript], script:not([src])").count() == 0
    page.wrong.clear()  # the browser tells of what was tried here


def test_each_fault_is_a_designed_state(tab: Open) -> None:
    page = tab("faults")
    assert "2 panels cannot be shown" in page.page.locator("main > .notice").inner_text()
    assert "40" in page.text("right")
    assert "This panel’s file has an error" in page.text("wrong_column")
    assert 'has no column "mood"' in page.text("wrong_column")
    assert "dashboards/faults.yml:" in page.text("wrong_column")
    assert 'column "nmae" does not exist' in page.text("wrong_name")
    assert "Wrong kind" in page.text("panel_4")
    assert "division by zero" in page.text("divided")
    assert "It took too long" in page.text("slow")
    assert "Only the first 5 rows are shown; there are more." in page.text("cut")


def test_who_may_not_read_a_view_sees_the_rest(tab: Open) -> None:
    page = tab("faults", user="guest")
    assert "No permission" in page.text("private")
    assert "permission denied" in page.text("private")
    assert page.panel("private").get_by_role("button", name="SQL").count() == 0
    assert "40" in page.text("right")


def test_files_with_errors_are_listed(tab: Open) -> None:
    page = tab("")
    assert page.page.locator(".cards h3").all_inner_texts() == ["Main board", "Faults", "Slow", "One person"]
    assert "dashboards/broken.yml:3" in page.page.locator(".notice.bad").inner_text()
    assert "There is no dashboard" in tab("nothing").page.locator("main").inner_text().replace("there", "There")
    assert "malformed YAML" in tab("broken").page.locator("main").inner_text()


def test_a_stopped_source_is_told_and_comes_back(tab: Open, world: World) -> None:
    page = tab("person?person_id=2")
    assert "return" in page.text("calls")
    world.live.stop()
    try:
        page.page.get_by_role("button", name="Refresh").click()
        page.until(lambda: "Not renewed since" in page.text("calls"))
        assert "return" in page.text("calls")  # what was read last stays, and says so
        other = tab("person?person_id=1")
        assert "A source does not answer" in other.text("calls")
        assert "<img" in other.text("card")
        assert other.faults() == []
    finally:
        world.live.start()
    other.panel("calls").get_by_role("button", name="Try again").click()
    other.until(lambda: "<b>bold</b>" in other.text("calls"))
    page.until(lambda: "Not renewed" not in page.text("calls"))  # by itself


def asked(page: Tab, name: str) -> int:
    return sum(f"/panels/{name}" in url for url in page.asked)


def test_it_refreshes_by_itself_unless_paused_or_hidden(tab: Open) -> None:
    page = tab("main")
    page.until(lambda: asked(page, "total") >= 3)
    page.page.get_by_role("button", name="Pause").click()
    page.settled()
    before = len(page.asked)
    page.page.wait_for_timeout(2500)
    assert len(page.asked) == before
    page.page.get_by_role("button", name="Pause").click()
    page.until(lambda: len(page.asked) > before)
    page.page.evaluate("Object.defineProperty(document, 'visibilityState', {get: () => 'hidden', configurable: true})")
    page.settled()
    page.page.wait_for_timeout(1200)
    before = len(page.asked)
    page.page.wait_for_timeout(2500)
    assert len(page.asked) == before
    page.page.evaluate("delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))")
    page.until(lambda: len(page.asked) > before)


def test_a_page_without_refresh_asks_once(tab: Open) -> None:
    page = tab("person?person_id=2")
    page.page.wait_for_timeout(2500)
    assert len(page.asked) == 2


def test_leaving_cancels_what_is_asked(tab: Open, world: World) -> None:
    running = world.project.runtime.engine.running
    page = tab("")
    page.page.goto(world.address + "slow")
    page.until(lambda: bool(running.queries))
    page.open("")
    page.until(lambda: not running.queries)


def test_the_reader_s_theme_stays(tab: Open) -> None:
    page = tab("main")
    ground = "getComputedStyle(document.body.parentElement).backgroundColor"
    light = page.page.evaluate(ground)
    button = page.page.get_by_role("button", name="Theme")
    button.click()
    button.click()
    assert button.inner_text() == "Theme: dark"
    dark = page.page.evaluate(ground)
    assert dark != light
    page.open("main")
    assert page.page.evaluate(ground) == dark
    page.page.get_by_role("button", name="Theme").click()
    assert page.page.evaluate(ground) == light


def test_reduced_motion(tab: Open) -> None:
    still, moving = tab("slow-none", reduced_motion="reduce"), tab("slow-none")
    animated = """(() => {
        const made = document.createElement('span');
        made.className = 'shimmer';
        document.body.append(made);
        return getComputedStyle(made).animationName;
    })()"""
    assert (still.page.evaluate(animated), moving.page.evaluate(animated)) == ("none", "breathe")


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1920])
def test_no_page_is_wider_than_its_window(tab: Open, width: int) -> None:
    page = tab("main", viewport={"width": width, "height": 800})
    for path in ("main", "faults", "person?person_id=1", ""):
        page.open(path)
        assert page.page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_what_sources_were_asked_and_the_sql(tab: Open) -> None:
    page = tab("main?kind=web")
    panel = page.panel("by_day")
    panel.get_by_role("button", name="Sources").click()
    assert "SELECT" in panel.locator(".account").inner_text()
    panel.get_by_role("button", name="SQL").click()
    assert "'web'::text" in panel.locator("pre").first.inner_text()
    panel.get_by_role("button", name="Explain").click()
    page.until(lambda: "@ file" in panel.inner_text())
    link = panel.get_by_role("link", name="Open in GraphiQL")
    assert "deskSales" in link.get_attribute("href")
    with page.context.expect_page() as opened:
        link.click()
    opened.value.locator(".CodeMirror", has_text="deskSales").first.wait_for()


def test_a_changed_file_is_seen(tab: Open, world: World) -> None:
    file = world.folder / "dashboards/person.yml"
    before = file.read_text()
    file.write_text(before.replace("One person", "Somebody"))
    world.reload()
    assert tab("person").page.locator("h1").inner_text() == "Somebody"
    file.write_text(before)
    world.reload()
