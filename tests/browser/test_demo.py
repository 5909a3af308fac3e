"""`voice-trio demo` as people meet it: real speech in, recognised on this machine, a real voice out."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from tests.browser.desk import attach_meter, keep_figures, keep_picture, logged, serving, silence, talk, wait_for_state
from tests.browser.test_conversation import QUESTION, spoken
from tests.wire.deployment import free_port
from voice_trio.embedded.speech import missing_packages

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.desk import Desk

LOUD = 0.05  # of full scale; the embedded voice peaks above 0.3


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_hears_a_question_and_answers_it_from_the_handbook_aloud(desk: Desk, tmp_path: Path) -> None:
    if missing_packages():
        pytest.skip(f"SKIPPED LOUDLY: no ears on this machine, {missing_packages()} missing")
    command = [sys.executable, "-m", "voice_trio.cli", "demo", "--bind", f"127.0.0.1:{free_port()}"]
    with serving(command, {"XDG_DATA_HOME": str(tmp_path)}, "The demo is at") as (_, line):
        address = re.search(r"http://127\.0\.0\.1:(\d+)/#token=(\S+)", line)
        assert address is not None
        speech = silence(1) + spoken(QUESTION) + silence(7) + spoken("How many hours of light do laying hens need?")
        page = desk.open(int(address[1]), bearer=address[2], speech=speech)
        talk(page)
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
        keep_figures("demo", {"said": said, "answer": answer, "words_before_the_end": early[-1]})
        assert "brooder" in said.lower()
        assert re.search(r"3[2-5]", answer)
        assert page.locator(".sources li").count() >= 1
        assert desk.complaints == []
