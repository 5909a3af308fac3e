"""The order of events as it was recorded from the real service, for tests that hold others to it."""

from __future__ import annotations

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
