"""docs/tutorial.md is walked: its commands run as they stand there, and its page answers from its document (F57)."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.browser_driver import running_process
from tests.support.deployment import free_port
from tests.support.pages import shell_blocks

if TYPE_CHECKING:
    from tests.support.browser_driver import Browsers

ROOT = Path(__file__).parents[2]
# The first two need the checkout's own environment, which scripts/test has made by now.
START, ACTIVATE, *BLOCKS = shell_blocks((ROOT / "docs" / "tutorial.md").read_text("utf-8"))


def walked(gateway: int, page: int) -> str:
    """The commands of the tutorial as one script, on ports that are free."""
    return "set -e\n" + "".join(BLOCKS).replace("8000", str(gateway)).replace("5500", str(page)).replace(
        "voice-trio demo", f"voice-trio demo --bind 127.0.0.1:{gateway}"
    )


def test_the_tutorial_ends_with_an_answer_from_its_own_document_in_its_own_page_F57(
    browsers: Browsers, tmp_path: Path
) -> None:
    assert (ROOT / START.strip()).exists()
    assert ACTIVATE == ". .venv/bin/activate\n"
    gateway, port = free_port(), free_port()
    variables = {
        "HOME": str(tmp_path),
        "PATH": f"{sysconfig.get_path('scripts')}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        # The recogniser is adapted once a machine; that takes two minutes.
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
    }
    with running_process(["bash", "-c", walked(gateway, port)], variables, "The demo is at"):
        page = browsers.with_silence().new_context().new_page()
        page.goto(f"http://localhost:{port}/")
        talk = page.get_by_role("button", name="Talk")
        talk.click()
        page.get_by_text("listening").wait_for()
        talk.click()
        page.get_by_text("listening").wait_for(state="detached")
        page.get_by_placeholder("or type a question").fill("When is the shop open?")
        page.keyboard.press("Enter")  # it begins a conversation where there is none
        page.get_by_text("user: When is the shop open?").wait_for()
        page.get_by_text(re.compile(r"assistant: .*nine in the morning to six")).wait_for()
        page.context.close()
