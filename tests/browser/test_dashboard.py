"""The dashboard in Chromium: access, content, live sessions and their end, and a layout that fits every width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser_driver import ARTEFACTS, WIDTHS, ask_in_writing, start_talking, wait_for_state, wait_until
from tests.support.browser_measurements import contrast
from tests.support.busy_day import a_busy_day, live_sessions
from tests.support.deployment import SECRET, token
from voice_trio.auth.tokens import User, issue_token
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser_driver import BrowserDriver, BrowserGateway

PATH = "/v1/voice/dashboard"


def look(driver: BrowserDriver, port: int, fragment: str = "") -> Page:
    page = driver.open(port)
    page.evaluate("sessionStorage.clear()")
    page.goto("about:blank")
    driver.console_errors.clear()  # the blank page has no microphone to watch
    page.goto(f"http://127.0.0.1:{port}{PATH}{fragment}")
    return page


def look_at(page: Page, port: int, stats: dict[str, Any], sessions: dict[str, Any]) -> None:
    """The dashboard with these figures."""
    page.route("**/v1/voice/stats", lambda route: route.fulfill(json=stats))
    page.route("**/v1/voice/sessions", lambda route: route.fulfill(json=sessions))
    page.goto("about:blank")
    page.goto(f"http://127.0.0.1:{port}{PATH}#token={token('root', is_admin=True)}")
    page.wait_for_selector("body[data-state=well]")


def test_an_administrator_sees_the_statistics_and_the_token_leaves_the_address(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    page = look(driver, gateway.port, f"#token={token('root', is_admin=True)}")
    page.wait_for_selector("body[data-state=well]")
    assert page.locator("#active").inner_text() == "0"
    assert page.locator("#sessions-empty").inner_text() == "No session is live."
    assert page.locator("#stages tr").count() == 12
    assert "token" not in page.url
    assert driver.console_errors == []


def test_the_form_for_a_token_says_what_is_wrong_and_the_token_is_not_sent_again_F38(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    tokens = load_settings({"JWT_SECRET": SECRET}).tokens
    expired = issue_token(tokens, User("root", is_admin=True), seconds_valid=-3600)
    page = look(driver, gateway.port)
    page.wait_for_selector("#door:visible")
    assert page.locator("#door-error").is_hidden()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for shown, why in (("x" * 40, "not a JWT"), (expired, "expired"), (token(), "an administrator's token")):
        page.fill("#token", shown)
        page.click("#token-form button")
        page.locator("#door-error", has_text=why).wait_for()
        assert page.locator("#figures").is_hidden()
    assert len(requests) == 6
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as when the tab is shown again
    page.wait_for_timeout(50)
    assert len(requests) == 6
    page.fill("#token", token("root", is_admin=True))
    page.click("#token-form button")
    page.wait_for_selector("#figures:visible")


def test_a_live_session_is_listed_and_ended_after_a_second_question_F38(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    console = driver.open(gateway.port)
    start_talking(console)
    ask_in_writing(console, "How warm must the brooder be in the first week?")
    wait_for_state(console, "speaking")
    page = console.context.new_page()
    page.set_default_timeout(10_000)
    page.goto(f"http://127.0.0.1:{gateway.port}{PATH}#token={token('root', is_admin=True)}")
    row = page.locator("#sessions tr")
    row.wait_for()
    assert row.locator(".about").inner_text() == "elite"
    assert row.locator(".state").inner_text() in ("Answering", "Listening")
    assert len(row.locator(".hash").get_attribute("title") or "") == 32
    page.fill("#sessions-user", "grace")
    page.get_by_text("This user has no live session.").wait_for()
    page.fill("#sessions-user", "ada")
    row.wait_for()
    page.click("#sessions .end")
    page.keyboard.press("Enter")  # the focus is on what ends nothing
    assert page.locator("#end-dialog").is_hidden()
    assert console.evaluate("voiceTrio.isConnected")
    page.click("#sessions .end")
    assert page.locator("#end-facts").inner_text().startswith("User")
    page.click("#end-yes")
    wait_until(page, "document.getElementById('sessions-status').textContent.includes('has ended')")
    wait_until(page, "document.getElementById('sessions').rows.length === 0")
    wait_for_state(console, "error")
    assert console.evaluate("voiceTrio.error.code") == "ended_by_operator"


def test_sessions_are_sorted_and_paged_and_the_first_minute_is_honest_F38(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    stats, sessions = a_busy_day(), live_sessions()
    stats |= {"since": stats["now"] - 40, "recent": {"turns": 22, "seconds": 40.0}}
    stats |= {"knowledge": {"available": True, "empty": True}, "retrieval": {"none": 22}}
    page = driver.open(gateway.port)
    look_at(page, gateway.port, stats, sessions)
    assert page.locator("#turns").inner_text() == "22 in the first 40 s"
    assert page.locator("#knowledge-note").inner_text().startswith("The knowledge base is empty.")
    assert page.locator("#retrieval-legend").is_hidden()
    assert page.locator("#peak").inner_text().endswith("since the start, 40 s ago")
    assert page.locator("#sessions tr").count() == 10
    page.click("#sessions-more")
    assert (page.locator("#sessions tr").count(), page.locator("#sessions-more").is_hidden()) == (34, True)
    page.click("#sessions-table [data-key=cost]")
    costs = [float(text.strip("<$ ")) for text in page.locator("#sessions .cost").all_inner_texts()]
    assert costs == sorted(costs, reverse=True)
    assert page.locator("#sessions-table [aria-sort]").get_attribute("aria-sort") == "descending"
    page.click("#users-table [data-key=user]")
    users = page.locator("#users .hash").all_inner_texts()
    assert users == sorted(users)
    assert len(users) == 6


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_busy_day_fits_every_width_and_can_be_read(
    driver: BrowserDriver, gateway: BrowserGateway, dark: bool
) -> None:
    page = driver.open(gateway.port, dark=dark)
    look_at(page, gateway.port, a_busy_day(), live_sessions())
    for name, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        cut = "[...document.querySelectorAll('.scroll')].map((it) => it.scrollWidth - it.clientWidth)"
        assert page.evaluate(cut) == [0, 0, 0, 0], name
        page.screenshot(path=ARTEFACTS / f"dashboard-{name}-{'dark' if dark else 'light'}.png", full_page=True)
    assert page.locator("#answer").inner_text().endswith(" ms")
    assert page.locator("#cost").inner_text() == "$31.48"
    assert page.locator("#budget.warm").count() == 0
    assert "a minute, over 5 min" in page.locator("#turns").inner_text()
    assert page.locator("#instances tr").count() == 4
    assert page.locator("#instances .tag").all_inner_texts() == ["this one", "draining", "silent for 22 s"]
    assert page.locator("#users td:nth-child(3)").first.inner_text() == "$4.200"
    assert page.locator("#users .meter.warm").count() == 1
    for selector in ("#active", ".quiet", ".card h2", "#status-text", "#sessions .end", "#sessions .about"):
        assert contrast(page, selector) >= 4.5, selector
    page.click("[data-window='5m']")
    assert page.locator("[data-window='5m']").get_attribute("aria-pressed") == "true"
