"""The dashboard in Chromium: access, content, and a layout that fits every width."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.browser_driver import ARTEFACTS, WIDTHS
from tests.support.browser_measurements import contrast
from tests.support.busy_day import a_busy_day
from tests.support.deployment import token

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser_driver import BrowserDriver, BrowserGateway

PATH = "/v1/voice/dashboard"


def look(driver: BrowserDriver, port: int, fragment: str = "") -> Page:
    page = driver.open(port)
    page.evaluate("sessionStorage.clear()")
    page.goto("about:blank")
    page.goto(f"http://127.0.0.1:{port}{PATH}{fragment}")
    return page


def test_an_administrator_sees_the_statistics_and_the_token_leaves_the_address(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    page = look(driver, gateway.port, f"#token={token('root', is_admin=True)}")
    page.wait_for_selector("body[data-state=well]")
    assert page.locator("#active").inner_text() == "0"
    assert page.locator("#stages tr").count() == 12
    assert "token" not in page.url


@pytest.mark.parametrize("shown", ["", "#token=" + "x" * 40], ids=["no token", "a wrong one"])
def test_nobody_else_sees_any(driver: BrowserDriver, gateway: BrowserGateway, shown: str) -> None:
    page = look(driver, gateway.port, shown)
    page.wait_for_selector("#door:visible")
    assert page.locator("#figures").is_hidden()
    page.fill("#token", token("root", is_admin=True))
    page.click("#token-form button")
    page.wait_for_selector("#figures:visible")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_busy_day_fits_every_width_and_can_be_read(
    driver: BrowserDriver, gateway: BrowserGateway, dark: bool
) -> None:
    body = json.dumps(a_busy_day())
    page = driver.open(gateway.port, dark=dark)
    page.route("**/v1/voice/stats", lambda route: route.fulfill(body=body, content_type="application/json"))
    page.goto("about:blank")
    page.goto(f"http://127.0.0.1:{gateway.port}{PATH}#token={token('root', is_admin=True)}")
    page.wait_for_selector("body[data-state=well]")
    for name, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        cut = "[...document.querySelectorAll('.scroll')].map((it) => it.scrollWidth - it.clientWidth)"
        assert page.evaluate(cut) == [0, 0], name
        page.screenshot(path=ARTEFACTS / f"dashboard-{name}-{'dark' if dark else 'light'}.png", full_page=True)
    assert page.locator("#answer").inner_text().endswith(" ms")
    assert page.locator("#cost").inner_text() == "$31.48"
    assert page.locator("#budget.warm").count() == 0
    assert page.locator("#instances tr").count() == 4
    assert page.locator("#instances .tag").all_inner_texts() == ["this one", "draining", "silent for 22 s"]
    assert page.locator("#spenders li").first.inner_text().endswith("$4.20")
    for selector in ("#active", ".quiet", ".card h2", "#status-text"):
        assert contrast(page, selector) >= 4.5, selector
    page.click("[data-window='5m']")
    assert page.locator("[data-window='5m']").get_attribute("aria-pressed") == "true"
