"""What the gateway says to a session that only transcribes: a socket of its own, on which turns are ended by hand.

Such a session has no model, no voice and, with the models that stream, no turn detection: they refuse any.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from voice_trio.protocols.realtime.writer import PCM_24K

if TYPE_CHECKING:
    from voice_trio.protocols.realtime.writer import RealtimeConfig

COMMIT_MS_MIN = 100.0
"""A commit by hand of less sound than that is an error (`input_audio_buffer_commit_empty`)."""

# By OpenAI's guide to Realtime transcription these say nothing before the commit.
_COMMIT_FIRST = re.compile(r"(whisper-1|gpt-transcribe|gpt-4o(-mini)?-transcribe)(-|$)")


def never_streams(model: str) -> bool:
    """Whether the transcription model is known to say nothing while somebody speaks."""
    return _COMMIT_FIRST.match(model) is not None


def transcription_update(config: RealtimeConfig, event_id: str) -> str:
    """The one `session.update` of a session that only transcribes, with the same ears as `config`'s conversation."""
    transcription = {"model": config.transcription_model}
    if config.language:
        transcription["language"] = config.language
    heard: dict[str, Any] = {
        "format": PCM_24K,
        "noise_reduction": {"type": config.noise_reduction} if config.noise_reduction else None,
        "transcription": transcription,
        "turn_detection": None,
    }
    session = {"type": "transcription", "audio": {"input": heard}}
    return _encode({"type": "session.update", "event_id": event_id, "session": session})


def commit_audio(event_id: str) -> str:
    """What was appended is an utterance, and the next sound begins another."""
    return _encode({"type": "input_audio_buffer.commit", "event_id": event_id})


def clear_audio(event_id: str) -> str:
    """What was appended and not committed was nothing."""
    return _encode({"type": "input_audio_buffer.clear", "event_id": event_id})


def _encode(event: dict[str, Any]) -> str:
    return msgspec.json.encode(event).decode()
