"""A conversation with the console: what it shows, what it plays, and how exactly it reports that."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.browser_driver import (
    BrowserDriver,
    logged,
    silence,
    start_talking,
    wait_for_state,
    wait_until,
)
from tests.support.browser_measurements import (
    ERROR_MS_MAX,
    QUESTION,
    attach_meter,
    attach_recorder,
    keep_measurements,
    keep_picture,
    measure_cuts,
    spoken,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser_driver import StartGateway

SILENCE_MS = 500  # the default of VOICE_VAD_SILENCE_MS


def test_words_appear_while_the_user_speaks_and_the_answer_is_heard_and_shown(
    driver: BrowserDriver, start_gateway: StartGateway
) -> None:
    with start_gateway(answer_ms=1500) as gateway:
        page = driver.open(gateway.port, speech=silence(1) + spoken(QUESTION))
        start_talking(page)
        attach_meter(page)
        wait_until(page, "document.querySelector('.said')?.textContent.split(' ').length >= 3")
        assert page.evaluate("voiceTrio.state") == "listening"
        keep_picture(page, "talking-1-words-while-speaking")
        wait_for_state(page, "speaking")
        page.wait_for_timeout(500)
        keep_picture(page, "talking-2-answer")
        wait_for_state(page, "listening")
        keep_picture(page, "talking-3-answered")

        speech = logged(page, "speech")
        words = [entry for entry in logged(page, "transcript") if entry["role"] == "user"]
        assert [entry["speaking"] for entry in speech] == [True, False]
        assert sum(entry["at"] < speech[1]["at"] for entry in words) >= 3
        assert page.locator(".said").inner_text() == QUESTION
        assert "34 degrees" in page.locator(".answer").inner_text()
        assert page.locator(".sources li").inner_text().split() == ["Brooding", "Brooding.md"]
        wait_until(page, "document.querySelector('.timeline .query.found')")  # sent when the turn is over
        (told,) = [event for event in driver.wire.received if event["type"] == "turn.metrics"]
        assert page.locator(".timeline .query").count() == len(told["queries"])
        caption = page.locator(".caption").inner_text()
        assert "from your voice to the first sound" in caption
        assert f"${told['cost_usd']:.4f}"[:5] in caption
        assert page.locator("#cost").inner_text().removesuffix(" so far") in caption
        assert page.locator("#answer-time").inner_text() in caption
        check_wait(page)
        assert page.evaluate("loudest") == pytest.approx(6000 / 32768, abs=0.01)
        assert set(driver.wire.binary_bytes) == {1920}
        assert not any("token" in url for url in driver.wire.urls)
        assert driver.console_errors == []


def check_wait(page: Page) -> None:
    """The wait that is shown is what a stopwatch measures, from the end of the voice to the first sound (F37)."""
    [stopped] = [entry["at"] for entry in logged(page, "speech") if not entry["speaking"]]
    sounded = next(entry["at"] for entry in logged(page, "state") if entry["state"] == "speaking")
    stopwatch_ms = sounded - (stopped - SILENCE_MS)  # the model here notices the silence to the sample
    shown = re.fullmatch(r"([\d.]+)\s*s", page.locator("#answer-time").inner_text())
    assert shown is not None
    assert stopwatch_ms - 50 <= 1000 * float(shown[1]) <= stopwatch_ms + 300
    silence = re.search(r"of which ([\d.]+)", page.locator("#answer-silence").inner_text())
    assert silence is not None
    assert SILENCE_MS <= 1000 * float(silence[1]) <= SILENCE_MS + 300
    assert page.locator(".timeline .silence").count() == 1


def test_what_is_reported_at_a_cut_is_what_was_heard_and_silence_is_immediate(
    driver: BrowserDriver, start_gateway: StartGateway
) -> None:
    """Interruptions by voice, by Esc and by a typed question: at most 20 ms of error, and silence within 20 ms."""
    with start_gateway(answer_ms=6000) as gateway:
        page = driver.open(
            gateway.port,
            speech=silence(1) + spoken(QUESTION) + silence(2) + spoken("Stop, please."),
            with_recorder=True,
        )
        start_talking(page)
        attach_recorder(page)
        wait_for_state(page, "speaking")
        wait_for_state(page, "listening")  # the recording cuts in
        wait_for_state(page, "speaking")
        page.wait_for_timeout(700)
        page.keyboard.press("Escape")
        wait_for_state(page, "listening")
        page.wait_for_timeout(700)
        page.get_by_label("Your question").fill("How much light do layers need?")
        page.keyboard.press("Enter")
        wait_for_state(page, "speaking")
        page.wait_for_timeout(900)
        page.get_by_label("Your question").fill("And ducks?")
        page.keyboard.press("Enter")
        wait_until(page, "cuts.filter(({ by }) => by === 'flush').length === 3")
        keep_picture(page, "cut")
        wait_for_state(page, "speaking")
        page.keyboard.press("Escape")
        wait_until(page, "cuts.filter(({ by }) => by === 'flush').length === 4")
        page.wait_for_timeout(300)

        errors, delays = measure_cuts(driver, page)
        keep_measurements("cuts", {"position_error_ms": errors, "cut_to_silence_ms": delays})
        assert len(errors) == 4
        assert max(map(abs, errors)) <= ERROR_MS_MAX
        assert max(delays) <= ERROR_MS_MAX
        running = driver.wire.positions(flushed=False)
        assert running
        assert page.locator(".turn .unheard").count() >= 3
        assert driver.console_errors == []


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_every_one_of_a_dozen_cuts_is_reported_to_within_20_ms(
    driver: BrowserDriver, start_gateway: StartGateway
) -> None:
    with start_gateway(answer_ms=8000) as gateway:
        page = driver.open(gateway.port, with_recorder=True)
        start_talking(page)
        attach_recorder(page)
        for number in range(12):
            page.get_by_label("Your question").fill(f"Question {number}?")
            page.keyboard.press("Enter")
            if number % 2:  # the question itself interrupted the response before
                wait_until(page, f"cuts.filter(({{ by }}) => by === 'flush').length === {number}")
            wait_for_state(page, "speaking")
            page.wait_for_timeout(150 + 210 * number)
            if number % 2:
                page.keyboard.press("Escape")
                wait_until(page, f"cuts.filter(({{ by }}) => by === 'flush').length === {number + 1}")
                page.wait_for_timeout(300)
        errors, delays = measure_cuts(driver, page)
        keep_measurements("cuts-dozen", {"position_error_ms": errors, "cut_to_silence_ms": delays})
        assert len(errors) == 12
        assert max(map(abs, errors)) <= ERROR_MS_MAX
        assert max(delays) <= ERROR_MS_MAX
