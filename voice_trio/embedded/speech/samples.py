"""Spoken questions as sound files, for tests and for whoever has no microphone at hand."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING, Final

from voice_trio.embedded.speech.espeak import Manner
from voice_trio.embedded.speech.voice import RATE, pcm_of

if TYPE_CHECKING:
    from pathlib import Path

ASKING: Final = Manner("en-us", 150)
_BEFORE_MS, _AFTER_MS = 300, 1000
"""Silence: room for the padding before speech, and enough after it to be taken for its end."""


def question_pcm(text: str, manner: Manner = ASKING) -> bytes:
    """`text` asked aloud, PCM16 mono 24 kHz, 0.3 s of silence before and 1 s after."""
    return bytes(_BEFORE_MS * RATE // 500) + pcm_of(text, manner) + bytes(_AFTER_MS * RATE // 500)


def write_question(path: Path, text: str, manner: Manner = ASKING) -> None:
    """The same as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(question_pcm(text, manner))
