"""Whole conversations of both policies against their transcripts: nothing may change without being seen.

The transcripts are in tests/conversation/stories; `python -m tests.support.stories` writes them anew.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from tests.support import managed_failure_stories, managed_stories, passthrough_stories
from tests.support.stories import FOLDER, transcript

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.stories import ManagedStory, PassthroughStory

STORIES: dict[str, Callable[[], ManagedStory | PassthroughStory]] = {
    f"{kind} {name}".replace("_", " "): tell
    for kind, module in (
        ("managed", managed_stories),
        ("managed", managed_failure_stories),
        ("passthrough", passthrough_stories),
    )
    for name, tell in inspect.getmembers(module, inspect.isfunction)
    if not inspect.signature(tell).parameters and tell.__module__ == module.__name__
}


@pytest.mark.parametrize("name", STORIES)
def test_a_story_goes_as_it_is_written(name: str) -> None:
    written = (FOLDER / f"{name}.txt").read_text()
    assert transcript(STORIES[name]()).splitlines() == written.splitlines()


def test_every_transcript_has_its_story() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(STORIES)
