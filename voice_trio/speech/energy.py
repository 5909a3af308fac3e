"""Voice activity by energy alone, where webrtcvad is not installed: louder than the background for long enough.

It takes a door for a word and music for speech. Pure; the stream is its only clock. About 30 µs a frame of 20 ms.
"""

from __future__ import annotations

import math
import operator
from typing import Final

from voice_trio.speech.framed_activity import FramedActivity

_RATE: Final = 24_000
_ABOVE_BACKGROUND_DB: Final = 9.0
_BACKGROUND_FALL: Final = 0.2
_BACKGROUND_RISE_DB: Final = 0.06
"""The background follows a quieter frame at once, and a louder one by 3 dB a second: a hum is background soon."""
_SILENCE_DBFS: Final = -90.0


class EnergyActivity(FramedActivity):
    """Detects speech; feed it audio in pieces of any size.

    `threshold` is OpenAI's, 0 to 1: the level below which all is silence is -60 dBFS at 0, -45 at 0.5, -30 at 1.
    """

    def __init__(self, *, threshold: float = 0.5, prefix_padding_ms: int = 300, silence_duration_ms: int = 500) -> None:
        self._background_dbfs = -60.0
        super().__init__(
            _RATE, threshold=threshold, prefix_padding_ms=prefix_padding_ms, silence_duration_ms=silence_duration_ms
        )

    def _is_voiced(self, frame: bytes) -> bool:
        level = _level_dbfs(frame)
        is_loud = level > max(self._level_min_dbfs, self._background_dbfs + _ABOVE_BACKGROUND_DB)
        below = self._background_dbfs - level
        self._background_dbfs += -below * _BACKGROUND_FALL if below > 0 else _BACKGROUND_RISE_DB
        return is_loud

    def _goes_on(self) -> bool:
        return self._recent[-1]


def _level_dbfs(frame: bytes) -> float:
    samples = memoryview(frame).cast("h")
    power = sum(map(operator.mul, samples, samples)) / len(samples)
    return 10 * math.log10(power / 32768**2) if power else _SILENCE_DBFS
