"""Failures in the console, and the notices that it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.browser_driver import (
    ask_in_writing,
    logged,
    start_talking,
    wait_for_state,
    wait_until,
    wait_until_open,
)
from tests.support.browser_measurements import keep_picture
from tests.support.deployment import free_port, token

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser_driver import BrowserDriver, BrowserGateway, StartGateway


def notice(page: Page) -> str:
    """The text of the page's notice, once there is one."""
    page.locator("#notice").wait_for(state="visible")
    return " ".join(page.locator("#notice").inner_text().split())


def test_without_a_microphone_one_types(driver: BrowserDriver, gateway: BrowserGateway) -> None:
    page = driver.open(gateway.port, allow_microphone=False)
    start_talking(page)
    assert "please type" in notice(page)
    assert "Allow the microphone" in notice(page)
    assert page.evaluate("voiceTrio.microphone") == "refused"
    assert page.evaluate("document.activeElement.id") == "typed"
    keep_picture(page, "trouble-microphone-refused")
    ask_in_writing(page, "How warm must the brooder be in the first week?")
    wait_for_state(page, "speaking")
    wait_for_state(page, "listening")
    assert "34 degrees" in page.locator(".answer").inner_text()
    assert driver.wire.binary_bytes == []


def test_a_gateway_that_is_killed_and_comes_back_is_talked_to_again(
    driver: BrowserDriver, start_gateway: StartGateway
) -> None:
    port = free_port()
    with start_gateway(port=port, answer_ms=800) as gateway:
        page = driver.open(gateway.port)
        start_talking(page)
        ask_in_writing(page, "How warm?")
        wait_for_state(page, "speaking")
        gateway.kill()
        wait_for_state(page, "connecting")
        assert "connection was lost" in notice(page)
        assert "The rest was lost" in page.locator(".answer").inner_text()
        keep_picture(page, "trouble-gateway-gone")
    with start_gateway(port=port, answer_ms=800):
        wait_for_state(page, "listening", 20)
        keep_picture(page, "trouble-gateway-back")
        ask_in_writing(page, "And how much light?")
        wait_for_state(page, "speaking")
        attempts = [entry["attempt"] for entry in logged(page, "reconnecting")]
        assert attempts == list(range(1, len(attempts) + 1))
        delays = [entry["delayMs"] for entry in logged(page, "reconnecting")]
        assert all(250 * 2**n <= delay <= 500 * 2**n for n, delay in enumerate(delays))
        assert page.locator(".turn").count() == 2


def test_a_session_that_an_operator_ends_is_not_taken_up_again_F18(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    page = driver.open(gateway.port)
    start_talking(page)
    ask_in_writing(page, "How warm?")
    wait_for_state(page, "speaking")
    with httpx2.Client(headers={"Authorization": f"Bearer {token('root', is_admin=True)}"}) as operator:
        sessions = f"http://127.0.0.1:{gateway.port}/v1/voice/sessions"
        [live] = operator.get(sessions).json()["sessions"]
        assert operator.delete(f"{sessions}/{live['session_id']}").json()["outcome"] == "ended"
    assert "An operator has ended it." in notice(page)
    wait_for_state(page, "error")
    page.wait_for_timeout(1500)  # longer than the first pause before a reconnect
    assert logged(page, "reconnecting") == []
    [error] = [entry for entry in logged(page, "error") if entry["isFatal"]]
    assert (error["code"], error["closeCode"]) == ("ended_by_operator", 1008)


def test_a_reload_goes_on_with_the_conversation(driver: BrowserDriver, gateway: BrowserGateway) -> None:
    page = driver.open(gateway.port)
    start_talking(page)
    first = logged(page, "ready")[0]["sessionId"]
    ask_in_writing(page, "How warm must the brooder be in the first week?")
    wait_for_state(page, "speaking")
    wait_for_state(page, "listening")
    answer = page.locator(".answer").inner_text()
    page.reload()
    driver.watch(page)
    assert page.locator(".answer").inner_text() == answer
    assert "Go on?" in notice(page)
    keep_picture(page, "reload-1-offer")
    page.get_by_role("button", name="Go on talking").click()
    wait_for_state(page, "listening")
    keep_picture(page, "reload-2-resumed")
    ready = logged(page, "ready")[0]
    assert ready["resumed"]
    assert ready["sessionId"] == first
    assert "resume=" in driver.wire.urls[-1]


REFUSALS = [
    ("flag", {"ENABLE_VOICE_REALTIME": "false"}, {}, "Voice is switched off"),
    ("plan", {}, {"plan": "free"}, "Not part of your plan Voice is reserved for plans elite, intelia."),
    ("model", {"OPENAI_REALTIME_URL": "wss://api.openai.com/v1/realtime"}, {}, "The assistant cannot be reached"),
    pytest.param("rollout", {"VOICE_ROLLOUT_PERCENT": "0"}, {}, "Not open to you yet", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "variables", "claims", "told"), REFUSALS, ids=["flag", "plan", "model", "rollout"])
def test_a_refusal_is_told_in_clear_words(
    driver: BrowserDriver,
    start_gateway: StartGateway,
    name: str,
    variables: dict[str, str],
    claims: dict[str, str],
    told: str,
) -> None:
    with start_gateway(**variables) as gateway:
        page = driver.open(gateway.port, bearer=token(**claims))
        page.get_by_role("button", name="Start talking").click()
        assert told in notice(page)
        keep_picture(page, f"refused-{name}")
        assert len(driver.wire.urls) == 1  # it does not reconnect by itself, or not at once


def test_the_time_of_the_next_slot_is_told_and_a_third_try_tells_the_same(
    driver: BrowserDriver, start_gateway: StartGateway
) -> None:
    with start_gateway(MAX_SESSIONS_PER_USER_PER_HOUR="1") as gateway:
        page = driver.open(gateway.port)
        start_talking(page)
        page.get_by_role("button", name="End the conversation").click()
        for attempt in range(4):  # from the third refusal on a page's script learns nothing but 1006
            page.get_by_role("button", name="Start talking").click()
            wait_for_state(page, "error")
            assert "Enough for now" in notice(page), attempt
            assert ", in 60 minutes." in notice(page)
            assert len(driver.wire.urls) == 2 + attempt
        keep_picture(page, "refused-rate")


def test_a_hostile_token_is_refused_and_never_run(driver: BrowserDriver, start_gateway: StartGateway) -> None:
    with start_gateway() as gateway:
        for bearer in ("'\"><script>alert(1)</script>", "a" * 9000):
            page = driver.open(gateway.port, bearer=bearer)
            page.get_by_role("button", name="Start talking").click()
            assert "You are not signed in" in notice(page)
            assert page.locator("#token").is_visible()
            assert page.evaluate("location.hash") == ""
            # The browser itself notes that the page's introduction was refused.
            assert [error for error in driver.console_errors if "Failed to load resource" not in error] == []


LIVES_MS = (0, 0, 10, 25, 50, 80, 120, 180)  # of a conversation, from the click that begins it to the one that ends it


def test_impatient_clicks_end_in_what_the_last_one_asked_for_and_leave_nothing_open(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    """A start that is cancelled at any step: with a context, a microphone, a socket, or a session."""
    page = driver.open(gateway.port)
    clicks = """async (lives) => {
      for (const ms of lives) {
        document.getElementById("talk").click();
        if (ms) await new Promise((resolve) => setTimeout(resolve, ms));
        document.getElementById("talk").click();
      }
      document.getElementById("talk").click();
    }"""
    click_and_wait = """async (ms) => {
      document.getElementById("talk").click();
      if (ms) await new Promise((resolve) => setTimeout(resolve, ms));
      document.getElementById("talk").click();
    }"""
    page.evaluate(clicks, LIVES_MS)
    wait_for_state(page, "listening")
    for _ in range(2):
        wait_until_open(page, sockets=1, microphones=1, contexts=2)  # one to play, one for the microphone
        page.wait_for_timeout(300)
    assert page.evaluate("voiceTrio.state") == "listening"
    page.evaluate("document.getElementById('talk').click()")
    page.evaluate(clicks, LIVES_MS)
    page.evaluate("document.getElementById('talk').click()")
    wait_for_state(page, "idle")
    for _ in range(2):
        wait_until_open(page, sockets=0, microphones=0, contexts=0)
        page.wait_for_timeout(300)
    assert page.evaluate("[voiceTrio.state, voiceTrio.microphone, voiceTrio.output]") == ["idle", "off", None]
    for ms in LIVES_MS:  # and each of them alone: nothing that comes late is taken up by the next start
        page.evaluate(click_and_wait, ms)
        page.wait_for_timeout(250)
        wait_until_open(page, sockets=0, microphones=0, contexts=0)
    # The browser notes each socket that was closed before it was open; there is nothing to be done about it.
    assert [said for said in driver.console_errors if "before the connection is established" not in said] == []


def test_without_a_token_the_page_asks_for_one(driver: BrowserDriver, gateway: BrowserGateway) -> None:
    page = driver.open(gateway.port, bearer=None)
    assert "A token is needed" in notice(page)
    keep_picture(page, "no-token")
    page.get_by_label("Token", exact=True).fill(token("eve"))  # the other user has made many attempts here
    page.keyboard.press("Enter")
    wait_for_state(page, "listening")


def test_the_policy_lets_nothing_foreign_in(driver: BrowserDriver, gateway: BrowserGateway) -> None:
    page = driver.open(gateway.port)
    page.evaluate(
        """() => {
          window.violations = [];
          const note = ({ effectiveDirective }) => violations.push(effectiveDirective);
          addEventListener("securitypolicyviolation", note);
          const script = document.createElement("script");
          try { script.text = "window.injected = true"; } catch { violations.push("trusted-types"); }
          const image = new Image();
          image.src = "http://127.0.0.1:1/pixel";
          fetch("http://127.0.0.1:1/").catch(() => {});
          const style = document.createElement("p");
          style.setAttribute("style", "color: red");
        }"""
    )
    wait_until(page, "violations.length >= 4")
    found = set(page.evaluate("violations"))
    assert found >= {"trusted-types", "img-src", "connect-src", "style-src-attr"}
    assert page.evaluate("window.injected === undefined")
