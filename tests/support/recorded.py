"""The order of events as it was recorded from the real service, for tests that hold others to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"
"""Recorded traffic, beside the repository; it is read as data and never copied into it."""

BEGINNING = ["response.output_item.added", "conversation.item.added", "response.content_part.added"]
ENDING = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


def interactions(name: str) -> list[dict[str, Any]]:
    """A recorded session, `name` being its file without the ending; skips the test where there is none."""
    path = RECORDINGS / f"{name}.yaml"
    if not path.exists():
        pytest.skip(f"NOT TESTED against recorded traffic: {path} is absent")
    return list(yaml.safe_load(path.read_text())["interactions"])


def recorded_frames(name: str) -> Iterator[dict[str, Any]]:
    """The frames that a service sent in a recorded session."""
    for each in interactions(name):
        if each["kind"] == "message" and each["direction"] == "received":
            yield each["data"]
