"""Audio that the browser blocks, suspends or interrupts, microphones that go, and a gateway that is away.

Chromium suspends no context by itself and has no interruptions: the tests suspend contexts, refuse `resume`, and
dispatch the events that Safari and a phone would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser_driver import (
    ask_in_writing,
    logged,
    start_talking,
    wait_for_state,
    wait_until,
    wait_until_open,
)
from tests.support.browser_measurements import QUESTION
from tests.support.deployment import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser_driver import BrowserDriver, BrowserGateway, StartGateway

ANSWER_MS = 800
WARNINGS_MAX = 6  # of Chromium, one for each context and each `resume` before a gesture

# What a system does to audio: `suspendAll(state)` until `giveBack()`; Safari calls its own state "interrupted".
_SYSTEM = """
() => {
  window.suspendAll = async (state) => {
    const open = contexts.filter((context) => context.state === "running");
    for (const context of open) {
      context.resume = () => Promise.reject(new DOMException("not now", "InvalidStateError"));
      await context.suspend();
      if (state) Object.defineProperty(context, "state", { configurable: true, get: () => state });
      context.dispatchEvent(new Event("statechange"));
    }
    window.giveBack = () => {
      for (const context of open) {
        delete context.resume;
        delete context.state;
        context.dispatchEvent(new Event("statechange"));
      }
    };
  };
  window.sounds = [];
  for (const name of ["output", "microphone", "playback", "devices"])
    voiceTrio.addEventListener(name, ({ detail }) => sounds.push({ name, ...detail }));
}
"""


def noted(page: Page, name: str) -> list[dict[str, Any]]:
    """The events of that name since `_SYSTEM` was run."""
    entries: list[dict[str, Any]] = page.evaluate("name => sounds.filter((entry) => entry.name === name)", name)
    return entries


def states(page: Page, name: str) -> list[str]:
    return [entry["state"] for entry in noted(page, name)]


def suspended_in_an_answer(driver: BrowserDriver, gateway: BrowserGateway, state: str = "") -> Page:
    """A page whose audio is stopped in the middle of an answer; `state` is what its contexts call that."""
    page = driver.open(gateway.port)
    page.evaluate(_SYSTEM)
    start_talking(page)
    wait_until(page, "voiceTrio.microphone === 'on'")
    page.evaluate(  # by the page itself: under load the answer could end before the next command
        """(state) => {
          let isStopped = false;
          voiceTrio.addEventListener("playback", ({ detail }) => {
            if (!isStopped && detail.playedMs > 200) suspendAll(state);
            isStopped ||= detail.playedMs > 200;
          });
        }""",
        state,
    )
    ask_in_writing(page, QUESTION)
    wait_until(page, f"voiceTrio.outputState === '{state or 'suspended'}' && voiceTrio.microphone === 'suspended'")
    return page


def test_a_blocked_answer_waits_for_the_first_gesture_and_is_then_heard_whole_F30(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    begin = f"({_SYSTEM})(); voiceTrio.start().then(() => voiceTrio.sendText({QUESTION!r}));"
    flag = "--autoplay-policy=document-user-activation-required"
    page = driver.open(gateway.port, flags=(flag,), script=f"addEventListener('load', () => {{ {begin} }});")
    wait_until(page, "voiceTrio.outputState === 'blocked'")
    page.wait_for_timeout(ANSWER_MS + 1000)
    assert states(page, "output") == ["blocked"]
    assert noted(page, "playback") == []
    positions = driver.wire.positions(flushed=False)
    assert len(positions) >= 4, "the gateway would assume that the answer is heard"
    assert {position["played_ms"] for position in positions} == {0}
    assert len(driver.console_errors) <= WARNINGS_MAX, driver.console_errors
    page.mouse.click(5, 5)
    wait_until(page, "sounds.some(({ name, type }) => name === 'playback' && type === 'silent')")
    assert noted(page, "playback")[-1]["playedMs"] == pytest.approx(ANSWER_MS, abs=1)
    assert states(page, "output") == ["blocked", "running"]


@pytest.mark.parametrize("state", [pytest.param("suspended", marks=pytest.mark.slow), "interrupted"])
def test_an_interrupted_answer_stands_still_and_goes_on_when_the_page_returns_F29(
    driver: BrowserDriver, gateway: BrowserGateway, state: str
) -> None:
    page = suspended_in_an_answer(driver, gateway, "" if state == "suspended" else state)
    before = len(driver.wire.positions(flushed=False))
    page.wait_for_timeout(1200)  # longer than the rest of the answer
    still = [position["played_ms"] for position in driver.wire.positions(flushed=False)[before + 1 :]]
    assert len(still) >= 3
    assert len(set(still)) == 1
    assert 0 < still[0] < ANSWER_MS
    assert page.evaluate("voiceTrio.state") == "speaking"
    page.evaluate("() => { giveBack(); document.dispatchEvent(new Event('visibilitychange')); }")
    wait_until(page, "sounds.some(({ name, type }) => name === 'playback' && type === 'silent')")
    assert noted(page, "playback")[-1]["playedMs"] == pytest.approx(ANSWER_MS, abs=1)
    seen = states(page, "output")
    assert (seen[:2], seen[-1]) == (["running", state], "running")  # Safari: suspended after the interruption
    wait_until(page, "voiceTrio.microphone === 'on'")
    assert states(page, "microphone") == ["on", "suspended", "on"]


def test_an_interruption_while_suspended_is_reported_where_playback_stood_F29(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    page = suspended_in_an_answer(driver, gateway)
    page.evaluate("() => voiceTrio.interrupt()")
    wait_until(page, "log.some(({ name }) => name === 'cut')")
    [cut] = [cut for cut in logged(page, "cut") if cut["by"] == "user"]
    assert 150 < cut["playedMs"] < ANSWER_MS
    page.evaluate("() => giveBack()")
    assert page.evaluate("() => voiceTrio.resumeAudio()") is True
    before = len(noted(page, "playback"))
    page.wait_for_timeout(400)
    assert [entry for entry in noted(page, "playback")[before:] if entry["type"] == "playing"] == []


def test_the_gateway_knows_that_a_suspended_answer_is_not_heard_F29(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    """A question after the answer would have ended interrupts it where it stands, and is answered aloud later."""
    page = suspended_in_an_answer(driver, gateway)
    page.wait_for_timeout(1000)
    still = driver.wire.positions(flushed=False)[-1]
    ask_in_writing(page, "And how much light?")
    wait_until(page, "log.some(({ name, by }) => name === 'cut' && by === 'gateway')")
    [flush] = [event for event in driver.wire.received if event["type"] == "playback.flush"]
    assert flush["item_id"] == still["item_id"]
    assert flush["played_ms"] == pytest.approx(still["played_ms"], abs=300)  # the clock runs between two reports
    [final] = driver.wire.positions(flushed=True)
    assert final["played_ms"] == pytest.approx(still["played_ms"], abs=60)
    page.evaluate("() => { giveBack(); voiceTrio.resumeAudio(); }")
    wait_until(page, "sounds.some(({ name, type }) => name === 'playback' && type === 'silent')")
    ended = noted(page, "playback")[-1]
    assert ended["itemId"] != still["item_id"]
    assert ended["playedMs"] == pytest.approx(ANSWER_MS, abs=1)


def test_a_microphone_that_is_taken_muted_or_unplugged_is_said_and_replaced_F29(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    page = driver.open(gateway.port, script="navigator.audioSession = { type: 'auto' };")
    page.evaluate(_SYSTEM)
    start_talking(page)
    wait_until(page, "voiceTrio.microphone === 'on'")
    assert page.evaluate("navigator.audioSession.type") == "play-and-record"
    page.evaluate(
        """() => {
          Object.defineProperty(tracks[0], "muted", { configurable: true, get: () => true });
          tracks[0].dispatchEvent(new Event("mute"));
        }"""
    )
    assert page.evaluate("voiceTrio.microphone") == "suspended"
    page.evaluate("() => { delete tracks[0].muted; tracks[0].dispatchEvent(new Event('unmute')); }")
    assert page.evaluate("voiceTrio.microphone") == "on"
    [name] = page.evaluate("() => voiceTrio.devices.inputs.slice(0, 1).map(({ label }) => label)")
    assert name
    page.evaluate("() => voiceTrio.useMicrophone(voiceTrio.devices.inputs[0].deviceId)")
    wait_until(page, "tracks.length === 2 && voiceTrio.microphone === 'on'")
    page.evaluate(  # the chosen headset is unplugged: it cannot be opened again
        """() => {
          const given = navigator.mediaDevices.getUserMedia;
          navigator.mediaDevices.getUserMedia = async (wanted) => {
            if (wanted.audio.deviceId) throw new DOMException("gone", "NotFoundError");
            return given(wanted);
          };
          tracks[1].stop();
          tracks[1].dispatchEvent(new Event("ended"));
        }"""
    )
    wait_until(page, "tracks.length === 3 && voiceTrio.microphone === 'on'")
    assert states(page, "microphone") == ["on", "suspended", "on", "suspended", "on"]
    page.evaluate("() => dispatchEvent(new PageTransitionEvent('pagehide'))")
    wait_until_open(page, sockets=0, microphones=0, contexts=0)
    assert page.evaluate("[voiceTrio.state, voiceTrio.canResume, navigator.audioSession.type]") == [
        "idle",
        True,
        "auto",
    ]
    assert driver.console_errors == []


def test_a_chosen_device_is_left_while_it_is_unplugged_and_used_again_F29(
    driver: BrowserDriver, gateway: BrowserGateway
) -> None:
    page = driver.open(gateway.port)
    page.evaluate(_SYSTEM)
    page.evaluate(
        """() => {
          window.plugged = { audioinput: ["desk", "headset"], audiooutput: ["desk", "headset"] };
          window.sinks = [];
          window.asked = [];
          AudioContext.prototype.setSinkId = async (id) => { sinks.push(id); };
          navigator.mediaDevices.enumerateDevices = async () => Object.entries(plugged).flatMap(([kind, ids]) =>
            ids.map((deviceId) => ({ kind, deviceId, label: deviceId })));
          const given = navigator.mediaDevices.getUserMedia;
          navigator.mediaDevices.getUserMedia = async ({ audio: { deviceId, ...audio } }) => {
            asked.push(deviceId?.exact ?? "");
            if (deviceId && !plugged.audioinput.includes(deviceId.exact)) throw new DOMException("", "NotFoundError");
            return given({ audio });
          };
          window.change = (ids) => {
            plugged = { audioinput: ids, audiooutput: ids };
            navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
          };
        }"""
    )
    start_talking(page)
    wait_until(page, "voiceTrio.microphone === 'on' && voiceTrio.devices.outputs.length === 2")
    page.evaluate("() => voiceTrio.useMicrophone('headset').then(() => voiceTrio.useSpeaker('headset'))")
    assert page.evaluate("[asked, sinks]") == [["", "headset"], ["headset"]]
    page.evaluate("() => { change(['desk']); tracks.at(-1).stop(); tracks.at(-1).dispatchEvent(new Event('ended')); }")
    wait_until(page, "asked.length === 4 && voiceTrio.microphone === 'on'")
    page.evaluate("() => change(['desk', 'headset'])")
    wait_until(page, "asked.length === 5 && sinks.length === 3 && voiceTrio.microphone === 'on'")
    assert page.evaluate("[asked, sinks]") == [["", "headset", "headset", "", "headset"], ["headset", "", "headset"]]
    page.wait_for_timeout(200)
    assert page.evaluate("asked.length") == 5


def test_a_gateway_that_is_away_is_unreachable_and_found_once_it_is_back_F34(
    driver: BrowserDriver, start_gateway: StartGateway
) -> None:
    port = free_port()
    with start_gateway(port=port) as gateway:
        page = driver.open(gateway.port)
    page.get_by_role("button", name="Start talking").click()
    wait_until(page, "log.some(({ name }) => name === 'reconnecting')")
    assert logged(page, "reconnecting")[0]["error"]["code"] == "unreachable"
    assert page.evaluate("voiceTrio.state") == "connecting"
    with start_gateway(port=port, answer_ms=ANSWER_MS):
        wait_for_state(page, "listening", 20)
        wait_until(page, "voiceTrio.microphone === 'on'")
        assert logged(page, "error") == []
        ask_in_writing(page, QUESTION)
        wait_for_state(page, "speaking")
