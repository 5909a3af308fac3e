"""Whole sessions of both protocols against their transcripts: nothing may change without being seen.

The transcripts are in tests/session/stories; `python -m tests.support.session_transcript` writes them anew.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from tests.support import session_tales
from tests.support.session_transcript import FOLDER, session_transcript

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.support.session_transcript import SessionStory

STORIES: dict[str, SessionStory] = {
    name.replace("_", " "): tell
    for name, tell in inspect.getmembers(session_tales, inspect.iscoroutinefunction)
    if list(inspect.signature(tell).parameters) == ["nursery"]
}


@pytest.mark.parametrize("name", STORIES)
async def test_a_session_goes_as_it_is_written(name: str, autojump_clock: MockClock) -> None:
    written = (FOLDER / f"{name}.txt").read_text()
    assert (await session_transcript(STORIES[name])).splitlines() == written.splitlines()


def test_every_transcript_has_its_session() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(STORIES)
