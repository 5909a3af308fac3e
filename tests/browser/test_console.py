"""The console for everyone: away gateways, small windows, screen readers, French, passages, the first question."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.browser_driver import (
    BrowserDriver,
    BrowserGateway,
    ask_in_writing,
    start_talking,
    wait_for_state,
    wait_until,
)
from tests.support.browser_measurements import check_layout, faint_texts, keep_picture
from tests.support.deployment import free_port, token

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser_driver import StartGateway

LIGHT = "How much light do layers need?"
LOW_WINDOWS = {"phone": (390, 844), "phone on its side": (844, 390), "screen at 200 %": (640, 400)}
EMIT = "([name, detail]) => voiceTrio.dispatchEvent(new CustomEvent(name, { detail }))"
# How far the newest words reach above the header and below the dock; neither is positive where all can be read.
HIDDEN_PX = """() => {
  const words = [...document.querySelectorAll(".turn .words")].at(-1).getBoundingClientRect();
  const top = Math.max(0, document.querySelector("header").getBoundingClientRect().bottom);
  return [top - words.top, words.bottom - document.querySelector("footer").getBoundingClientRect().top];
}"""


def speak_french(page: Page) -> None:
    page.locator("#settings summary").click()
    page.locator("#language").select_option("fr")
    page.keyboard.press("Escape")


def test_question_and_answer_stay_in_sight_F36(driver: BrowserDriver, gateway: BrowserGateway) -> None:
    page = driver.open(gateway.port)
    start_talking(page)
    for name, (width, height) in LOW_WINDOWS.items():
        page.set_viewport_size({"width": width, "height": height})
        ask_in_writing(page, f"How warm must the brooder be in the first week, on a {name}?")
        wait_for_state(page, "speaking")
        wait_for_state(page, "listening")
        page.wait_for_timeout(100)
        above, below = page.evaluate(HIDDEN_PX)
        assert (above <= 0, below <= 0) == (True, True), (name, above, below)
        check_layout(page)
        keep_picture(page, f"low-{width}x{height}")
    page.mouse.wheel(0, -2000)  # a reader who looks back is left in peace
    wait_until(page, "scrollY === 0")
    page.set_viewport_size({"width": width, "height": height - 20})
    page.wait_for_timeout(150)
    assert page.evaluate("scrollY") == 0


def test_a_gateway_that_is_away_is_said_and_talked_to_once_it_is_back_F34(
    driver: BrowserDriver, start_gateway: StartGateway
) -> None:
    port = free_port()
    with start_gateway(port=port) as gateway:
        page = driver.open(port)
        gateway.kill()
        page.get_by_role("button", name="Start talking").click()
        page.get_by_text("The gateway cannot be reached").wait_for()
        assert page.get_by_role("button", name="Try again").is_visible()
        keep_picture(page, "away")
        failure = {"code": "unreachable", "message": "", "retryAfter": None, "closeCode": None, "isFatal": True}
        page.get_by_role("button", name="End the conversation").click()
        page.evaluate(EMIT, ["error", failure])  # as after the client's own attempts, a minute later
        page.get_by_text("begins as soon as it answers").wait_for()
        assert page.locator("#status-text").inner_text() == "Waiting for the gateway"
        keep_picture(page, "away-waiting")
    with start_gateway(port=port):
        wait_for_state(page, "listening", 20)
        assert page.locator("#notice").is_hidden()


def test_an_empty_page_offers_questions_documents_and_to_administrators_the_dashboard_F39(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    page = driver.open(gateway.port, bearer=token("root", is_admin=True))
    page.get_by_text("It answers from 3 documents").wait_for()
    assert page.locator("#documents li").all_inner_texts() == ["Brooding", "Light", "Water"]
    questions = page.locator(".question").all_inner_texts()
    assert questions == [f"What does “{title}” say?" for title in ("Brooding", "Light", "Water")]
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Dashboard").click()
    opened.value.get_by_role("heading", name="Talking now").wait_for()
    opened.value.close()
    assert "token" not in (page.get_by_role("link", name="Dashboard").get_attribute("href") or "")
    page.get_by_role("button", name="“Light”").click()
    wait_for_state(page, "speaking")
    assert page.locator(".said").inner_text() == "What does “Light” say?"
    page = driver.open(gateway.port)
    page.get_by_text("It answers from 3 documents").wait_for()
    assert page.get_by_role("link", name="Dashboard").is_hidden()


def test_an_answer_is_announced_by_sentences_and_its_passage_opens_in_either_language_F39(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    page = driver.open(gateway.port)
    speak_french(page)
    start = page.get_by_role("button", name="Commencer à parler")
    assert page.evaluate("document.documentElement.lang") == "fr"
    start.click()
    wait_for_state(page, "listening")
    assert page.locator("#status-text").inner_text() == "J’écoute"
    page.get_by_label("Votre question").fill(LIGHT)
    page.keyboard.press("Enter")
    wait_for_state(page, "speaking")
    wait_for_state(page, "listening")
    announced = page.locator("#spoken p").all_text_contents()
    assert " ".join(announced) == page.locator(".answer").inner_text()
    assert page.locator("#spoken").get_attribute("role") == "log"
    source = page.get_by_role("button", name="Lire : Light")
    source.focus()
    page.keyboard.press("Enter")
    page.locator("#passage-text", has_text="Layers need 16 hours of light.").wait_for()
    keep_picture(page, "passage")
    assert faint_texts(page) == []
    page.keyboard.press("Escape")
    assert page.locator("#passage").is_hidden()
    assert source.evaluate("it => it === document.activeElement")
    assert re.match(r"\d,\d\d\ss jusqu’au premier son", page.locator(".caption").inner_text())
    page.get_by_role("button", name="Terminer la conversation").click()
    page.reload()
    wait_until(page, "document.documentElement.lang === 'fr'")  # the choice is kept
    assert driver.console_errors == []


def test_blocked_sound_and_a_slow_model_are_said_F30(driver: BrowserDriver, gateway: BrowserGateway) -> None:
    page = driver.open(gateway.port)
    start_talking(page)
    page.evaluate("() => { voiceTrio.resumeAudio = () => { window.wasResumed = true; }; }")
    page.evaluate(EMIT, ["output", {"state": "blocked"}])
    page.get_by_text("The sound is blocked").wait_for()
    keep_picture(page, "sound-blocked")
    speak_french(page)
    page.get_by_role("button", name="Toucher pour écouter").click()
    assert page.evaluate("wasResumed")
    assert page.locator("#notice").is_hidden()
    page.evaluate(EMIT, ["output", {"state": "interrupted"}])
    page.get_by_text("Un autre programme ou un appel").wait_for()
    page.evaluate(EMIT, ["output", {"state": "running"}])
    assert page.locator("#notice").is_hidden()
    page.evaluate(EMIT, ["recovering", {"recovering": True}])
    page.get_by_text("L’assistant a été perdu et est rappelé.").wait_for()
    page.evaluate(EMIT, ["recovering", {"recovering": False}])
    assert page.locator("#notice").is_hidden()
    waiting = "voiceTrio.sendText('?'); voiceTrio.dispatchEvent(new CustomEvent('waiting', { detail: { seconds: 8 } }))"
    page.evaluate(waiting)
    assert page.locator("#status-text").inner_text() == "Toujours en attente de la réponse, depuis 8 s"
