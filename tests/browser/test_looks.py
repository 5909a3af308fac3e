"""The console at three widths, light and dark, in each state: screenshots for review, and checks of the layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.browser_driver import WIDTHS, silence, start_talking, wait_for_state, wait_until
from tests.support.browser_measurements import QUESTION, check_layout, contrast, faint_texts, keep_picture, spoken

if TYPE_CHECKING:
    from tests.support.browser_driver import BrowserDriver, BrowserGateway, StartGateway


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_an_idle_page_fits_every_width_and_can_be_read_and_used_by_keyboard(
    driver: BrowserDriver, gateway: BrowserGateway, dark: bool
) -> None:
    page = driver.open(gateway.port, dark=dark)
    for name, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        check_layout(page)
        keep_picture(page, f"idle-{name}-{'dark' if dark else 'light'}")
    assert contrast(page, "h1") >= 7
    assert faint_texts(page) == []
    for focused in ("skip", "", *["question"] * 3, "talk", "typed", "send"):
        page.keyboard.press("Tab")
        seen = page.evaluate("document.activeElement.id || document.activeElement.className")
        assert seen == focused
    page.get_by_role("button", name="Start talking").focus()
    page.keyboard.press("Enter")
    wait_for_state(page, "listening")
    assert page.locator("#status-text").inner_text() == "Listening"


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_state_fits_every_width(
    driver: BrowserDriver, start_gateway: StartGateway, width: str, dark: bool
) -> None:
    look = f"{width}-{'dark' if dark else 'light'}"
    with start_gateway(answer_ms=4000) as gateway:
        speech = silence(1) + spoken(QUESTION) + silence(3) + spoken("And how much light do layers need?")
        page = driver.open(gateway.port, speech=speech, width=width, dark=dark)
        start_talking(page)
        wait_until(page, "document.querySelector('.said')?.textContent.split(' ').length >= 4")
        keep_picture(page, f"state-1-hearing-{look}")
        check_layout(page)
        wait_for_state(page, "speaking")
        page.wait_for_timeout(1200)
        keep_picture(page, f"state-2-speaking-{look}")
        check_layout(page)
        wait_until(page, "document.querySelectorAll('.turn').length === 2")
        page.wait_for_timeout(1700)
        keep_picture(page, f"state-3-cut-{look}")
        check_layout(page)
        wait_for_state(page, "speaking")
        wait_for_state(page, "listening")
        page.get_by_role("button", name="Mute the microphone").click()
        page.locator("#settings summary").click()
        page.wait_for_timeout(200)
        keep_picture(page, f"state-4-muted-settings-{look}")
        check_layout(page)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="End the conversation").click()
        wait_for_state(page, "idle")
        keep_picture(page, f"state-5-ended-{look}")
        check_layout(page)
        assert contrast(page, ".answer") >= 7
        assert faint_texts(page) == []
        assert driver.console_errors == []
