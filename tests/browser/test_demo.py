"""`voice-trio demo` as people meet it: real speech in, recognised on this machine, a real voice out."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.browser_driver import (
    BrowserGateway,
    ask_in_writing,
    logged,
    running_process,
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
from tests.support.deployment import free_port
from voice_trio.embedded.local import missing_packages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.browser_driver import BrowserDriver

LOUD = 0.05  # of full scale; the embedded voice peaks above 0.3


@contextmanager
def the_demo(folder: Path, port: int) -> Iterator[tuple[BrowserGateway, str]]:
    """It listens at `port`; with the token that it prints. A later one takes tokens of an earlier one (F35)."""
    command = [sys.executable, "-m", "voice_trio.cli", "demo", "--bind", f"127.0.0.1:{port}"]
    variables = {"XDG_DATA_HOME": str(folder)}
    with running_process(command, variables, "The demo is at") as (process, line):
        printed = re.search(r"#token=(\S+)", line)
        assert printed is not None
        yield BrowserGateway(port, process), printed[1]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_hears_a_question_and_answers_it_from_the_handbook_aloud(
    driver: BrowserDriver, tmp_path: Path
) -> None:
    if missing_packages():
        pytest.skip(f"SKIPPED LOUDLY: no ears on this machine, {missing_packages()} missing")
    with the_demo(tmp_path, free_port()) as (start_gateway, bearer):
        speech = silence(1) + spoken(QUESTION) + silence(7) + spoken("How many hours of light do laying hens need?")
        page = driver.open(start_gateway.port, bearer=bearer, speech=speech)
        start_talking(page)
        attach_meter(page)
        wait_for_state(page, "speaking", 30)
        page.wait_for_timeout(1500)
        keep_picture(page, "demo-1-answering")
        assert page.evaluate("loudest") > LOUD
        stops = [entry["at"] for entry in logged(page, "speech") if not entry["speaking"]]
        words = [entry for entry in logged(page, "transcript") if entry["role"] == "user"]
        early = [entry["text"] for entry in words if entry["at"] < stops[0]]
        assert len(early[-1].split()) >= 3
        page.locator(".turn").nth(1).locator(".answer").wait_for(timeout=40_000)
        page.wait_for_timeout(2500)
        keep_picture(page, "demo-2-second-question")
        said, answer = page.locator(".said").first.inner_text(), page.locator(".answer").first.inner_text()
        keep_measurements("demo", {"said": said, "answer": answer, "words_before_the_end": early[-1]})
        assert "brooder" in said.lower()
        assert re.search(r"3[2-5]", answer)
        assert page.locator(".sources li").count() >= 1
        assert driver.console_errors == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_is_interrupted_reloaded_killed_and_talked_to_again(driver: BrowserDriver, tmp_path: Path) -> None:
    if missing_packages():
        pytest.skip(f"SKIPPED LOUDLY: no voice on this machine, {missing_packages()} missing")
    port = free_port()
    with the_demo(tmp_path, port) as (start_gateway, bearer):
        page = driver.open(port, bearer=bearer, with_recorder=True)
        start_talking(page)
        attach_recorder(page)
        ask_in_writing(page, QUESTION)
        wait_for_state(page, "speaking", 30)
        page.wait_for_timeout(1200)
        page.keyboard.press("Escape")
        wait_until(page, "cuts.filter(({ by }) => by === 'flush').length === 1")
        page.wait_for_timeout(300)
        keep_picture(page, "demo-3-cut")
        errors, delays = measure_cuts(driver, page)
        keep_measurements("demo-cut", {"position_error_ms": errors, "cut_to_silence_ms": delays})
        assert len(errors) == 1
        assert max(map(abs, errors)) <= ERROR_MS_MAX
        assert max(delays) <= ERROR_MS_MAX
        page.reload()
        driver.watch(page)
        page.get_by_role("button", name="Go on talking").click()
        wait_for_state(page, "listening")
        assert logged(page, "ready")[0]["resumed"]
        keep_picture(page, "demo-4-resumed")
        start_gateway.kill()
        wait_for_state(page, "connecting")
        keep_picture(page, "demo-5-gone")
    with the_demo(tmp_path, port):
        wait_for_state(page, "listening", 30)
        ask_in_writing(page, "How many hours of light do laying hens need?")
        wait_for_state(page, "speaking", 30)
        page.wait_for_timeout(1500)
        keep_picture(page, "demo-6-back")
        assert re.search(r"\b1[4-7]\b", page.locator(".answer").last.inner_text())


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_demo_is_asked_in_writing_where_the_microphone_is_refused(driver: BrowserDriver, tmp_path: Path) -> None:
    if missing_packages():
        pytest.skip(f"SKIPPED LOUDLY: no voice on this machine, {missing_packages()} missing")
    with the_demo(tmp_path, free_port()) as (start_gateway, bearer):
        page = driver.open(start_gateway.port, bearer=bearer, allow_microphone=False)
        start_talking(page)
        assert page.evaluate("voiceTrio.microphone") == "refused"
        ask_in_writing(page, QUESTION)
        wait_for_state(page, "speaking", 30)
        page.wait_for_timeout(2500)
        keep_picture(page, "demo-7-in-writing")
        assert re.search(r"3[2-5]", page.locator(".answer").inner_text())
